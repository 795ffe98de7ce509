//! Which devices an image could be written to.

use anyhow::Result;
use serde_json::{Value, json};

use crate::device::{Device, Here, names};
use crate::judge::{Candidate, Content};
use crate::target::looked_at;
use nodeimg_values::size::size;

/// The kernel's names of devices that nobody flashes.
const NEVER: [&str; 7] = ["ram", "zram", "sr", "fd", "dm-", "md", "bcache"];

/// Whole disks: removable ones and those on USB first, then by name. Loop devices with a file
/// are among them.
///
/// # Errors
/// A device vanishes meanwhile in a way that the kernel does not tell.
pub fn candidates(here: &Here) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for name in names(&here.sys.join("block")) {
        let is_other = |prefix: &&str| {
            let rest = name.strip_prefix(*prefix);
            rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if NEVER.iter().any(is_other) {
            continue;
        }
        // A device may have vanished meanwhile.
        let Ok(device) = Device::of(here, &name) else {
            continue;
        };
        if device.size == 0 {
            continue;
        }
        let content = looked_at(here, &device.path()).ok();
        let content = content.and_then(|file| Content::of(&device, &file).ok());
        found.push(Candidate { device, content });
    }
    found.sort_by_key(|one| {
        let device = &one.device;
        let is_likely = device.removable || matches!(device.bus, Some("usb" | "mmc"));
        (
            !is_likely,
            device.name.starts_with("loop"),
            natural(&device.name),
        )
    });
    Ok(found)
}

/// `sdb` before `sdaa`, `loop2` before `loop10`.
fn natural(name: &str) -> (usize, String) {
    (name.len(), name.to_owned())
}

/// A table for people.
pub fn text(candidates: &[Candidate]) -> String {
    let mut rows = vec![["DEVICE", "SIZE", "BUS", "MODEL", "SERIAL", "HOLDS"].map(str::to_owned)];
    for one in candidates {
        let device = &one.device;
        let bus = match (device.bus, device.removable) {
            (Some(bus), true) => format!("{bus}, removable"),
            (Some(bus), false) => bus.to_owned(),
            (None, true) => "removable".to_owned(),
            (None, false) => "-".to_owned(),
        };
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        rows.push([
            one.path().display().to_string(),
            size(device.size),
            bus,
            dash(&device.model),
            dash(&device.serial),
            holds(one),
        ]);
    }
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths);
        let text: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.join("  ").trim_end().to_owned()
    };
    rows.iter().map(|row| line(row) + "\n").collect()
}

/// What is on it, in a few words, and why it cannot be flashed.
fn holds(one: &Candidate) -> String {
    let mut said = Vec::new();
    if let Some(obstacle) = one.obstacle() {
        said.push(format!("IN USE: {obstacle}"));
    }
    match &one.content {
        None => said.push("(this user may not read it)".to_owned()),
        Some(content) if content.is_blank() => said.push("nothing that is known".to_owned()),
        Some(content) => {
            said.extend(content.whole.iter().map(|found| found.told()));
            let labels = content.parts.iter().filter_map(|part| {
                let of_system = part.found.iter().find_map(|found| found.label.clone());
                part.label.clone().or(of_system)
            });
            let labels: Vec<String> = labels.collect();
            if !content.parts.is_empty() {
                let count = content.parts.len();
                let plural = if count == 1 { "" } else { "s" };
                said.push(format!("{count} partition{plural} {}", labels.join(", ")));
            }
        }
    }
    said.join("; ").trim_end().to_owned()
}

/// The same for programs.
pub fn json(candidates: &[Candidate]) -> Value {
    let each = candidates.iter().map(|one| {
        let mut device = one.device.json();
        device["obstacle"] = json!(one.obstacle());
        device["content"] = json!(one.content.as_ref().map(Content::json));
        device
    });
    json!({"event": "devices", "devices": each.collect::<Vec<_>>()})
}

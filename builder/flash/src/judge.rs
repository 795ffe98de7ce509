//! Whether a device may be written to, and what would be lost.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_formats::blocks::Blocks;
use nodeimg_formats::gpt::Editable;
use serde_json::{Value, json};

use crate::device::{Device, Here, path_of};
use crate::signatures::{self, Found};
use crate::target::SECTOR;
use nodeimg_values::size::size;

/// What is on a device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    /// On the device as a whole.
    pub whole: Vec<Found>,
    pub parts: Vec<Inside>,
}

/// A partition, and what is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inside {
    /// The kernel's name, if the kernel knows it: `sdb1`.
    pub name: Option<String>,
    /// Its PARTLABEL.
    pub label: Option<String>,
    /// In bytes.
    pub start: u64,
    /// In bytes.
    pub size: u64,
    pub found: Vec<Found>,
}

impl Content {
    /// # Errors
    /// The device cannot be read.
    pub fn of(device: &Device, blocks: &dyn Blocks) -> io::Result<Content> {
        let whole = signatures::find(blocks, device.size)?;
        let table = Editable::read(blocks, device.size).ok();
        let entries = table.iter().flat_map(|table| table.partitions());
        let mut parts: Vec<Inside> = entries
            .map(|entry| Inside {
                name: None,
                label: Some(entry.name.escape_debug().to_string()).filter(|it| !it.is_empty()),
                start: entry.place.start,
                size: entry.place.size,
                found: Vec::new(),
            })
            .collect();
        for part in &device.partitions {
            match parts.iter_mut().find(|one| one.start == part.start) {
                Some(known) => known.name = Some(part.name.clone()),
                None => parts.push(Inside {
                    name: Some(part.name.clone()),
                    label: None,
                    start: part.start,
                    size: part.size,
                    found: Vec::new(),
                }),
            }
        }
        parts.sort_by_key(|part| part.start);
        for part in &mut parts {
            let ends = part.start.saturating_add(part.size);
            if ends <= device.size {
                part.found = signatures::find_in(blocks, part.start, part.size)?;
            }
        }
        Ok(Content { whole, parts })
    }

    pub fn is_blank(&self) -> bool {
        self.whole.is_empty() && self.parts.is_empty()
    }

    /// A line of each thing: `/dev/sdb1: 256.0 MiB, esp, vfat `ESP``.
    pub fn lines(&self, device: &Device) -> Vec<String> {
        let told = |found: &[Found]| found.iter().map(Found::told).collect::<Vec<_>>();
        let mut lines = Vec::new();
        if !self.whole.is_empty() {
            let whole = told(&self.whole).join(", ");
            lines.push(format!("{}: {whole}", device.path().display()));
        }
        for (number, part) in self.parts.iter().enumerate() {
            let mut said = vec![size(part.size)];
            said.extend(part.label.clone());
            said.extend(told(&part.found));
            let name = match &part.name {
                Some(name) => path_of(name).display().to_string(),
                None => format!("partition {}", number + 1),
            };
            lines.push(format!("{name}: {}", said.join(", ")));
        }
        lines
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let all = |found: &[Found]| {
            let each = found
                .iter()
                .map(|one| json!({"what": one.what, "label": one.label}));
            each.collect::<Vec<_>>()
        };
        let parts = self.parts.iter().map(|part| {
            json!({
                "path": part.name.as_ref().map(|name| path_of(name)), "label": part.label,
                "start": part.start, "size": part.size, "holds": all(&part.found),
            })
        });
        json!({"holds": all(&self.whole), "partitions": parts.collect::<Vec<_>>()})
    }
}

/// Whether a device is a disk that nobody uses and that an image fits on.
///
/// # Errors
/// It is not; `--wipe` changes nothing about that.
pub fn usable(device: &Device) -> Result<()> {
    let described = device.described();
    if let Some(other) = &device.other {
        bail!("{described}: it is {other}, not a disk that a machine boots from");
    }
    if !device.usage.is_empty() {
        let uses = device.usage.iter().map(|one| format!("\n  {}", one.told()));
        bail!(
            "{described}: it is in use, and what is in use is never flashed:{}",
            uses.collect::<String>()
        );
    }
    if device.size == 0 {
        bail!("{described}: the drive holds no medium");
    }
    if device.read_only {
        let path = device.path();
        let path = path.display();
        bail!(
            "{described}: it is read-only: does it have a switch against writing? (`blockdev \
             --setrw {path}` if the kernel was told so)"
        );
    }
    if device.sector != SECTOR {
        bail!(
            "{described}: its sectors have {} bytes, and the image's partition table is for \
             sectors of {SECTOR}: a machine would not find its partitions",
            device.sector
        );
    }
    Ok(())
}

/// Whether an image of so many bytes fits.
///
/// # Errors
/// It does not.
pub fn fits(device: &Device, image: &str, needed: u64) -> Result<()> {
    if needed > device.size {
        bail!(
            "{}: it is too small for {image}: it has {} bytes, and {needed} are needed",
            device.described(),
            device.size
        );
    }
    Ok(())
}

/// Whether what is on the device may be lost: nothing is there, or `--wipe` names the device
/// again.
///
/// # Errors
/// The user has not said so, or has named another device.
pub fn may_be_lost(
    here: &Here,
    device: &Device,
    content: &Content,
    wipe: Option<&Path>,
) -> Result<()> {
    let path = device.path();
    if let Some(wipe) = wipe {
        let named = Device::at(here, wipe).context("--wipe")?;
        if named.number != device.number {
            bail!(
                "--wipe names {}, but the image is for {}: name the same device twice",
                named.described(),
                device.described()
            );
        }
        return Ok(());
    }
    if content.is_blank() {
        return Ok(());
    }
    let lines = content.lines(device);
    bail!(
        "{}: it is not empty, and all of this would be lost:{}\nname the device again to erase it: \
         --wipe {}",
        device.described(),
        lines
            .iter()
            .map(|line| format!("\n  {line}"))
            .collect::<String>(),
        path.display()
    )
}

/// A device as `--list` and the refusals show it.
pub struct Candidate {
    pub device: Device,
    /// Nothing is known if this user may not read it.
    pub content: Option<Content>,
}

impl Candidate {
    /// Why it cannot be flashed at all, in a few words.
    pub fn obstacle(&self) -> Option<String> {
        let device = &self.device;
        let first = device.usage.first().map(|one| match one.kind {
            "mounted" | "root" => one.text.trim_start_matches("is ").to_owned(),
            "swap" => "swap".to_owned(),
            _ => one.text.trim_start_matches("is ").to_owned(),
        });
        first
            .or_else(|| device.other.clone())
            .or_else(|| device.read_only.then(|| "read-only".to_owned()))
            .or_else(|| {
                (device.sector != SECTOR).then(|| format!("sectors of {} bytes", device.sector))
            })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.device.path()
    }
}

//! `list` and `rollback`: the versions on this disk.

use anyhow::{Result, bail};
use nodeimg_seed::contract::update::FailedVersion;
use serde_json::json;

use super::Said;
use super::session::Session;
use crate::cli::Options;
use crate::esp::{self, Esp, Name};
use crate::slots::Slots;
use crate::source::Image;

/// An entry of this image that a slot can start.
struct Found {
    file: String,
    version: String,
    left: Option<u32>,
    runs: bool,
}

fn entries(esp: &dyn Esp, slots: &Slots, id: &str) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for file in esp.list()? {
        let Some(name) = Name::parse(&file.name) else {
            continue;
        };
        let uki = esp.read(&file.name)?;
        let Some(root) = esp::root_hash(&uki).filter(|root| slots.has(*root)) else {
            continue;
        };
        if esp::os_release(&uki, "IMAGE_ID").as_deref() == Some(id) {
            found.push(Found {
                version: esp::os_release(&uki, "IMAGE_VERSION").unwrap_or(name.stem),
                file: file.name,
                left: name.left,
                runs: slots.running.is_of(root),
            });
        }
    }
    Ok(found)
}

pub fn list(options: &Options) -> Result<Said> {
    let mut session = Session::open(options, false)?;
    let id = session.running.id.clone();
    let found = session.with_esp(|esp, slots, _| entries(esp, slots, &id))?;
    let state = session.node.state();
    let held = session.node.held()?;
    let mut lines = Vec::new();
    for entry in &found {
        let tries = match entry.left {
            None => String::new(),
            Some(0) => ", did not become healthy".to_owned(),
            Some(left) => format!(", {left} tries left"),
        };
        let runs = if entry.runs {
            "runs"
        } else {
            "is on this disk"
        };
        lines.push(format!("{:<32} {runs}{tries}", entry.version));
    }
    for failed in &state.failed {
        lines.push(format!(
            "{:<32} failed here: {}",
            failed.version, failed.why
        ));
    }
    for version in &held {
        let which = if version == "*" {
            "every version"
        } else {
            version
        };
        lines.push(format!("{which:<32} is held back"));
    }
    let there = match session.has_source(options) {
        true => at_source(&session, options, &mut lines),
        false => serde_json::Value::Null,
    };
    let on_disk = found.iter().map(|entry| {
        json!({"version": entry.version, "entry": entry.file, "left": entry.left, "runs": entry.runs})
    });
    let failed = state.failed.iter();
    let failed = failed.map(|it| json!({"version": it.version, "why": it.why}));
    Ok(Said {
        text: lines.join("\n"),
        json: json!({
            "id": session.running.id, "running": session.running.version,
            "disk": on_disk.collect::<Vec<_>>(), "failed": failed.collect::<Vec<_>>(),
            "held": held, "available": there,
        }),
        status: 0,
    })
}

/// What the source has; that it cannot be asked hides nothing of what is here.
fn at_source(session: &Session, options: &Options, lines: &mut Vec<String>) -> serde_json::Value {
    let image = Image {
        id: &session.running.id,
        architecture: session.slots.architecture,
    };
    let asked = session.source(options).and_then(|source| {
        let versions = source.versions(image)?;
        Ok((source.name(), versions))
    });
    match asked {
        Ok((name, mut versions)) => {
            versions.sort_by(|one, other| nodeimg_formats::update::compare(other, one));
            let line = |version: &String| format!("{version:<32} at {name}");
            lines.extend(versions.iter().map(line));
            json!({"source": name, "versions": versions})
        }
        Err(error) => {
            lines.push(format!("the source cannot be asked: {error:#}"));
            json!({"error": format!("{error:#}")})
        }
    }
}

/// The version that runs is marked as one that failed: the boot loader takes the other one, and
/// no timer takes this one again.
pub fn rollback(options: &Options) -> Result<Said> {
    let mut session = Session::open(options, true)?;
    let (id, running) = (session.running.id.clone(), session.running.version.clone());
    let other = session.with_esp(|esp, slots, _| {
        let found = entries(esp, slots, &id)?;
        let other = found
            .iter()
            .find(|entry| !entry.runs && entry.left != Some(0));
        let Some(other) = other else {
            bail!("the other slot has no version that could boot");
        };
        for entry in found
            .iter()
            .filter(|entry| entry.runs && entry.left != Some(0))
        {
            let stem = Name::parse(&entry.file).map_or(entry.file.clone(), |name| name.stem);
            esp.rename(&entry.file, &format!("{stem}+0.efi"))?;
        }
        Ok(other.version.clone())
    })?;
    session.node.write_state(|state| {
        state.fail(FailedVersion {
            version: running.clone(),
            boots: 0,
            why: format!("an operator went back to {other}"),
            log: Vec::new(),
        });
    })?;
    session
        .node
        .require_reboot(&format!("nodeimg: back to {other}"))?;
    Ok(Said {
        text: format!("{other} boots with the next reboot, and {running} is not installed again"),
        json: json!({"running": running, "version": other}),
        status: 0,
    })
}

//! Whether a node's first start is what systemd calls a first boot
//! ([machine-id(5)](https://www.freedesktop.org/software/systemd/man/latest/machine-id.html#First%20Boot%20Semantics)).
//!
//! An empty `/etc/machine-id` is filled and no more. `uninitialized` also makes
//! `ConditionFirstBoot=` hold, and systemd apply the presets of all units, which the
//! build has done: a second or two on a slow processor. So it says that only if a
//! unit asks.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Base;
use crate::image::units::{UNIT_DIRS, Unit, text_at};
use crate::tree::{ImagePath, Kind, Node, Origin, Tree};

pub const PATH: &str = "/etc/machine-id";
pub const UNINITIALIZED: &str = "uninitialized\n";

const KEY: &str = "ConditionFirstBoot";
/// Is reached in a first boot, for others to come after; does nothing itself.
const THE_TARGET: &str = "first-boot-complete.target";

/// What an overlay has put there stays.
pub fn settle(base: &mut Base<'_>) -> Result<()> {
    let path: ImagePath = PATH.parse()?;
    let node = base.tree.get(&path);
    let is_ours = node.is_some_and(|node| matches!(node.origin, Origin::Base(_)));
    if !is_ours || asks_for_first_boot(base.tree)? {
        return Ok(());
    }
    base.remove(PATH)?;
    base.file_of(PATH, String::new(), 0o444, 0)
}

fn asks_for_first_boot(tree: &Tree) -> Result<bool> {
    let mut units: BTreeSet<String> = BTreeSet::new();
    for (path, _) in tree.iter() {
        let Some(unit) = unit_of(path.as_str()).filter(|unit| *unit != THE_TARGET) else {
            continue;
        };
        if text_at(tree, path)?.is_some_and(|text| text.contains(KEY)) {
            units.insert(unit.to_owned());
        }
    }
    for unit in units {
        if conditions(tree, &unit)?.iter().any(|key| key == KEY) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The unit that a file is, or is a drop-in for.
fn unit_of(path: &str) -> Option<&str> {
    let below = UNIT_DIRS
        .iter()
        .find_map(|directory| path.strip_prefix(directory)?.strip_prefix('/'))?;
    match below.split_once('/') {
        None => Some(below),
        Some((holder, _)) => holder.strip_suffix(".d"),
    }
}

/// The conditions of a unit with its drop-ins, as keys; none of one
/// that is masked.
fn conditions(tree: &Tree, unit: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for directory in UNIT_DIRS {
        let path: ImagePath = format!("{directory}/{unit}").parse()?;
        match tree.get(&path).map(|node| &node.kind) {
            Some(Kind::Symlink(target)) if target == "/dev/null" => return Ok(Vec::new()),
            Some(Kind::File(_)) => {
                files.push(path);
                break;
            }
            _ => {}
        }
    }
    files.extend(drop_ins(tree, unit)?);
    let mut found = Vec::new();
    for path in files {
        let unit = Unit::parse(&text_at(tree, &path)?.unwrap_or_default());
        for (key, value) in unit.pairs_of_prefix("Unit", "Condition") {
            // An empty one takes back all of them.
            if value.is_empty() {
                found.clear();
            } else {
                found.push(key.to_owned());
            }
        }
    }
    Ok(found)
}

/// In the order of their names, whatever directory they are in.
fn drop_ins(tree: &Tree, unit: &str) -> Result<Vec<ImagePath>> {
    let mut found: Vec<ImagePath> = Vec::new();
    for directory in UNIT_DIRS {
        let directory: ImagePath = format!("{directory}/{unit}.d").parse()?;
        let inside = |(path, node): &(&ImagePath, &Node)| {
            path.parent().as_ref() == Some(&directory)
                && path.name().ends_with(".conf")
                && matches!(node.kind, Kind::File(_))
        };
        let there: Vec<_> = tree.iter().filter(inside).map(|(path, _)| path).collect();
        for path in there {
            if !found.iter().any(|other| other.name() == path.name()) {
                found.push(path.clone());
            }
        }
    }
    found.sort_by(|one, other| one.name().cmp(other.name()));
    Ok(found)
}

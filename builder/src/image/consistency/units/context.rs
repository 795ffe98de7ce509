//! What a unit's file and drop-ins say together.

use std::collections::BTreeMap;

use anyhow::Result;

use super::super::{Findings, at};
use super::File;
use crate::image::units::{Setting, UNIT_DIRS, Unit, text_at};
use crate::tree::{ImagePath, Kind, Tree};

/// Conditions on a path: without it the unit is skipped.
const CONDITIONS: [&str; 5] = [
    "ConditionPathExists",
    "ConditionFileIsExecutable",
    "ConditionFileNotEmpty",
    "ConditionPathIsDirectory",
    "ConditionDirectoryNotEmpty",
];
/// A root of the unit's own, which is not the image's.
const ROOTS: [&str; 4] = ["RootDirectory", "RootImage", "RootHash", "RootEphemeral"];

/// Of one unit.
#[derive(Default)]
pub struct Context {
    /// Whether a link to /dev/null is in its place.
    pub is_masked: bool,
    /// Whether its programs are in a root of its own.
    pub is_elsewhere: bool,
    /// Whether systemd makes up its user.
    pub is_dynamic: bool,
    /// `ExecSearchPath`.
    pub search: Vec<String>,
    conditions: Vec<String>,
    /// Commands that count after every empty `ExecStart=`.
    starts: usize,
    has_other_commands: bool,
    kind: Option<String>,
    /// Whether the unit's own file is there.
    pub is_known: bool,
}

impl Context {
    pub fn of(tree: &Tree, unit: &str) -> Result<Context> {
        let mut context = Context::default();
        let own = UNIT_DIRS.iter().map(|top| format!("{top}/{unit}"));
        for path in own {
            let path: ImagePath = path.parse()?;
            match tree.get(&path).map(|node| &node.kind) {
                Some(Kind::Symlink(target)) if target == "/dev/null" => {
                    context.is_masked = true;
                    return Ok(context);
                }
                Some(Kind::File(_)) => {
                    context.is_known = true;
                    context.add(&Unit::parse(&text_at(tree, &path)?.unwrap_or_default()));
                    break;
                }
                _ => {}
            }
        }
        for path in drop_ins(tree, unit)?.into_values() {
            context.add(&Unit::parse(&text_at(tree, &path)?.unwrap_or_default()));
        }
        Ok(context)
    }

    fn add(&mut self, text: &Unit) {
        for Setting {
            section,
            key,
            value,
            ..
        } in text.settings()
        {
            let is_true = matches!(value.as_str(), "yes" | "true" | "1" | "on");
            match key.as_str() {
                "DynamicUser" => self.is_dynamic = is_true,
                "ExecSearchPath" if value.is_empty() => self.search.clear(),
                "ExecSearchPath" => self.search.extend(value.split(':').map(str::to_owned)),
                "Type" if section == "Service" => self.kind = Some(value.clone()),
                "ExecStart" if value.is_empty() => self.starts = 0,
                "ExecStart" => self.starts += 1,
                "ExecStop" | "SuccessAction" => self.has_other_commands = true,
                key if ROOTS.contains(&key) => self.is_elsewhere |= !value.is_empty(),
                key if CONDITIONS.contains(&key) => self.conditions.push(value.clone()),
                _ => {}
            }
        }
    }

    /// Whether the unit is skipped without `program`.
    pub fn waits_for(&self, program: &str) -> bool {
        let mut paths = self
            .conditions
            .iter()
            .map(|path| path.trim_start_matches('|'));
        paths.any(|path| {
            let path = path.trim_end_matches('/');
            let rest = program.strip_prefix(path);
            !path.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// A service that systemd refuses to load.
    pub(super) fn judge(&self, file: &File<'_>, found: &mut Findings) {
        if !file.unit.ends_with(".service") || !self.is_known {
            return;
        }
        let place = file.text.settings().iter();
        let mut place = place.filter(|setting| setting.key == "ExecStart");
        let line = place.next_back().map_or(1, |setting| setting.line);
        let kind = self.kind.as_deref().unwrap_or("simple");
        if self.starts > 1 && kind != "oneshot" {
            found.add(
                file.origin,
                format!(
                    "{}: `{}` has {} ExecStart=, which only Type=oneshot may, so systemd refuses \
                     it: a drop-in that replaces the command begins with an empty `ExecStart=`",
                    at(file.path, line, file.origin),
                    file.unit,
                    self.starts
                ),
            );
        }
        if self.starts == 0 && !self.has_other_commands {
            found.add(
                file.origin,
                format!(
                    "{}: `{}` has no ExecStart=, so systemd refuses it",
                    at(file.path, line, file.origin),
                    file.unit
                ),
            );
        }
    }
}

/// In the order that systemd reads them in: by name, the first directory's wins.
fn drop_ins(tree: &Tree, unit: &str) -> Result<BTreeMap<String, ImagePath>> {
    let mut all = BTreeMap::new();
    for top in UNIT_DIRS {
        let directory: ImagePath = format!("{top}/{unit}.d").parse()?;
        for (path, _) in tree.below(&directory) {
            if path.name().ends_with(".conf") {
                all.entry(path.name().to_owned())
                    .or_insert_with(|| path.clone());
            }
        }
    }
    Ok(all)
}

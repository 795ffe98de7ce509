//! Units that a unit names: those that it cannot do without, and slips of the pen.

use super::super::{Findings, Judged, at, near};
use super::{File, KINDS};
use crate::image::units::UNIT_DIRS;
use crate::tree::{ImagePath, Tree};

/// What a unit cannot start without.
const NEEDS: [&str; 3] = ["Requires", "BindsTo", "Requisite"];
/// What systemd passes over if it is not there.
const ORDERS: [&str; 6] = ["After", "Before", "Wants", "PartOf", "Upholds", "OnFailure"];
/// What enabling links it into.
const INSTALLS: [&str; 2] = ["WantedBy", "RequiredBy"];
/// Files of these kinds alone stand for units of theirs.
const CHECKED: [&str; 5] = [".service", ".socket", ".timer", ".path", ".target"];

pub fn judge(judged: &Judged<'_>, file: &File<'_>, found: &mut Findings) {
    for setting in file.text.settings() {
        let key = setting.key.as_str();
        for name in setting.value.split_whitespace() {
            if !is_checked(name) || exists(judged.tree, name) {
                continue;
            }
            let hint = hint(judged.tree, name);
            let place = at(file.path, setting.line, file.origin);
            let text = format!("{place}: {key}={name}: no such unit is in the image{hint}");
            match (setting.section.as_str(), key) {
                ("Unit", key) if NEEDS.contains(&key) => found.add(
                    file.origin,
                    format!("{text}, and `{}` does not start without it", file.unit),
                ),
                ("Timer" | "Path", "Unit") | ("Socket", "Service") => {
                    found.add(file.origin, text);
                }
                ("Install", key) if INSTALLS.contains(&key) => found
                    .warnings
                    .push(format!("{text}: enabling `{}` does nothing", file.unit)),
                ("Unit", key) if ORDERS.contains(&key) && !hint.is_empty() => {
                    found.warnings.push(text);
                }
                _ => {}
            }
        }
    }
    triggered(judged, file, found);
    unit_of_drop_in(judged, file, found);
}

/// A timer, path or socket without a name starts the service of its own name.
fn triggered(judged: &Judged<'_>, file: &File<'_>, found: &mut Findings) {
    let has = |section: &str, key: &str| file.text.values(section, key).next().is_some();
    let (stem, kind) = file.unit.rsplit_once('.').unwrap_or((&file.unit, ""));
    let is_own = file.path.name() == file.unit;
    let service = match kind {
        "timer" if !has("Timer", "Unit") => format!("{stem}.service"),
        "path" if !has("Path", "Unit") => format!("{stem}.service"),
        "socket" if has("Socket", "Service") => return,
        "socket" => {
            let each = |value: &str| matches!(value, "yes" | "true" | "1" | "on");
            match file.text.values("Socket", "Accept").any(each) {
                true => format!("{stem}@.service"),
                false => format!("{stem}.service"),
            }
        }
        _ => return,
    };
    if is_own && !exists(judged.tree, &service) {
        found.add(
            file.origin,
            format!(
                "{}: `{}` starts `{service}`, which is not in the image{}",
                at(file.path, 1, file.origin),
                file.unit,
                hint(judged.tree, &service)
            ),
        );
    }
}

/// A drop-in of a unit that is not there has no effect.
fn unit_of_drop_in(judged: &Judged<'_>, file: &File<'_>, found: &mut Findings) {
    let is_drop_in = file.path.name() != file.unit;
    // `a-.service.d` is for every unit whose name begins with `a-`.
    let is_for_many = file
        .unit
        .split_once('.')
        .is_some_and(|(stem, _)| stem.ends_with('-'));
    if is_drop_in && !is_for_many && is_checked(&file.unit) && !exists(judged.tree, &file.unit) {
        found.warnings.push(format!(
            "`{}` (from {}) has no effect: no unit `{}` is in the image{}",
            file.path,
            file.origin,
            file.unit,
            hint(judged.tree, &file.unit)
        ));
    }
}

fn is_checked(name: &str) -> bool {
    CHECKED.iter().any(|kind| name.ends_with(kind)) && !name.contains('%')
}

/// Whether the tree has `name`, or its template, by whichever name.
pub fn exists(tree: &Tree, name: &str) -> bool {
    let template = name.split_once('@').and_then(|(stem, rest)| {
        let (_, kind) = rest.rsplit_once('.')?;
        Some(format!("{stem}@.{kind}"))
    });
    let there = |name: &str| {
        UNIT_DIRS.iter().any(|top| {
            let path = format!("{top}/{name}").parse::<ImagePath>();
            path.is_ok_and(|path| tree.get(&path).is_some())
        })
    };
    there(name) || template.is_some_and(|name| there(&name)) || !has_kind(name)
}

/// Units of other kinds need no file.
fn has_kind(name: &str) -> bool {
    KINDS.iter().any(|kind| name.ends_with(kind)) && !name.ends_with(".mount")
}

/// `; did you mean ...?`, or nothing.
pub fn hint(tree: &Tree, name: &str) -> String {
    let units = tree.iter().map(|(path, _)| path).filter(|path| {
        let parent = path.parent();
        parent.is_some_and(|parent| UNIT_DIRS.contains(&parent.as_str()))
    });
    let units = units.map(ImagePath::name);
    let near = near(name, units);
    near.map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

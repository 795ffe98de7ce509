//! `update`: where this node's updates come from, when it looks for them, and when it may reboot.
//!
//! `nodeimg-update` reads the values itself, on the node; the builder checks them before
//! (`nodeimg seed check`). So nothing here knows their forms.
use super::Pair;
use crate::text::field::Field;
use crate::text::problem::Problems;

/// A value of the seed that is a file of its own on the node.
pub const KEY: &str = "key";

pub(super) fn read(field: &Field<'_>, of: &str, found: &mut Vec<Pair>, problems: &mut Problems) {
    let known: &[&str] = match of {
        "" => &[KEY, "reboot", "schedule", "source"],
        _ => &["duration", "window", "zone"],
    };
    for member in field.members(problems).unwrap_or_default() {
        let (name, field) = (member.name, &member.field);
        let value = match name {
            _ if !known.contains(&name) => {
                super::unknown(field, name, known.iter().copied(), problems);
                None
            }
            "reboot" => {
                read(field, "reboot.", found, problems);
                None
            }
            KEY => super::public_pem(field, problems),
            _ => field.text(problems),
        };
        found.extend(value.map(|value| Pair {
            name: format!("{of}{name}"),
            value,
        }));
    }
}

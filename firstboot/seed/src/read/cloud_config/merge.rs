//! Several cloud-config parts to one, by cloud-init's rules.
//!
//! Spec: <https://cloudinit.readthedocs.io/en/latest/reference/merging.html>. By
//! default a top-level key of a later part takes the place of an earlier one.
//! A part may say otherwise in `merge_how` (or `merge_type`), as text
//! (`list(append)+dict(recurse_list)+str()`) or as a list of `{name, settings}`.
use std::collections::BTreeMap;

use crate::text::problem::{Place, Problems};
use crate::text::secret::Secret;
use crate::text::yaml::{Entry, Kind, Node, Scalar};

/// A top-level key and the part that it comes from.
pub(super) struct Keyed {
    pub(super) file: String,
    pub(super) entry: Entry,
}

/// How two values of the same key are merged.
#[derive(Clone, Copy, Default)]
struct How {
    dict_replace: bool,
    dict_lists: bool,
    dict_dicts: bool,
    dict_texts: bool,
    list_append: bool,
    list_prepend: bool,
    list_replace: bool,
    text_append: bool,
}

/// `dict(replace)+list()+str()`.
const DEFAULT: How = How {
    dict_replace: true,
    dict_lists: false,
    dict_dicts: false,
    dict_texts: false,
    list_append: false,
    list_prepend: false,
    list_replace: false,
    text_append: false,
};

/// Adds the keys of a later part.
pub(super) fn add(
    merged: &mut Vec<Keyed>,
    file: &str,
    entries: Vec<Entry>,
    problems: &mut Problems,
) {
    let mut how = DEFAULT;
    for entry in &entries {
        if matches!(entry.key.expose(), "merge_how" | "merge_type") {
            match how_of(&entry.value) {
                Some(found) => how = found,
                None => {
                    let place = Place::file(file).line(entry.line).key(entry.key.expose());
                    let reason = "is not a supported way to merge";
                    let remedy = "write it like `list(append)+dict(recurse_list)+str()`";
                    problems.error(&place, reason, remedy);
                }
            }
        }
    }
    let known: BTreeMap<Secret, usize> = merged
        .iter()
        .enumerate()
        .map(|(index, keyed)| (keyed.entry.key.clone(), index))
        .collect();
    for entry in entries {
        let place = known.get(&entry.key).copied();
        match place.and_then(|index| merged.get_mut(index)) {
            Some(keyed) => {
                if meet(&mut keyed.entry.value, entry.value, how) {
                    keyed.file = file.to_owned();
                    keyed.entry.line = entry.line;
                }
            }
            None => merged.push(Keyed {
                file: file.to_owned(),
                entry,
            }),
        }
    }
}

/// Adds keys below existing ones: a mapping is filled in, everything else stays.
pub(super) fn fill(merged: &mut Vec<Keyed>, lower: Vec<Keyed>) {
    for keyed in lower {
        let known = merged
            .iter_mut()
            .find(|known| known.entry.key == keyed.entry.key);
        match known {
            Some(known) => fill_in(&mut known.entry.value, keyed.entry.value),
            None => merged.push(keyed),
        }
    }
}

fn fill_in(node: &mut Node, lower: Node) {
    let (Kind::Mapping(entries), Kind::Mapping(more)) = (&mut node.kind, lower.kind) else {
        return;
    };
    for entry in more {
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => fill_in(&mut known.value, entry.value),
            None => entries.push(entry),
        }
    }
}

fn how_of(value: &Node) -> Option<How> {
    let mut how = How::default();
    if let Some(scalar) = value.scalar() {
        for item in scalar.text.expose().split('+') {
            let (kind, settings) = item.trim().strip_suffix(')')?.split_once('(')?;
            for setting in settings.split(',').map(str::trim) {
                take(&mut how, kind, setting)?;
            }
        }
        return Some(how);
    }
    let Kind::Sequence(items) = &value.kind else {
        return None;
    };
    for item in items {
        let kind = item.get("name")?.scalar()?.text.clone();
        let Kind::Sequence(settings) = &item.get("settings")?.kind else {
            return None;
        };
        for setting in settings {
            take(&mut how, kind.expose(), setting.scalar()?.text.expose())?;
        }
    }
    Some(how)
}

fn take(how: &mut How, kind: &str, setting: &str) -> Option<()> {
    match (kind, setting) {
        ("dict" | "list" | "str", "" | "no_replace") => {}
        ("dict", "replace") => how.dict_replace = true,
        ("dict", "recurse_list" | "recurse_array") => how.dict_lists = true,
        ("dict", "recurse_dict") => how.dict_dicts = true,
        ("dict", "recurse_str") => how.dict_texts = true,
        ("list", "append") => how.list_append = true,
        ("list", "prepend") => how.list_prepend = true,
        ("list", "replace") => how.list_replace = true,
        ("str", "append") => how.text_append = true,
        _ => return None,
    }
    Some(())
}

/// Whether anything of the later value was used.
fn meet(old: &mut Node, new: Node, how: How) -> bool {
    if how.dict_replace {
        *old = new;
        return true;
    }
    match (&mut old.kind, new.kind) {
        (Kind::Sequence(items), Kind::Sequence(more)) if how.dict_lists => lists(items, more, how),
        (Kind::Mapping(entries), Kind::Mapping(more)) if how.dict_dicts => {
            let mut taken = false;
            for entry in more {
                match entries.iter_mut().find(|known| known.key == entry.key) {
                    Some(known) => taken |= meet(&mut known.value, entry.value, how),
                    None => {
                        entries.push(entry);
                        taken = true;
                    }
                }
            }
            taken
        }
        (Kind::Scalar(text), Kind::Scalar(more)) if how.dict_texts && how.text_append => {
            append(text, &more);
            true
        }
        _ => false,
    }
}

fn append(text: &mut Scalar, more: &Scalar) {
    text.text = Secret::new(format!("{}{}", text.text.expose(), more.text.expose()));
}

fn lists(items: &mut Vec<Node>, more: Vec<Node>, how: How) -> bool {
    if how.list_append {
        items.extend(more);
    } else if how.list_prepend {
        items.splice(0..0, more);
    } else if how.list_replace {
        for (index, item) in more.into_iter().enumerate() {
            match items.get_mut(index) {
                Some(place) => *place = item,
                None => items.push(item),
            }
        }
    } else {
        return false;
    }
    true
}

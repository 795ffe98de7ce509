//! Several cloud-config parts to one, by cloud-init's rules.
//!
//! Spec: <https://cloudinit.readthedocs.io/en/latest/reference/merging.html>. By
//! default a top-level key of a later part takes the place of an earlier one.
//! A part may say otherwise in `merge_how` (or `merge_type`), as text
//! (`list(append)+dict(recurse_list)+str()`) or as a list of `{name, settings}`, and so may
//! the header `Merge-Type` of its MIME part, as text.
use std::collections::HashMap;

use crate::text::field::shown;
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

impl How {
    fn joins_lists(self) -> bool {
        self.dict_lists && (self.list_append || self.list_prepend || self.list_replace)
    }
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

/// Adds the keys of a later part, whose container may say in `outside` how.
pub(super) fn add(
    merged: &mut Vec<Keyed>,
    file: &str,
    outside: Option<&str>,
    entries: Vec<Entry>,
    problems: &mut Problems,
) {
    let how = how_of_part(file, outside, &entries, problems);
    let places = places(merged.iter().map(|keyed| &keyed.entry), &entries);
    for (entry, place) in entries.into_iter().zip(places) {
        match place.and_then(|index| merged.get_mut(index)) {
            Some(keyed) => {
                let mut losses = Losses::of(&keyed.entry);
                if how.dict_replace {
                    losses.replaced(keyed, file, &entry, problems);
                }
                if meet(&mut keyed.entry.value, entry.value, how, &mut losses) {
                    losses.tell(file, &keyed.file, problems);
                    keyed.file = file.to_owned();
                    keyed.entry.line = entry.line;
                } else {
                    losses.tell(file, &keyed.file, problems);
                }
            }
            None => merged.push(Keyed {
                file: file.to_owned(),
                entry,
            }),
        }
    }
}

/// Where the keys of a mapping stand among those before it. Both have each key once, so a
/// key that is added changes no other's place; one look at each keeps the cost linear.
fn places<'e>(
    known: impl Iterator<Item = &'e Entry>,
    more: impl IntoIterator<Item = &'e Entry>,
) -> Vec<Option<usize>> {
    let mut places = Vec::new();
    let mut wanted: HashMap<&str, usize> = HashMap::new();
    for (index, entry) in more.into_iter().enumerate() {
        places.push(None);
        wanted.insert(entry.key.expose(), index);
    }
    for (index, entry) in known.enumerate() {
        let found = wanted.get(entry.key.expose()).copied();
        if let Some(place) = found.and_then(|wanted| places.get_mut(wanted)) {
            *place = Some(index);
        }
    }
    places
}

/// Adds keys below existing ones: a mapping is filled in, everything else stays.
pub(super) fn fill(merged: &mut Vec<Keyed>, lower: Vec<Keyed>, problems: &mut Problems) {
    let places = places(
        merged.iter().map(|keyed| &keyed.entry),
        lower.iter().map(|keyed| &keyed.entry),
    );
    for (keyed, place) in lower.into_iter().zip(places) {
        match place.and_then(|index| merged.get_mut(index)) {
            Some(known) => {
                let mut losses = Losses::of(&keyed.entry);
                let line = keyed.entry.line;
                fill_in(&mut known.entry.value, keyed.entry.value, line, &mut losses);
                losses.tell(&keyed.file, &known.file, problems);
            }
            None => merged.push(keyed),
        }
    }
}

fn fill_in(node: &mut Node, lower: Node, line: usize, losses: &mut Losses) {
    let (Kind::Mapping(entries), Kind::Mapping(_)) = (&mut node.kind, &lower.kind) else {
        losses.note(node, &lower, line);
        return;
    };
    let Kind::Mapping(more) = lower.kind else {
        return;
    };
    let places = places(entries.iter(), &more);
    for (entry, place) in more.into_iter().zip(places) {
        match place.and_then(|index| entries.get_mut(index)) {
            Some(known) => losses.below(&entry.key, |losses| {
                fill_in(&mut known.value, entry.value, entry.line, losses);
            }),
            None => entries.push(entry),
        }
    }
}

/// The values of a later or a lower part that are not used, for warnings: what is written
/// has an effect, or is named.
struct Losses {
    /// Of the value that is being looked at.
    path: String,
    found: Vec<(String, usize)>,
}

impl Losses {
    fn of(entry: &Entry) -> Self {
        Self {
            path: shown(entry.key.expose()).to_owned(),
            found: Vec::new(),
        }
    }

    fn below(&mut self, key: &Secret, look: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        self.path.push('.');
        self.path.push_str(shown(key.expose()));
        look(self);
        self.path.truncate(outer);
    }

    fn note(&mut self, kept: &Node, lost: &Node, line: usize) {
        if kept.to_flow() != lost.to_flow() {
            self.found.push((self.path.clone(), line));
        }
    }

    fn is_how(&self) -> bool {
        matches!(self.path.as_str(), "merge_how" | "merge_type")
    }

    /// A whole value that a later one takes the place of.
    fn replaced(&self, old: &Keyed, file: &str, new: &Entry, problems: &mut Problems) {
        if self.is_how() || old.entry.value.to_flow() == new.value.to_flow() {
            return;
        }
        let place = Place::file(&old.file).line(old.entry.line).key(&self.path);
        let reason = format!("has no effect: {file} has the same key, which replaces it");
        let remedy = "`merge_how` in the later part can join them";
        problems.warn(&place, reason, remedy);
    }

    fn tell(self, file: &str, other: &str, problems: &mut Problems) {
        if self.is_how() {
            return;
        }
        for (path, line) in self.found {
            let reason = format!("has no effect: that of {other} is kept");
            problems.warn(&Place::file(file).line(line).key(path), reason, "");
        }
    }
}

/// What the part itself says comes first, and what its container says is for the types of
/// value that are left.
fn how_of_part(
    file: &str,
    outside: Option<&str>,
    entries: &[Entry],
    problems: &mut Problems,
) -> How {
    let mut refuse = |place: Place| {
        let remedy = "write it like `list(append)+dict(recurse_list)+str()`";
        problems.error(&place, "is not a supported way to merge", remedy);
    };
    let mut mergers = Vec::new();
    let key = |name| entries.iter().find(|entry| entry.key.expose() == name);
    if let Some(entry) = key("merge_how").or_else(|| key("merge_type")) {
        let place = Place::file(file).line(entry.line).key(entry.key.expose());
        match mergers_of(&entry.value) {
            Some(found) => mergers = found,
            None => refuse(place),
        }
    }
    if let Some(text) = outside {
        match mergers_in(text) {
            Some(found) => mergers.extend(found),
            None => refuse(Place::file(file).key("Merge-Type")),
        }
    }
    if mergers.is_empty() {
        return DEFAULT;
    }
    let mut how = How::default();
    for kind in ["dict", "list", "str"] {
        let first = mergers.iter().find(|merger| merger.kind == kind);
        let settings = first.map_or(&[][..], |merger| &merger.settings);
        for setting in settings {
            take(&mut how, kind, setting);
        }
    }
    how
}

/// How values of one type are merged; settings are those that [`take`] knows.
struct Merger {
    kind: String,
    settings: Vec<String>,
}

impl Merger {
    fn new(kind: &str, settings: Vec<String>) -> Option<Self> {
        let mut how = How::default();
        let known = |setting: &String| take(&mut how, kind, setting).is_some();
        (matches!(kind, "dict" | "list" | "str") && settings.iter().all(known)).then(|| Self {
            kind: kind.to_owned(),
            settings,
        })
    }
}

fn mergers_in(text: &str) -> Option<Vec<Merger>> {
    let text = text.to_ascii_lowercase();
    let items = text.split('+').map(str::trim);
    let merger = |item: &str| {
        let (kind, settings) = item.strip_suffix(')')?.split_once('(')?;
        let settings = settings.split(',').map(|setting| setting.trim().to_owned());
        Merger::new(
            kind,
            settings.filter(|setting| !setting.is_empty()).collect(),
        )
    };
    items.filter(|item| !item.is_empty()).map(merger).collect()
}

fn mergers_of(value: &Node) -> Option<Vec<Merger>> {
    if let Some(scalar) = value.scalar() {
        return mergers_in(scalar.text.expose());
    }
    let Kind::Sequence(items) = &value.kind else {
        return None;
    };
    let text = |node: &Node| Some(node.scalar()?.text.expose().to_owned());
    let merger = |item: &Node| {
        let kind = text(item.get("name")?)?;
        let Kind::Sequence(settings) = &item.get("settings")?.kind else {
            return None;
        };
        Merger::new(&kind, settings.iter().map(text).collect::<Option<_>>()?)
    };
    items.iter().map(merger).collect()
}

fn take(how: &mut How, kind: &str, setting: &str) -> Option<()> {
    match (kind, setting) {
        (_, "no_replace") => {}
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
fn meet(old: &mut Node, new: Node, how: How, losses: &mut Losses) -> bool {
    if how.dict_replace {
        *old = new;
        return true;
    }
    let line = new.line;
    match (&mut old.kind, new.kind) {
        (Kind::Sequence(items), Kind::Sequence(more)) if how.joins_lists() => {
            lists(items, more, how)
        }
        (Kind::Mapping(entries), Kind::Mapping(more)) if how.dict_dicts => {
            let mut taken = false;
            let places = places(entries.iter(), &more);
            for (entry, place) in more.into_iter().zip(places) {
                match place.and_then(|index| entries.get_mut(index)) {
                    Some(known) => losses.below(&entry.key, |losses| {
                        taken |= meet(&mut known.value, entry.value, how, losses);
                    }),
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
        (_, kind) => {
            losses.note(old, &Node { line, kind }, line);
            false
        }
    }
}

fn append(text: &mut Scalar, more: &Scalar) {
    text.text = Secret::new(format!("{}{}", text.text.expose(), more.text.expose()));
}

/// `true`, since what [`How::joins_lists`] promises is used.
fn lists(items: &mut Vec<Node>, more: Vec<Node>, how: How) -> bool {
    if how.list_append {
        items.extend(more);
    } else if how.list_prepend {
        items.splice(0..0, more);
    } else {
        for (index, item) in more.into_iter().enumerate() {
            match items.get_mut(index) {
                Some(place) => *place = item,
                None => items.push(item),
            }
        }
    }
    true
}

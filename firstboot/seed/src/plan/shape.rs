//! The list of files checked against itself: whatever would stop a run half-way and can be
//! known before is told before the first write.
//!
//! # Invariants
//! - A list that passes can be written into an empty root, in any order, each entry in a
//!   place of its own.
//! - The cost is that of sorting the paths, however many of them are bad.
use std::cmp::Ordering;

use super::{Content, PlannedFile};
use crate::contract::paths::{OTHER_PATH, OWN_DIRECTORIES, flaw, is_below, quoted};
use crate::text::problem::{Place, Problems};

/// What every image has; the seed's own entries decide what else there will be.
const EVERYWHERE: [(&str, Shape); 9] = [
    ("/etc/group", Shape::File),
    ("/etc/passwd", Shape::File),
    ("/etc/ssl", Shape::Directory),
    ("/etc/systemd", Shape::Directory),
    ("/run/systemd", Shape::Directory),
    ("/var/cache", Shape::Directory),
    ("/var/lib", Shape::Directory),
    ("/var/log", Shape::Directory),
    ("/var/tmp", Shape::Directory),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Also a link: nothing can be below it.
    File,
    Directory,
}

/// One path of a list, with what it will be.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub path: &'a str,
    pub shape: Shape,
    /// Where the seed asks for it; none for what first boot or the image has.
    pub place: Option<&'a Place>,
    /// Whether this is there already, and not to be written.
    pub is_given: bool,
}

impl<'a> Entry<'a> {
    /// What is there, whatever a seed says.
    pub fn given(path: &'a str, shape: Shape) -> Self {
        Self {
            path,
            shape,
            place: None,
            is_given: true,
        }
    }

    /// `None` for a file that will be removed.
    pub fn of(file: &'a PlannedFile) -> Option<Self> {
        let shape = match file.content {
            Content::Bytes(_) | Content::Link(_) => Shape::File,
            Content::Directory => Shape::Directory,
            Content::Absent => return None,
        };
        Some(Self {
            path: &file.path,
            shape,
            place: file.place.as_ref(),
            is_given: false,
        })
    }

    fn place(&self) -> Place {
        self.place
            .cloned()
            .unwrap_or_else(|| Place::file(self.path))
    }
}

/// Checks every path of a plan, alone and against the others. `known` is what the image
/// has, as far as that is known.
pub(super) fn check(files: &[PlannedFile], known: &[(String, Shape)], problems: &mut Problems) {
    let own = OWN_DIRECTORIES.map(|path| (path, Shape::Directory));
    let given = own.into_iter().chain(EVERYWHERE);
    let known = known.iter().map(|(path, shape)| (path.as_str(), *shape));
    let given = given
        .chain(known)
        .map(|(path, shape)| Entry::given(path, shape));
    let planned = files.iter().filter_map(Entry::of);
    let good = planned.filter(|entry| match flaw(entry.path) {
        Some((reason, remedy)) => {
            problems.error(&entry.place(), reason, remedy);
            false
        }
        None => true,
    });
    let entries: Vec<Entry<'_>> = good.chain(given).collect();
    conflicts(entries, problems);
}

/// Tells entries that cannot all be there: two of one path, and one below a file.
pub fn conflicts(mut entries: Vec<Entry<'_>>, problems: &mut Problems) {
    entries.sort_by(|left, right| {
        by_parts(left.path, right.path)
            .then(right.is_given.cmp(&left.is_given))
            .then(left.place.is_some().cmp(&right.place.is_some()))
    });
    // The entries that the current one is below, the nearest last.
    let mut above: Vec<Entry<'_>> = Vec::new();
    for entry in entries {
        while let Some(top) = above.last() {
            if is_below(entry.path, top.path) || entry.path == top.path {
                break;
            }
            above.pop();
        }
        match above.last() {
            Some(top) if entry.path == top.path => {
                same_path(top, &entry, problems);
                // A directory counts among those above, whatever else is asked for there.
                if top.shape == Shape::Directory {
                    continue;
                }
                above.pop();
            }
            Some(top) if top.shape == Shape::File => below_file(top, &entry, problems),
            _ => {}
        }
        above.push(entry);
    }
}

/// By the parts of the paths: what is below a path follows it directly.
fn by_parts(left: &str, right: &str) -> Ordering {
    let key = |byte: u8| if byte == b'/' { 0 } else { byte };
    left.bytes().map(key).cmp(right.bytes().map(key))
}

fn same_path(first: &Entry<'_>, second: &Entry<'_>, problems: &mut Problems) {
    let harmless = first.shape == second.shape && (first.is_given || second.is_given);
    if harmless || (first.shape, second.shape) == (Shape::Directory, Shape::Directory) {
        return;
    }
    let place = match second.place.or(first.place) {
        Some(place) => place.clone(),
        None => Place::file(second.path),
    };
    let path = quoted(second.path);
    let (reason, remedy) = match (first, second) {
        _ if first.shape != second.shape => (
            format!("asks for a file at {path}, which is a directory"),
            OTHER_PATH.to_owned(),
        ),
        (
            Entry {
                place: Some(other), ..
            },
            Entry { place: Some(_), .. },
        ) => (
            format!("asks for {path}, and so does {}", shown(other)),
            "leave one of them out".to_owned(),
        ),
        _ => (
            format!(
                "asks for {path}, which is a file that first boot itself writes, and the seed writes it too"
            ),
            "use the keys of `nodeimg:` for it".to_owned(),
        ),
    };
    problems.error(&place, reason, remedy);
}

fn below_file(file: &Entry<'_>, entry: &Entry<'_>, problems: &mut Problems) {
    if entry.is_given && file.is_given {
        return;
    }
    let (above, below) = (quoted(file.path), quoted(entry.path));
    let what = match file.place.filter(|_| entry.place.is_some()) {
        Some(place) => format!("which is a file ({})", shown(place)),
        None => "which is a file".to_owned(),
    };
    // The seed can be corrected, and only there.
    match (entry.place, file.place) {
        (None, Some(place)) => {
            let reason =
                format!("asks for a file at {above}, which must be a directory, for {below}");
            problems.error(place, reason, OTHER_PATH);
        }
        _ => {
            let reason = format!("asks for {below}, which is below {above}, {what}");
            problems.error(&entry.place(), reason, OTHER_PATH);
        }
    }
}

fn shown(place: &Place) -> String {
    let mut text = place.file.clone();
    if let Some(line) = place.line {
        text.push_str(&format!(":{line}"));
    }
    if let Some(key) = &place.key {
        text.push_str(&format!(": {key}"));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Entry, Shape, conflicts};
    use crate::text::problem::{Place, Problems};

    fn told(entries: &[(&str, Shape, Option<usize>)]) -> Vec<String> {
        let places: Vec<Option<Place>> = entries
            .iter()
            .map(|(.., line)| line.map(|line| Place::file("u").line(line).key("write_files.path")))
            .collect();
        let entries = entries.iter().zip(&places);
        let entries = entries.map(|((path, shape, _), place)| Entry {
            path,
            shape: *shape,
            place: place.as_ref(),
            is_given: false,
        });
        let mut problems = Problems::new();
        conflicts(entries.collect(), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn entries_that_cannot_all_be_there() {
        use Shape::{Directory, File};
        let none: [String; 0] = [];
        // Names that sort between a path and what is below it.
        assert_eq!(
            told(&[
                ("/etc/q", Directory, None),
                ("/etc/q/r", File, Some(1)),
                ("/etc/q-x", File, Some(2)),
                ("/etc/q/r.d/x", File, Some(3)),
                ("/home/a", Directory, Some(4)),
                ("/home/a", Directory, Some(5)),
            ]),
            none
        );
        let found = told(&[
            ("/etc/q", File, Some(1)),
            ("/etc/q-x", File, None),
            ("/etc/q.d", File, None),
            ("/etc/q/r", File, Some(2)),
            ("/etc/q/r/s/t", File, Some(3)),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("u:2: write_files.path: asks for `/etc/q/r`, which is below `/etc/q`, which is a file (u:1: "), "{found:?}");
        assert!(found[1].starts_with("u:3: "), "{found:?}");
        // What the seed asks for is blamed, not what first boot writes.
        let found = told(&[("/etc/ssh", File, Some(7)), ("/etc/ssh/keys/a", File, None)]);
        assert!(
            found[0].starts_with("u:7: ") && found[0].contains("`/etc/ssh/keys/a`"),
            "{found:?}"
        );
        let found = told(&[("/etc/x", File, Some(1)), ("/etc/x", File, Some(2))]);
        assert!(found[0].contains("and so does u:1"), "{found:?}");
        let found = told(&[("/etc/x", File, Some(1)), ("/etc/x", File, None)]);
        assert!(
            found[0].starts_with("u:1: ") && found[0].contains("first boot itself writes"),
            "{found:?}"
        );
        let found = told(&[
            ("/etc/x", Directory, None),
            ("/etc/x", File, Some(9)),
            ("/etc/x/y", File, None),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("u:9: ") && found[0].contains("is a directory"),
            "{found:?}"
        );
    }

    #[test]
    fn many_bad_paths_cost_no_more_than_sorting_them() {
        let paths: Vec<String> = (0..40_000).map(|n| format!("/etc/q/{n:0>200}")).collect();
        let mut entries: Vec<(&str, Shape, Option<usize>)> = paths
            .iter()
            .map(|path| (path.as_str(), Shape::File, Some(1)))
            .collect();
        entries.push(("/etc/q", Shape::File, Some(2)));
        let began = std::time::Instant::now();
        assert!(!told(&entries).is_empty());
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }
}

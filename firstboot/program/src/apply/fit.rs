//! Whether a plan fits the tree that it is for, checked before the first write: what a
//! path leads to here, and what is in the way.
use std::collections::{BTreeSet, HashMap};

use nodeimg_seed::contract::paths::{OTHER_PATH, VOLATILE, is_below, is_own_state, quoted};
use nodeimg_seed::plan::shape::{Entry, conflicts};
use nodeimg_seed::plan::{Plan, PlannedFile, Shape};
use nodeimg_seed::text::problem::{Place, Problems};

use super::{MAX_ORIGINAL, State, original};
use crate::root::Root;

/// The most entries of a directory that is to give way to a file.
const MOST: usize = 1000;

/// What is at a directory's path.
#[derive(Clone)]
enum Found {
    /// Its own path, without links.
    Directory(String),
    Absent,
    /// The reason why nothing can be below it.
    Wrong(String),
}

struct Ground<'a> {
    root: &'a Root,
    /// Files that give way to this plan without anything in their place.
    going: BTreeSet<&'a str>,
    writable: &'a [String],
    seen: HashMap<String, Found>,
}

/// Tells of everything in the tree that the plan cannot replace.
pub(crate) fn check(
    root: &Root,
    plan: &Plan,
    state: &State,
    writable: &[String],
    problems: &mut Problems,
) {
    let before = state.files();
    let planned: BTreeSet<&str> = plan.files.iter().map(|file| file.path.as_str()).collect();
    let gone = |path: &&str| !planned.contains(path) && !root.exists(&original(path));
    let mut ground = Ground {
        root,
        going: before.iter().map(String::as_str).filter(gone).collect(),
        writable,
        seen: HashMap::new(),
    };
    let mut real = Vec::new();
    let mut told = BTreeSet::new();
    for file in &plan.files {
        let Some(entry) = Entry::of(file) else {
            continue;
        };
        match ground.real(file) {
            Ok(path) => {
                let is_ours = before.contains(&file.path);
                if let Some((reason, remedy)) = ground.in_the_way(file, entry.shape, is_ours) {
                    problems.error(&place_of(file), reason, remedy);
                }
                real.push((path, entry));
            }
            Err(reason) => {
                // Every file of first boot would say the same of the image.
                let reason = match file.place.is_some() {
                    true => format!("asks for {}: {reason}", quoted(&file.path)),
                    false => reason,
                };
                if file.place.is_some() || told.insert(reason.clone()) {
                    problems.error(&place_of(file), reason, OTHER_PATH);
                }
            }
        }
    }
    // Without links, the plan has been checked against itself.
    if real.iter().any(|(path, entry)| path != entry.path) {
        let entries = real.iter().map(|(path, entry)| Entry { path, ..*entry });
        conflicts(entries.collect(), problems);
    }
}

fn place_of(file: &PlannedFile) -> Place {
    let place = file.place.clone();
    place.unwrap_or_else(|| Place::file(&file.path))
}

impl Ground<'_> {
    /// A planned file's own path, without links.
    fn real(&mut self, file: &PlannedFile) -> Result<String, String> {
        let (parent, name) = file.path.rsplit_once('/').unwrap_or_default();
        let mut real = String::new();
        let ends = parent.match_indices('/').skip(1).map(|(end, _)| end);
        for end in ends.chain(Some(parent.len())).filter(|end| *end > 0) {
            match self.directory(&parent[..end]) {
                Found::Directory(path) => real = path.trim_end_matches('/').to_owned(),
                Found::Absent => {
                    let start = parent[..end].rfind('/').unwrap_or_default();
                    real.push_str(&parent[start..]);
                    break;
                }
                Found::Wrong(reason) => return Err(reason),
            }
        }
        let real = format!("{real}/{name}");
        if real == file.path {
            return Ok(real);
        }
        let given = self.writable.iter().map(String::as_str);
        let mut places = VOLATILE.into_iter().chain(given);
        if places.any(|place| is_below(&real, place)) && !is_own_state(&real) {
            return Ok(real);
        }
        Err(format!(
            "it leads through a link to {}, where a seed may not write",
            quoted(&real)
        ))
    }

    fn directory(&mut self, path: &str) -> Found {
        if let Some(found) = self.seen.get(path) {
            return found.clone();
        }
        let found = self.look(path);
        self.seen.insert(path.to_owned(), found.clone());
        found
    }

    fn look(&self, path: &str) -> Found {
        let shown = quoted(path);
        if let Ok(real) = self.root.real_directory(path) {
            return Found::Directory(real);
        }
        match self.root.stat(path) {
            Ok(None) => Found::Absent,
            Ok(Some(_)) if self.going.contains(path) => Found::Absent,
            Ok(Some(stat)) if stat.is_link() => Found::Wrong(format!(
                "{shown} is a dangling link, but must be a directory"
            )),
            Ok(Some(_)) => Found::Wrong(format!("{shown} is a file, but must be a directory")),
            Err(error) => Found::Wrong(format!("{shown} cannot be read: {error}")),
        }
    }

    /// What at the path itself keeps the plan from being written, and the remedy.
    fn in_the_way(
        &self,
        file: &PlannedFile,
        shape: Shape,
        is_ours: bool,
    ) -> Option<(String, String)> {
        let path = quoted(&file.path);
        let stat = match self.root.stat(&file.path) {
            Ok(stat) => stat?,
            Err(error) => {
                let reason = format!("asks for {path}, which cannot be looked at: {error}");
                return Some((reason, OTHER_PATH.to_owned()));
            }
        };
        if shape == Shape::Directory {
            let is_directory = self.root.real_directory(&file.path).is_ok();
            let fits = is_directory || self.going.contains(file.path.as_str());
            let reason = format!("asks for a directory at {path}, where there is a file");
            return (!fits).then(|| (reason, OTHER_PATH.to_owned()));
        }
        if stat.is_directory() {
            let mut left = MOST;
            let reason = format!("asks for a file at {path}, which is a directory of this node");
            return (!self.gives_way(&file.path, &mut left))
                .then(|| (reason, OTHER_PATH.to_owned()));
        }
        let most = u64::try_from(MAX_ORIGINAL).unwrap_or(u64::MAX);
        if stat.is_file() && stat.size > most && file.may_replace() && !is_ours {
            let reason = format!(
                "replaces {path}, a file of {} bytes: at most {most} can be kept and put back",
                stat.size
            );
            return Some((reason, OTHER_PATH.to_owned()));
        }
        None
    }

    /// Whether nothing is left of a directory once the files of the instance before are gone.
    fn gives_way(&self, directory: &str, left: &mut usize) -> bool {
        let names = self.root.list(directory).unwrap_or_default();
        *left = left.saturating_sub(names.len());
        let goes = |(name, is_directory): (String, bool)| {
            let path = format!("{directory}/{name}");
            match is_directory {
                true => self.gives_way(&path, left),
                false => self.going.contains(path.as_str()),
            }
        };
        let all = names.into_iter().all(goes);
        let known = |path: &&str| is_below(path, directory);
        all && *left > 0 && self.going.iter().any(known)
    }
}

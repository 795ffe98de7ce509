//! Files of the instance that are out of force but not gone, for as long as it is not
//! decided whether another instance takes its place.
//!
//! A network must be in force before its seed can be checked to the end, and networkd reads
//! every file of its directory. So the old instance's files get names that networkd does
//! not read: they are back as soon as the new seed is refused, or at the next boot after a
//! power cut.
use nodeimg_seed::contract::stamp::Stamp;
use nodeimg_seed::text::problem::{Place, Problems};

use super::{Failure, State, failing, remedy_for};
use crate::root::Root;
use crate::root::gate::Gate;

const SUFFIX: &str = ".nodeimg-old";

pub(super) fn name_of(path: &str) -> String {
    format!("{path}{SUFFIX}")
}

/// Earlier instances' files below a directory.
pub(crate) fn files(root: &Root, state: &State, directory: &str) -> Vec<String> {
    let files = state.files().into_iter();
    let below = |path: &String| {
        let rest = path.strip_prefix(directory);
        rest.is_some_and(|rest| rest.starts_with('/')) && root.exists(path)
    };
    files.filter(below).collect()
}

/// Puts files out of force.
pub(crate) fn put(root: &Root, paths: &[String], gate: &mut dyn Gate) -> Result<(), Failure> {
    for path in paths {
        let renamed = root.rename(path, &name_of(path), gate);
        failing(root, "putting it aside", path, renamed)?;
    }
    match paths.last() {
        Some(path) => failing(
            root,
            "syncing its directory",
            path,
            root.sync_parent(path, gate),
        ),
        None => Ok(()),
    }
}

/// What is aside in a directory comes back if it is the finished instance's, and is removed
/// if it is not; while no instance is finished, it stays. Returns whether anything came back.
pub(crate) fn settle(
    root: &Root,
    stamp: Option<&Stamp>,
    directory: &str,
    problems: &mut Problems,
    gate: &mut dyn Gate,
) -> bool {
    let Some(stamp) = stamp else { return false };
    let mut back = false;
    for (name, _) in root.list(directory).unwrap_or_default() {
        let Some(own) = name.strip_suffix(SUFFIX) else {
            continue;
        };
        let (aside, path) = (format!("{directory}/{name}"), format!("{directory}/{own}"));
        let is_current = stamp.all_files().any(|file| *file == path) && !root.exists(&path);
        let done = match is_current {
            true => root.rename(&aside, &path, gate),
            false => root.remove(&aside, gate),
        };
        back |= is_current;
        if let Err(error) = done.and_then(|()| root.sync_parent(&path, gate)) {
            let reason = format!("cannot be put back or removed: {error}");
            problems.warn(&Place::file(root.shown(&aside)), reason, remedy_for(&error));
        }
    }
    back
}

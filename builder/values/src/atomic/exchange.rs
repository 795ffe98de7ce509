//! Two directories of one directory change places.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{hidden, parent};
use crate::system;

/// Where the old directory is while the new one takes its place in steps.
const ASIDE: &str = ".aside";
const OLD: &str = "old";

/// Swaps two directories, in one step where that can be, so that the final name is never free.
pub fn exchange(temp: &Path, to: &Path) -> io::Result<()> {
    match system::exchange(temp, to)? {
        true => Ok(()),
        false => exchange_by_steps(temp, to),
    }
}

/// The same in three renames, under the lock of the directory that both are in. What a
/// kill between them leaves is put back by [`put_back`].
pub fn exchange_by_steps(temp: &Path, to: &Path) -> io::Result<()> {
    let prefix = hidden(to).map_err(io::Error::other)?;
    let mut aside = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(ASIDE)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent(to))?;
    // Never removed with something in it.
    aside.disable_cleanup(true);
    let old = aside.path().join(OLD);
    fs::rename(to, &old)?;
    let moved = fs::rename(temp, to);
    let back = if moved.is_ok() { temp } else { to };
    fs::rename(&old, back)?;
    let _ = fs::remove_dir(aside.path());
    moved
}

/// Puts back what was moved aside when a process was killed before anything took its
/// place, under the lock of `directory`.
pub fn put_back(directory: &Path, prefix: &str, to: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|name| name.starts_with(prefix) && name.ends_with(ASIDE));
        if !ours {
            continue;
        }
        let old = entry.path().join(OLD);
        if fs::symlink_metadata(to).is_err() {
            let _ = fs::rename(&old, to);
        }
        let _ = fs::remove_dir_all(entry.path());
    }
}

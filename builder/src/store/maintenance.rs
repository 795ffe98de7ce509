//! `nodeimg store gc` and `nodeimg store verify`.
//!
//! # Invariants
//! - Only files that the store has made, by their names and places, are removed,
//!   and only in a store that is marked as one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nodeimg_values::digest::{Algorithm, Digest};
use serde::Serialize;
use walkdir::WalkDir;

use super::mark::{self, USE_LOCK};
use super::place::{self, Part};
use super::{Hashed, Store, hash};

/// What a clean-up took away, or would take away.
#[derive(Debug, Default, Serialize)]
pub struct GcReport {
    pub removed: Vec<PathBuf>,
    /// In bytes.
    pub freed: u64,
    /// In bytes, of what stays.
    pub kept: u64,
    /// In bytes, of what stays for a lock that names it; counted for a budget alone.
    pub named: u64,
    /// What the store has not made, and left alone.
    pub foreign: Vec<PathBuf>,
}

/// What a look at every blob found.
#[derive(Debug, Default, Serialize)]
pub struct VerifyReport {
    pub checked: usize,
    /// In bytes.
    pub size: u64,
    /// Blobs whose bytes were not their name's; they are dropped.
    pub dropped: Vec<PathBuf>,
    /// What the store has not made, and left alone.
    pub foreign: Vec<PathBuf>,
}

impl Store {
    /// Removes what no build has used for `unused_for`. Refuses while a build
    /// runs on this store.
    pub fn gc(root: &Path, unused_for: Duration, dry_run: bool) -> Result<GcReport> {
        let _alone = alone(root)?;
        let limit = SystemTime::now()
            .checked_sub(unused_for)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let mut report = GcReport::default();
        for part in Part::ALL {
            for path in files_of(root, part, &mut report.foreign)? {
                let looked = || format!("looking at {}", path.display());
                let meta = fs::symlink_metadata(&path).with_context(looked)?;
                if last_use(&path)? >= limit {
                    report.kept += meta.len();
                    continue;
                }
                if !dry_run {
                    fs::remove_file(&path)
                        .with_context(|| format!("removing {}", path.display()))?;
                }
                report.freed += meta.len();
                report.removed.push(path);
            }
        }
        Ok(report)
    }

    /// Hashes every blob and drops those that are not what their name says.
    pub fn verify(&self) -> Result<VerifyReport> {
        if let Some(why) = self.only_read() {
            bail!(
                "the store {} {why}: its owner can verify it",
                self.root().display()
            );
        }
        mark::check(&self.root)?;
        let mut report = VerifyReport::default();
        for path in files_of(&self.root, Part::Blobs, &mut report.foreign)? {
            let name = path.file_name().and_then(|n| n.to_str());
            let named = Digest::new(Algorithm::Sha256, name.unwrap_or_default())?;
            report.checked += 1;
            match hash(&path, &named, &[])? {
                Hashed::Good { got, .. } => report.size += got.size,
                Hashed::Missing => {}
                Hashed::Bad(_) => {
                    place::clear(&path).with_context(|| format!("dropping {}", path.display()))?;
                    report.dropped.push(path);
                }
            }
        }
        Ok(report)
    }
}

/// The store at `root`, while no build runs on it.
pub(super) fn alone(root: &Path) -> Result<Flock<File>> {
    mark::check(root)?;
    let file = place::own(&root.join(USE_LOCK))
        .with_context(|| format!("opening the store {}", root.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err(_) => bail!(
            "the store {} is in use by a running nodeimg: try again when that has finished",
            root.display()
        ),
    }
}

/// A derived file lives as long as its record is used.
pub(super) fn last_use(path: &Path) -> Result<SystemTime> {
    let record = path.with_extension("record");
    let of = match fs::symlink_metadata(&record) {
        Ok(_) => &record,
        Err(_) => path,
    };
    fs::symlink_metadata(of)
        .and_then(|m| m.modified())
        .with_context(|| format!("looking at {}", of.display()))
}

/// What the store has made in one of its directories, in order. No link is followed.
pub(super) fn files_of(
    root: &Path,
    part: Part,
    foreign: &mut Vec<PathBuf>,
) -> Result<Vec<PathBuf>> {
    let directory = root.join(part.name());
    let mut files = Vec::new();
    let walk = WalkDir::new(&directory).follow_root_links(false);
    for entry in walk.sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e)
                if e.io_error()
                    .is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) =>
            {
                continue;
            }
            Err(e) => return Err(e).context("listing the store"),
        };
        let below = entry
            .path()
            .strip_prefix(&directory)
            .unwrap_or(Path::new(""));
        let is_ours = part.has(below);
        match entry.file_type().is_dir() {
            // A directory in a file's place is moved aside when that file is wanted.
            true => {}
            false if is_ours => files.push(entry.into_path()),
            false => foreign.push(entry.into_path()),
        }
    }
    Ok(files)
}

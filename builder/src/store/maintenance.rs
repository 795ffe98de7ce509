//! `nodeimg store gc` and `nodeimg store verify`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nodeimg_values::digest::{Algorithm, Digest, Hasher};
use serde::Serialize;
use walkdir::WalkDir;

use super::{Store, open_lock_file};

/// What a clean-up took away, or would take away.
#[derive(Debug, Default, Serialize)]
pub struct GcReport {
    pub removed: Vec<PathBuf>,
    /// In bytes.
    pub freed: u64,
    /// In bytes, of what stays.
    pub kept: u64,
}

/// What a look at every blob found.
#[derive(Debug, Default, Serialize)]
pub struct VerifyReport {
    pub checked: usize,
    /// In bytes.
    pub size: u64,
    /// Blobs whose bytes were not their name's; they are dropped.
    pub dropped: Vec<PathBuf>,
}

impl Store {
    /// Removes what no build has used for `unused_for`. Refuses while a build
    /// runs on this store.
    pub fn gc(root: &Path, unused_for: Duration, dry_run: bool) -> Result<GcReport> {
        let file = open_lock_file(&root.join("use.lock"))
            .with_context(|| format!("opening the store {}", root.display()))?;
        let Ok(_alone) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            bail!(
                "the store {} is in use by a running nodeimg: try again when that has finished",
                root.display()
            );
        };
        let limit = SystemTime::now()
            .checked_sub(unused_for)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let mut report = GcReport::default();
        for path in files_below(root, &["blobs", "sha512", "derived", "built", "partial"])? {
            let meta =
                fs::metadata(&path).with_context(|| format!("looking at {}", path.display()))?;
            if last_use(&path)? >= limit {
                report.kept += meta.len();
                continue;
            }
            if !dry_run {
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
            report.freed += meta.len();
            report.removed.push(path);
        }
        Ok(report)
    }

    /// Hashes every blob and drops those that are not what their name says.
    pub fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        for path in files_below(&self.root, &["blobs"])? {
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            let named = Digest::new(Algorithm::Sha256, name).ok();
            let got = File::open(&path)
                .and_then(|file| Hasher::measure(file, &[]))
                .with_context(|| format!("reading {}", path.display()))?;
            report.checked += 1;
            report.size += got.size;
            if named.as_ref() != Some(&got.sha256) {
                fs::remove_file(&path).with_context(|| format!("dropping {}", path.display()))?;
                report.dropped.push(path);
            }
        }
        Ok(report)
    }
}

/// A derived file lives as long as its record is used.
fn last_use(path: &Path) -> Result<SystemTime> {
    let record = path.with_extension("record");
    let of = if record.exists() { &record } else { path };
    fs::metadata(of)
        .and_then(|m| m.modified())
        .with_context(|| format!("looking at {}", of.display()))
}

fn files_below(root: &Path, parts: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for part in parts {
        for entry in WalkDir::new(root.join(part)).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() => files.push(entry.into_path()),
                Ok(_) => {}
                Err(e)
                    if e.io_error()
                        .is_some_and(|e| e.kind() == io::ErrorKind::NotFound) => {}
                Err(e) => return Err(e).context("listing the store"),
            }
        }
    }
    Ok(files)
}

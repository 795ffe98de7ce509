//! A store that keeps to a budget: what was used least lately goes first, and what locks name
//! stays.
//!
//! ```text
//! locks/<64 hex of the path's digest>   the path of a lock that was built or fetched from
//! ```
//! A lock that is no longer there names nothing. Digests are looked for in the lock's text as
//! they stand there, and in the documents of container images that it names, which name others.
//!
//! # Invariants
//! - No blob that a lock names is removed for a budget: it may be gone from where it came from.
//!   What was made of blobs can be made again.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use nodeimg_values::digest::{Algorithm, Digest};

use super::alias::alias;
use super::maintenance::{GcReport, alone, files_of, last_use};
use super::place::{self, Part, There};
use super::{Store, blob_path, touch};

/// More than any document of a container image has.
const MAX_DOCUMENT: u64 = 4 << 20;

impl Store {
    /// From now on, what the lock at `path` names outlives every budget, while that is there.
    pub fn remember_lock(&self, path: &Path) -> Result<()> {
        let context = || format!("remembering {} in the store", path.display());
        let path = fs::canonicalize(path).with_context(context)?;
        let bytes = path.as_os_str().as_bytes();
        let note = self.root.join(Part::Locks.name());
        let note = note.join(Digest::sha256(bytes).hex());
        if let There::File(file, _) = place::look(&note).with_context(context)? {
            touch(&file);
            return Ok(());
        }
        place::write(&note, bytes).with_context(context)
    }

    /// The locks that are still there.
    pub fn remembered_locks(root: &Path) -> Result<Vec<PathBuf>> {
        let mut locks = Vec::new();
        for note in files_of(root, Part::Locks, &mut Vec::new())? {
            let bytes = fs::read(&note).with_context(|| format!("reading {}", note.display()))?;
            let lock = PathBuf::from(std::ffi::OsString::from_vec(bytes));
            if lock.is_file() {
                locks.push(lock);
            }
        }
        Ok(locks)
    }

    /// Removes what was used least lately until `budget` bytes are left; `locks` are the texts
    /// of those whose blobs stay. Refuses while a build runs on this store.
    pub fn gc_to(root: &Path, budget: u64, locks: &[String], dry_run: bool) -> Result<GcReport> {
        let _alone = alone(root)?;
        let named = named(root, locks)?;
        let mut report = GcReport::default();
        let mut files: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
        for part in Part::ALL {
            for path in files_of(root, part, &mut report.foreign)? {
                let looked = || format!("looking at {}", path.display());
                let size = fs::symlink_metadata(&path).with_context(looked)?.len();
                report.kept += size;
                if stays(part, &path, &named) {
                    report.named += size;
                } else {
                    files.push((last_use(&path)?, path, size));
                }
            }
        }
        files.sort();
        for (_, path, size) in files {
            if report.kept <= budget {
                break;
            }
            if !dry_run {
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
            report.kept -= size;
            report.freed += size;
            report.removed.push(path);
        }
        Ok(report)
    }
}

fn stays(part: Part, path: &Path, named: &BTreeSet<String>) -> bool {
    let is_named = || {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| named.contains(name))
    };
    match part {
        Part::Locks => true,
        Part::Blobs | Part::Aliases => is_named(),
        Part::Derived | Part::Built | Part::Partial => false,
    }
}

/// Every digest, in hex, that the locks name, and that what they name names.
fn named(root: &Path, locks: &[String]) -> Result<BTreeSet<String>> {
    let mut named = BTreeSet::new();
    let mut left: Vec<String> = locks.iter().flat_map(|text| digests(text)).collect();
    while let Some(hex) = left.pop() {
        if !named.insert(hex.clone()) {
            continue;
        }
        match Algorithm::by_hex_len(hex.len()) {
            Some(Algorithm::Sha512) => {
                let there = alias(root, &Digest::new(Algorithm::Sha512, &hex)?);
                left.extend(there.map(|(sha256, _)| sha256.hex().to_owned()));
            }
            _ => left.extend(digests(&document(root, &hex)?)),
        }
    }
    Ok(named)
}

/// The text of the blob, if it is a document.
fn document(root: &Path, hex: &str) -> Result<String> {
    let path = blob_path(root, &Digest::new(Algorithm::Sha256, hex)?);
    let context = || format!("reading {}", path.display());
    let There::File(mut file, meta) = place::look(&path).with_context(context)? else {
        return Ok(String::new());
    };
    let mut first = [0];
    let mut is_json = || file.read_exact(&mut first).is_ok_and(|()| first == *b"{");
    if meta.len() > MAX_DOCUMENT || !is_json() {
        return Ok(String::new());
    }
    let bytes = fs::read(&path).with_context(context)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What has the length of a SHA-256 or a SHA-512 in hex.
fn digests(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_hexdigit());
    words
        .filter(|word| Algorithm::by_hex_len(word.len()).is_some())
        .map(str::to_ascii_lowercase)
        .collect()
}

//! The record beside a derived file: what it stands for, and which file it was
//! written for.
//!
//! It names its own place, so that the record of one derived file, moved or
//! linked beside another, is worth nothing there.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nodeimg_values::digest::Digest;
use serde::{Deserialize, Serialize};

use super::place::{self, There};

/// Longer ones are not ours.
const LONGEST: u64 = 4096;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What the file is derived by and from: `<what>/<64 hex>`.
    key: String,
    pub sha256: Digest,
    pub size: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Record {
    /// Of the derived file `file` at `path`.
    pub fn of(path: &Path, file: &Metadata, sha256: Digest) -> Record {
        Record {
            key: key(path),
            sha256,
            size: file.len(),
            inode: file.ino(),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// Puts it beside the derived file at `path`.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        place::write(&record_path(path), &serde_json::to_vec(self)?)
    }

    fn fits(&self, path: &Path, file: &Metadata) -> bool {
        self.key == key(path)
            && self.inode == file.ino()
            && self.changed == (file.ctime(), file.ctime_nsec())
            && self.size == file.len()
    }
}

fn key(path: &Path) -> String {
    let end: PathBuf = path
        .iter()
        .skip(path.iter().count().saturating_sub(2))
        .collect();
    end.to_string_lossy().into_owned()
}

fn record_path(path: &Path) -> PathBuf {
    path.with_extension("record")
}

/// The derived file at `path` with its record, if that is of this very file and
/// nobody else could write either. Its bytes are not checked yet.
pub fn recorded(path: &Path) -> Result<Option<(Record, File, File)>> {
    let context = || format!("reading {}", path.display());
    let look = |path: &Path| match place::look(path) {
        Ok(There::File(file, meta)) if place::is_ours(&meta) => Ok(Some((file, meta))),
        // It is made again, over what lies there.
        Ok(_) => Ok(None),
        Err(e) if place::is_rotten(&e) => Ok(None),
        Err(e) => Err(e),
    };
    let Some((record, _)) = look(&record_path(path)).with_context(context)? else {
        return Ok(None);
    };
    let Some((file, meta)) = look(path).with_context(context)? else {
        return Ok(None);
    };
    let mut text = Vec::new();
    if (&record).take(LONGEST).read_to_end(&mut text).is_err() {
        return Ok(None);
    }
    let known = serde_json::from_slice::<Record>(&text).ok();
    let known = known.filter(|known| known.fits(path, &meta));
    Ok(known.map(|known| (known, record, file)))
}

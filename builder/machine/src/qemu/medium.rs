//! The medium that a machine finds its seed on.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Format;
use super::command::Medium;
use super::state::State;

/// The seed's medium: made of a directory for this run, or the user's own.
pub struct SeedMedium {
    path: PathBuf,
    format: Format,
    is_ours: bool,
}

impl SeedMedium {
    pub fn of(path: &Path, state: &State) -> Result<SeedMedium> {
        let context = || format!("looking for the seed {}", path.display());
        if std::fs::metadata(path).with_context(context)?.is_dir() {
            return Ok(SeedMedium {
                path: state.medium(path)?,
                format: Format::Raw,
                is_ours: true,
            });
        }
        let mut head = Vec::new();
        let file = File::open(path).with_context(context)?;
        file.take(4).read_to_end(&mut head).with_context(context)?;
        let qcow2 = head == b"QFI\xfb";
        Ok(SeedMedium {
            path: std::fs::canonicalize(path).with_context(context)?,
            format: if qcow2 { Format::Qcow2 } else { Format::Raw },
            is_ours: false,
        })
    }

    /// A node may wipe secrets off a medium; not off the user's.
    pub fn medium(&self) -> Medium<'_> {
        Medium {
            path: &self.path,
            format: self.format,
            writable: self.is_ours,
        }
    }
}

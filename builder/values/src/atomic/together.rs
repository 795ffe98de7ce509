//! Many directories that take their places together, so that the disk is waited for once: it
//! takes about as long to flush a hundred small files as to flush one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::FlockArg;
use tempfile::TempDir;

use super::{OutDir, exchange, lock, parent, sync_directory};
use crate::system;

/// The directory that another one has replaced.
pub struct Replaced {
    /// The temporary name is its name now.
    temp: TempDir,
    to: PathBuf,
}

impl Replaced {
    pub fn remove(self) -> Result<()> {
        match self.temp.close() {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("removing what {} was", self.to.display()))
            }
            _ => Ok(()),
        }
    }
}

impl OutDir {
    /// Takes its place, under the lock of the directory that it is in.
    pub(super) fn place(self) -> Result<Option<Replaced>> {
        let context = || format!("putting {} in its place", self.to.display());
        self.kind.check(&self.to)?;
        if self.to.exists() {
            exchange(self.temp.path(), &self.to).with_context(context)?;
            let (temp, to) = (self.temp, self.to);
            return Ok(Some(Replaced { temp, to }));
        }
        fs::rename(self.temp.path(), &self.to).with_context(context)?;
        // The name is taken: there is nothing left to remove.
        let _ = self.temp.keep();
        Ok(None)
    }

    /// Puts directories in their places, which are in `directory`, for good even if the power
    /// fails. Nobody needs to have flushed what is in them.
    pub fn commit_together(all: Vec<OutDir>, directory: &Path) -> Result<()> {
        debug_assert!(all.iter().all(|out| parent(&out.to) == directory));
        let flushed = File::open(directory).and_then(|file| system::flush_around(&file));
        if !flushed.with_context(|| format!("flushing {}", directory.display()))? {
            all.iter().try_for_each(flush)?;
        }
        let _turn = lock(directory, FlockArg::LockExclusive);
        let replaced: Vec<_> = all.into_iter().map(OutDir::place).collect();
        sync_directory(directory)?;
        for replaced in replaced {
            replaced?.map_or(Ok(()), Replaced::remove)?;
        }
        Ok(())
    }
}

/// One file after the other.
pub(super) fn flush(out: &OutDir) -> Result<()> {
    let context = || format!("flushing {}", out.to.display());
    for entry in fs::read_dir(out.path()).with_context(context)? {
        let file = entry.and_then(|entry| File::open(entry.path()));
        file.and_then(|file| file.sync_all())
            .with_context(context)?;
    }
    sync_directory(out.path())
}

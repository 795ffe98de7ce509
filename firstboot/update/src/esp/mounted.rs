//! Where the partition is mounted.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::statvfs::statvfs;
use nix::unistd::syncfs;

use super::{DIRECTORY, Esp, File, TEMPORARY};

/// A directory that the EFI system partition is mounted on.
pub struct Mounted(PathBuf);

impl Mounted {
    /// # Errors
    /// It has no directory of boot entries.
    pub fn open(at: &Path) -> Result<Mounted> {
        let directory = at.join(DIRECTORY);
        let found = fs::metadata(&directory);
        let found =
            found.with_context(|| format!("the EFI system partition at {}", at.display()))?;
        anyhow::ensure!(found.is_dir(), "{} is not a directory", directory.display());
        Ok(Mounted(directory))
    }

    fn sync(&self) -> Result<()> {
        let directory = fs::File::open(&self.0).context("opening the boot entries")?;
        directory.sync_all().context("flushing the boot entries")?;
        syncfs(&directory).context("flushing the EFI system partition")
    }
}

impl Esp for Mounted {
    fn list(&self) -> Result<Vec<File>> {
        let shown = || format!("reading {}", self.0.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0).with_context(shown)? {
            let entry = entry.with_context(shown)?;
            let metadata = entry.metadata().with_context(shown)?;
            if metadata.is_file() {
                files.push(File {
                    name: entry.file_name().to_string_lossy().into_owned(),
                    size: metadata.len(),
                });
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.0.join(name);
        fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    fn free(&self) -> Result<u64> {
        let space = statvfs(&self.0).context("asking for the room on the EFI system partition")?;
        Ok(space.blocks_available() as u64 * space.fragment_size() as u64)
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        let path = self.0.join(name);
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        self.sync()
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let (path, temporary) = (self.0.join(name), self.0.join(format!("{TEMPORARY}{name}")));
        let failed = || format!("writing {}", path.display());
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(failed);
            }
            _ => {}
        }
        let mut file = fs::File::create_new(&temporary).with_context(failed)?;
        file.write_all(bytes).with_context(failed)?;
        file.sync_all().with_context(failed)?;
        drop(file);
        fs::rename(&temporary, &path).with_context(failed)?;
        self.sync()
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
            .with_context(|| format!("renaming {from} to {to}"))?;
        self.sync()
    }
}

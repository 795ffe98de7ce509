//! The volume itself.

use anyhow::{Context, Result};
use nodeimg_formats::blocks::Blocks;
use nodeimg_formats::fat::{Editor, Found};

use super::{DIRECTORY, Esp, File};

/// A FAT32 volume that nobody has mounted.
pub struct Volume<'a>(Editor<'a>);

impl<'a> Volume<'a> {
    /// Of `size` bytes.
    ///
    /// # Errors
    /// It is not FAT32, or is damaged.
    pub fn open(blocks: &'a dyn Blocks, size: u64) -> Result<Volume<'a>> {
        Editor::open(blocks, size)
            .map(Volume)
            .context("the EFI system partition")
    }

    fn find(&self, name: &str) -> Result<Found> {
        let mut found = self.0.list(DIRECTORY)?.into_iter();
        let found = found.find(|found| found.name == name && !found.is_directory);
        found.with_context(|| format!("the EFI system partition has no {DIRECTORY}/{name}"))
    }
}

impl Esp for Volume<'_> {
    fn list(&self) -> Result<Vec<File>> {
        let found = self.0.list(DIRECTORY)?.into_iter();
        let files = found.filter(|found| !found.is_directory);
        let file = |found: Found| File {
            name: found.name,
            size: found.size,
        };
        Ok(files.map(file).collect())
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.0.read(&self.find(name)?)
    }

    fn free(&self) -> Result<u64> {
        Ok(self.0.free())
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        let found = self.find(name)?;
        self.0.remove(&found)
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.0.create(DIRECTORY, name, bytes)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let found = self.find(from)?;
        self.0.rename(DIRECTORY, &found, to)
    }
}

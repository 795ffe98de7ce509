//! Files and directories whole or not at all.
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

pub fn write_file(_to: &Path, _bytes: &[u8]) -> Result<()> {
    bail!("interface only")
}

#[derive(Debug)]
pub struct OutDir {
    path: PathBuf,
}

impl OutDir {
    pub fn stage(_to: &Path) -> Result<OutDir> {
        bail!("interface only")
    }
    /// Where to write until [`commit`](OutDir::commit).
    pub fn path(&self) -> &Path {
        &self.path
    }
    pub fn commit(self) -> Result<()> {
        bail!("interface only")
    }
}

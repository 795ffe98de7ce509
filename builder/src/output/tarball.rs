//! `overlay.tar.zst`
use crate::digest::Digest;
use crate::tree::{Epoch, ImagePath, Tree};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// What was written.
#[derive(Debug)]
pub struct Written {
    pub sha256: Digest,
    pub size: u64,
    /// SHA-256 of every regular file's content.
    pub digests: BTreeMap<ImagePath, Digest>,
}

pub fn write(_tree: &Tree, _epoch: Epoch, _to: &Path, _level: i32) -> Result<Written> {
    bail!("interface only")
}

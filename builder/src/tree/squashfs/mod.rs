//! A [`Tree`] as a SquashFS image.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use anyhow::Result;
use nodeimg_formats::squashfs::{self, Options};
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;

use super::{ImagePath, Kind, Tree};

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// In bytes, a multiple of 4096.
    pub size: u64,
    /// SHA-256 of every regular file's content.
    pub digests: BTreeMap<ImagePath, Digest>,
}

/// Writes `tree` as an image to `to`, from where it stands; leaves it at the
/// image's end.
pub fn write(
    tree: &Tree,
    epoch: Epoch,
    options: &Options<'_>,
    to: &mut (impl Write + Seek),
) -> Result<Written> {
    let nodes: Vec<_> = tree
        .iter()
        .map(|(path, node)| squashfs::Node {
            path: path.as_str(),
            mode: node.stat.mode,
            uid: node.stat.uid,
            gid: node.stat.gid,
            xattrs: &node.stat.xattrs,
            kind: match &node.kind {
                Kind::Directory => squashfs::Kind::Directory,
                Kind::File(content) => squashfs::Kind::File(content),
                Kind::Symlink(target) => squashfs::Kind::Symlink(target),
            },
            origin: &node.origin,
        })
        .collect();
    let written = squashfs::write(&nodes, epoch, options, to)?;
    let is_file = |(path, node): (&ImagePath, &super::Node)| {
        matches!(node.kind, Kind::File(_)).then(|| path.clone())
    };
    Ok(Written {
        size: written.size,
        digests: tree
            .iter()
            .filter_map(is_file)
            .zip(written.digests)
            .collect(),
    })
}

#[cfg(test)]
mod tests;

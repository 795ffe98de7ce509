//! An initrd as the kernel gets it: cpio under zstd, kept in the store.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use nodeimg_formats::cpio::{self, Owner};
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use nodeimg_values::key::KeyWriter;

use super::Initrd;
use crate::image::modules;
use crate::store::Store;
use crate::tree::{Content, ImagePath, Kind, Node};

/// Of zstd: higher ones take ten times the time for a tenth of the size.
const LEVEL: i32 = 12;
/// Raised when the same files are packed to other bytes.
const KIND: &str = "initrd-2";
const BUFFER: usize = 256 * 1024;

/// The bytes of files, as they lie in the root.
type Files<'a> = BTreeMap<&'a ImagePath, Arc<[u8]>>;

impl Initrd {
    /// The bytes, from the store if they were packed before.
    pub fn packed(&self, epoch: Epoch, store: &Store) -> Result<Vec<u8>> {
        // Once, for the key and for the archive.
        let files = self.read()?;
        let key = self.key(epoch, zstd::zstd_safe::version_number(), &files)?;
        if let Some(bytes) = store.kept(KIND, &key)? {
            return Ok(bytes);
        }
        let bytes = self.pack(epoch, &files).context("packing")?;
        store.keep(KIND, &key, &bytes)?;
        Ok(bytes)
    }

    fn read(&self) -> Result<Files<'_>> {
        let mut files = BTreeMap::new();
        for (path, node) in self.tree.iter() {
            if let Kind::File(content) = &node.kind {
                let bytes = content.bytes();
                files.insert(path, bytes.with_context(|| format!("reading `{path}`"))?);
            }
        }
        Ok(files)
    }

    /// Stands for all that is in it, and for what packs it. Nothing is unpacked to know it:
    /// a module counts as it lies in its package.
    fn key(&self, epoch: Epoch, zstd: u32, files: &Files<'_>) -> Result<Digest> {
        let mut key = KeyWriter::new(KIND);
        key.add("nodeimg", env!("CARGO_PKG_VERSION"));
        key.add_number("zstd", zstd.into());
        key.add("level", LEVEL.to_string());
        key.add_number("epoch", epoch.0);
        for (path, node) in self.tree.iter() {
            let bytes = |_: &Content| Ok(Digest::sha256(self.bytes(path, files)?));
            node.add_to(&mut key, path, bytes)?;
            if self.compressed.contains(path) {
                key.add("unpacked", "");
            }
        }
        Ok(key.finish())
    }

    fn bytes<'f>(&self, path: &ImagePath, files: &'f Files<'_>) -> Result<&'f [u8]> {
        let bytes = files.get(path);
        Ok(bytes.with_context(|| format!("`{path}` was not read"))?)
    }

    fn pack(&self, epoch: Epoch, files: &Files<'_>) -> Result<Vec<u8>> {
        // One frame of one job: the kernel reads no more, and the bytes depend
        // on no number of threads.
        let encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        let mut archive = cpio::Writer::new(BufWriter::with_capacity(BUFFER, encoder), epoch.0)?;
        for (path, node) in self.tree.iter() {
            if *path != ImagePath::root() {
                self.entry(&mut archive, path, node, files)
                    .with_context(|| format!("packing `{path}`"))?;
            }
        }
        let mut buffered = archive.finish()?;
        buffered.flush()?;
        let encoder = buffered.into_inner().map_err(|error| error.into_error())?;
        Ok(encoder.finish()?)
    }

    fn entry(
        &self,
        archive: &mut cpio::Writer<impl Write>,
        path: &ImagePath,
        node: &Node,
        files: &Files<'_>,
    ) -> Result<()> {
        let name = path.relative();
        let owner = Owner {
            mode: node.stat.mode,
            uid: node.stat.uid,
            gid: node.stat.gid,
        };
        match &node.kind {
            Kind::Directory => archive.directory(name, owner),
            Kind::Symlink(target) => archive.symlink(name, owner, target),
            Kind::File(_) => {
                let mut bytes = Cow::Borrowed(self.bytes(path, files)?);
                if self.compressed.contains(path) {
                    bytes = modules::uncompressed(&bytes, path)?.into();
                }
                archive.file(name, owner, bytes.len() as u64, &bytes[..])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::key::changed;

    const PATH: &str = "/usr/x.ko";

    fn of(node: &Node, path: &str, compressed: bool) -> Initrd {
        let mut initrd = Initrd::new();
        initrd.put(path, node.clone()).unwrap();
        if compressed {
            initrd.compressed.insert(path.parse().unwrap());
        }
        initrd
    }

    fn key(initrd: &Initrd, epoch: u64, zstd: u32) -> Digest {
        initrd
            .key(Epoch(epoch), zstd, &initrd.read().unwrap())
            .unwrap()
    }

    #[test]
    fn whatever_changes_the_bytes_changes_the_key() {
        let node = Node::file(Content::inline(*b"module"), 0o644, super::super::origin());
        let mut keys = vec![
            ("as it is", key(&of(&node, PATH, true), 7, 10_507)),
            ("epoch", key(&of(&node, PATH, true), 8, 10_507)),
            ("another zstd", key(&of(&node, PATH, true), 7, 10_508)),
            ("not unpacked", key(&of(&node, PATH, false), 7, 10_507)),
            ("path", key(&of(&node, "/usr/y.ko", true), 7, 10_507)),
        ];
        for (what, node) in changed(&node) {
            keys.push((what, key(&of(&node, PATH, true), 7, 10_507)));
        }
        for (number, (what, one)) in keys.iter().enumerate() {
            for (other, another) in &keys[number + 1..] {
                assert_ne!(one, another, "{what}, {other}");
            }
        }
    }
}

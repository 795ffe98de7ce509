//! An initrd as the kernel gets it: cpio under zstd, kept in the store.

use std::io::{BufWriter, Write};

use anyhow::{Context, Result};
use nodeimg_formats::cpio::{self, Owner};
use nodeimg_values::digest::{Digest, Hasher};
use nodeimg_values::epoch::Epoch;

use super::Initrd;
use crate::image::modules;
use crate::store::Store;
use crate::tree::{ImagePath, Kind, Node};

/// Of zstd: higher ones take ten times the time for a tenth of the size.
const LEVEL: i32 = 12;
/// Raised when the same files are packed to other bytes.
const KIND: &str = "initrd-1";
const BUFFER: usize = 256 * 1024;

impl Initrd {
    /// The bytes, from the store if they were packed before.
    pub fn packed(&self, epoch: Epoch, store: &Store) -> Result<Vec<u8>> {
        let key = self.key(epoch);
        if let Some(bytes) = store.kept(KIND, &key)? {
            return Ok(bytes);
        }
        let bytes = self.pack(epoch).context("packing")?;
        store.keep(KIND, &key, &bytes)?;
        Ok(bytes)
    }

    /// Stands for all that is in it. Nothing is unpacked to know it: a module
    /// counts as it lies in its package.
    fn key(&self, epoch: Epoch) -> Digest {
        let mut hasher = Hasher::new(&[]);
        let mut add = |text: &str| hasher.update(format!("{}:{text}", text.len()).as_bytes());
        add(&format!("zstd {LEVEL} epoch {}", epoch.0));
        for (path, node) in self.tree.iter() {
            add(path.as_str());
            add(&format!("{:?}", node.stat));
            match &node.kind {
                Kind::Directory => add("directory"),
                Kind::Symlink(target) => add(&format!("link {target}")),
                Kind::File(content) if self.compressed.contains(path) => {
                    add(&format!("unpacked {}", content.identity()));
                }
                Kind::File(content) => add(&content.identity()),
            }
        }
        hasher.finish().sha256
    }

    fn pack(&self, epoch: Epoch) -> Result<Vec<u8>> {
        // One frame of one job: the kernel reads no more, and the bytes depend
        // on no number of threads.
        let encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        let mut archive = cpio::Writer::new(BufWriter::with_capacity(BUFFER, encoder), epoch.0)?;
        for (path, node) in self.tree.iter() {
            if *path != ImagePath::root() {
                self.entry(&mut archive, path, node)
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
            Kind::File(content) if self.compressed.contains(path) => {
                let bytes = modules::uncompressed(content, path)?;
                archive.file(name, owner, bytes.len() as u64, &bytes[..])
            }
            Kind::File(content) => archive.file(name, owner, content.len(), content.reader()),
        }
    }
}

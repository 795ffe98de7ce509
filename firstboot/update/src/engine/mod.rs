//! One update, in the order that a power cut cannot hurt:
//!
//! ```text
//!  1  the manifest is verified, and refused or not, before this room is entered
//!  2  the tree and the UKI are fetched and verified, in memory
//!  3  entries that name the target slot are removed from the ESP      flush
//!  4  the target slot gets GUIDs that nothing names, label `_empty`   flush, both tables
//!  5  blocks that are here are copied, the others fetched; the tree   flush
//!  6  all of it is read back and compared with the tree
//!  7  the slot gets the GUIDs of the root hash, and its label         flush, both tables
//!  8  the UKI                                                         flush
//! ```
//! Until the end of 8 only the old entry names a slot. After a cut, the next run starts at 2 and
//! finds in 5 what is in place already.

mod fetch;
mod local;
mod switch;

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use nodeimg_formats::blocks::{Blocks, Part};
use nodeimg_formats::gpt::Entry;
use nodeimg_formats::update::Manifest;
use nodeimg_formats::verity::{BLOCK, Leaves, RootHash};

use crate::esp::{self, Esp};
use crate::slots::Slots;
use crate::source::{self, Patience, Piece, Source};

pub use switch::{installed, is_entry_of, room};

const BLOCK_LEN: usize = BLOCK as usize;
/// Blocks that are read at a time: 1 MiB.
const BATCH: usize = 256;

/// What is to be installed, and where.
pub struct Job<'a> {
    pub manifest: &'a Manifest,
    pub source: &'a dyn Source,
    pub disk: &'a dyn Blocks,
    pub patience: Patience,
    /// Hears of each step.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// Where the blocks of the root came from, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Moved {
    /// In place already.
    pub kept: u64,
    /// Copied from a slot of this disk.
    pub copied: u64,
    pub fetched: u64,
}

/// Everything of an update but its root, verified.
pub struct Prepared {
    root: RootHash,
    leaves: Leaves,
    tree: Vec<u8>,
    uki: Vec<u8>,
}

impl Job<'_> {
    /// Step 2.
    ///
    /// # Errors
    /// The source fails, or a file is not what the manifest says.
    pub fn prepare(&self) -> Result<Prepared> {
        let manifest = self.manifest;
        let root: RootHash = manifest.root.roothash.parse()?;
        let tree = source::whole(self.source, manifest, Piece::Verity, self.patience)?;
        let told = || format!("{} of {}", manifest.verity.file, self.source.name());
        source::check_digest(&tree, &manifest.verity.sha256, &manifest.verity.file)
            .with_context(told)?;
        let leaves = Leaves::verified(&tree, root).with_context(told)?;
        if leaves.count() as u64 * BLOCK != manifest.root.content.size {
            bail!("the hash tree is of a root of another size than the manifest says");
        }
        let uki = self.uki()?;
        if esp::root_hash(&uki) != Some(root) {
            bail!(
                "{} does not start the root of its manifest: there is another root hash on its \
                 command line",
                manifest.uki.content.file
            );
        }
        Ok(Prepared {
            root,
            leaves,
            tree,
            uki,
        })
    }

    fn uki(&self) -> Result<Vec<u8>> {
        let uki = &self.manifest.uki;
        let bytes = source::whole(self.source, self.manifest, Piece::Uki, self.patience)?;
        let plain = match &uki.compressed {
            None => bytes,
            Some(packed) => unpack(&bytes, uki.content.size)
                .with_context(|| format!("unpacking {} of {}", packed.file, self.source.name()))?,
        };
        source::check_digest(&plain, &uki.content.sha256, &uki.content.file)
            .with_context(|| format!("{} of {}", uki.content.file, self.source.name()))?;
        Ok(plain)
    }

    /// Steps 3 to 8.
    ///
    /// # Errors
    /// The source, the disk or the ESP fails; the old version is the one that boots then.
    pub fn install(
        &self,
        prepared: &Prepared,
        slots: &mut Slots,
        esp: &mut dyn Esp,
    ) -> Result<Moved> {
        let target = &slots.target;
        let room = part(self.disk, &target.root);
        let missing = prepared.missing();
        let mut plan = local::Plan::make(
            &prepared.leaves,
            &missing,
            &room,
            [&slots.running.root, &slots.running.verity].map(|entry| part(self.disk, entry)),
        )?;
        (self.tell)("preparing the slot that does not run");
        switch::clear(self.disk, slots, esp, self.manifest)?;
        let landing = fetch::Landing::new(&room, &prepared.leaves, &missing);
        plan.copy(&landing)?;
        let fetched = landing.left();
        (self.tell)(&format!(
            "{} MB are here, {} MB are fetched from {}",
            tenths(prepared.leaves.count() as u64 * BLOCK - fetched),
            tenths(fetched),
            self.source.name()
        ));
        fetch::all(self, &landing)?;
        let tree = part(self.disk, &slots.target.verity);
        for (index, piece) in prepared.tree.chunks(BATCH * BLOCK_LEN).enumerate() {
            tree.write(piece, (index * BATCH * BLOCK_LEN) as u64)
                .context("writing the hash tree")?;
        }
        self.disk.flush().context("flushing the slot")?;
        (self.tell)("reading the slot back");
        self.disk.forget();
        prepared.verify(&room, &tree)?;
        switch::name(self.disk, slots, prepared.root, self.manifest)?;
        switch::enter(esp, self.manifest, &prepared.uki)?;
        Ok(Moved {
            fetched,
            ..plan.moved(prepared.leaves.count() as u64 * BLOCK - fetched)
        })
    }
}

impl Prepared {
    fn missing(&self) -> Vec<AtomicBool> {
        (0..self.leaves.count())
            .map(|_| AtomicBool::new(true))
            .collect()
    }

    /// In bytes, of the UKI.
    pub fn uki_size(&self) -> u64 {
        self.uki.len() as u64
    }

    /// Whether a slot holds all of it.
    fn verify(&self, root: &dyn Blocks, tree: &dyn Blocks) -> Result<()> {
        let count = self.leaves.count();
        let mut buffer = vec![0; BATCH * BLOCK_LEN];
        for start in (0..count).step_by(BATCH) {
            let blocks = BATCH.min(count - start);
            let bytes = &mut buffer[..blocks * BLOCK_LEN];
            root.read(bytes, start as u64 * BLOCK)
                .context("reading the slot back")?;
            for (index, block) in bytes.chunks_exact(BLOCK_LEN).enumerate() {
                if !self.leaves.fits(start + index, block) {
                    bail!(
                        "the disk gives back other bytes than were written to it (block {} of \
                         the root): it is failing",
                        start + index
                    );
                }
            }
        }
        let mut back = vec![0; self.tree.len()];
        tree.read(&mut back, 0)
            .context("reading the hash tree back")?;
        if back != self.tree {
            bail!("the disk gives back another hash tree than was written to it: it is failing");
        }
        Ok(())
    }
}

/// A partition of the disk.
fn part<'a>(disk: &'a dyn Blocks, entry: &Entry) -> Part<'a> {
    Part {
        of: disk,
        start: entry.place.start,
        size: entry.place.size,
    }
}

/// A decimal of megabytes.
fn tenths(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Whether a block still has to come.
fn is_missing(missing: &[AtomicBool], index: usize) -> bool {
    missing[index].load(Ordering::Relaxed)
}

/// Unpacks zstd to exactly `size` bytes.
fn unpack(packed: &[u8], size: u64) -> Result<Vec<u8>> {
    use std::io::Read;
    let decoder = ruzstd::decoding::StreamingDecoder::new(packed)
        .map_err(|error| anyhow::anyhow!("it is not zstd: {error}"))?;
    let mut plain = Vec::new();
    decoder
        .take(size + 1)
        .read_to_end(&mut plain)
        .context("it is damaged")?;
    if plain.len() as u64 != size {
        bail!("it does not unpack to the {size} bytes that the manifest says");
    }
    Ok(plain)
}

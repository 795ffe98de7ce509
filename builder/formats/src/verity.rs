//! dm-verity: a hash tree by which the kernel checks every block that it reads.
//!
//! The format is that of
//! [the kernel](https://docs.kernel.org/admin-guide/device-mapper/verity.html) with the
//! [superblock of cryptsetup](https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity):
//! version 1, SHA-256, blocks of 4096 bytes, the salt before every block.
//!
//! ```text
//!  block 0        superblock, 512 bytes, then zeros
//!  block 1        the top level: one block
//!  ...            the levels below it
//!  last blocks    level 0: the hash of every data block, 128 hashes a block,
//!                 zeros to the end of the last one
//! ```
//! The root hash is that of the top level's one block, or of the data if
//! that is a single block and there is no level.
//!
//! # Invariants
//! - The data is read once, by all cores, and never held: the memory needed is
//!   twice that of the tree, 1.6 % of the data.
//! - The bytes depend on the data and on [`Params`] alone.
//!
//! Left out: signatures of the root hash, forward error correction.

mod check;
mod tree;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use nodeimg_values::parallel::{cores, in_parallel};
use sha2::{Digest as _, Sha256};

use super::guid::Guid;

pub use check::{Tree, check};
pub use tree::{Leaves, Superblock};

/// In bytes, of data and tree.
pub const BLOCK: u64 = 4096;
const BLOCK_LEN: usize = BLOCK as usize;
const HASH: usize = 32;
/// What a thread takes on at a time: 1 MiB of data.
const BATCH: usize = 256;
/// More threads than this wait for the memory.
const MAX_THREADS: usize = 8;

/// What is in a superblock beside the sizes.
pub struct Params {
    pub salt: [u8; 32],
    pub uuid: Guid,
}

/// A range of a file, in bytes.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    pub file: &'a File,
    pub start: u64,
    pub size: u64,
}

/// Stands for every block of a file system image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RootHash([u8; HASH]);

impl RootHash {
    /// The first half and the second, which are the GUIDs of the partition of
    /// the data and of that of its tree
    /// ([Discoverable Partitions](https://uapi-group.org/specifications/specs/discoverable_partitions_specification/)).
    pub fn halves(&self) -> (Guid, Guid) {
        let half = |at: usize| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&self.0[at..at + 16]);
            Guid::new(bytes)
        };
        (half(0), half(16))
    }
}

impl FromStr for RootHash {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<RootHash> {
        let digits = text.as_bytes();
        let mut bytes = [0; HASH];
        if digits.len() != 2 * HASH || !digits.iter().all(u8::is_ascii_hexdigit) {
            bail!(
                "`{}` is not a root hash: it has {} hex digits",
                text.escape_debug(),
                2 * HASH
            );
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16)?;
        }
        Ok(RootHash(bytes))
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many bytes [`write()`] writes for data of `size` bytes.
pub fn size_for(size: u64) -> u64 {
    let mut blocks = size.div_ceil(BLOCK);
    let mut total = 1;
    while blocks > 1 {
        blocks = blocks.div_ceil((BLOCK_LEN / HASH) as u64);
        total += blocks;
    }
    total * BLOCK
}

/// Writes the superblock and the hash tree of `data` to `to`.
pub fn write(data: Data<'_>, params: &Params, to: &mut impl Write) -> Result<RootHash> {
    if data.size == 0 || !data.size.is_multiple_of(BLOCK) {
        bail!(
            "dm-verity covers whole blocks of {BLOCK} bytes, not {} bytes",
            data.size
        );
    }
    let salted = Sha256::new_with_prefix(params.salt);
    let (levels, root) = levels(data, &salted)?;
    let context = "writing the hash tree";
    to.write_all(&superblock(data.size / BLOCK, params))
        .context(context)?;
    for level in levels.iter().rev() {
        to.write_all(level).context(context)?;
    }
    Ok(root)
}

/// Every level, that of the data's blocks first, each in whole blocks.
fn levels(data: Data<'_>, salted: &Sha256) -> Result<(Vec<Vec<u8>>, RootHash)> {
    let mut hashes = data_hashes(data, salted).context("hashing the file system image")?;
    let mut levels = Vec::new();
    while hashes.len() > HASH {
        hashes.resize(hashes.len().next_multiple_of(BLOCK_LEN), 0);
        let above = hashes
            .chunks_exact(BLOCK_LEN)
            .flat_map(|block| hash(salted, block))
            .collect();
        levels.push(std::mem::replace(&mut hashes, above));
    }
    let mut root = [0; HASH];
    root.copy_from_slice(&hashes);
    Ok((levels, RootHash(root)))
}

fn hash(salted: &Sha256, block: &[u8]) -> [u8; HASH] {
    let mut hasher = salted.clone();
    hasher.update(block);
    hasher.finalize().into()
}

/// The hash of every block, a batch a turn.
fn data_hashes(data: Data<'_>, salted: &Sha256) -> io::Result<Vec<u8>> {
    let blocks = usize::try_from(data.size / BLOCK).map_err(io::Error::other)?;
    let batch = |index: usize| -> io::Result<Vec<u8>> {
        let count = BATCH.min(blocks - index * BATCH);
        let mut bytes = vec![0; count * BLOCK_LEN];
        let at = data.start + (index * BATCH * BLOCK_LEN) as u64;
        data.file.read_exact_at(&mut bytes, at)?;
        let blocks = bytes.chunks_exact(BLOCK_LEN);
        Ok(blocks.flat_map(|block| hash(salted, block)).collect())
    };
    let threads = cores().min(MAX_THREADS);
    let batches = in_parallel(threads, blocks.div_ceil(BATCH), batch);
    let batches: Vec<_> = batches.into_iter().collect::<io::Result<_>>()?;
    Ok(batches.concat())
}

/// ```text
///   0  "verity", two zeros     64  data block size   u32
///   8  version    u32 = 1      68  hash block size   u32
///  12  hash type  u32 = 1      72  data blocks       u64
///  16  UUID                    80  salt size         u16, six zeros
///  32  algorithm, 32 bytes     88  salt, 256 bytes
/// ```
fn superblock(data_blocks: u64, params: &Params) -> [u8; BLOCK_LEN] {
    let mut block = [0; BLOCK_LEN];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"verity");
    put(8, &1u32.to_le_bytes());
    put(12, &1u32.to_le_bytes());
    put(16, &params.uuid.bytes());
    put(32, b"sha256");
    put(64, &(BLOCK as u32).to_le_bytes());
    put(68, &(BLOCK as u32).to_le_bytes());
    put(72, &data_blocks.to_le_bytes());
    put(80, &(params.salt.len() as u16).to_le_bytes());
    put(88, &params.salt);
    block
}

#[cfg(test)]
mod tests;

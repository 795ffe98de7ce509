//! What of the new root is on this disk already.
//!
//! # Invariants
//! What the running slot's own hash tree says is a hint: every block is hashed with the new
//! tree's salt before it is taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use nodeimg_formats::blocks::{Blocks, Part};
use nodeimg_formats::verity::{BLOCK, Leaves};

use super::fetch::Landing;
use super::{BATCH, BLOCK_LEN, is_missing};

/// Of the target's old blocks that belong elsewhere, in bytes of memory.
const MOST_SAVED: usize = 64 << 20;

type Hash = [u8; 32];

/// Where the blocks that are here come from.
pub struct Plan<'a> {
    running: Part<'a>,
    /// Places in the running root, by the number of the new block.
    copies: Vec<(usize, u64)>,
    /// Old bytes of the target, read before it is written.
    saved: Vec<(usize, Vec<u8>)>,
    kept: u64,
}

impl<'a> Plan<'a> {
    /// Marks what is in place as not missing; of the running slot it has root and tree.
    pub fn make(
        leaves: &Leaves,
        missing: &[AtomicBool],
        target: &Part<'_>,
        [running, tree]: [Part<'a>; 2],
    ) -> Result<Plan<'a>> {
        let blocks = (target.size / BLOCK).min(leaves.count() as u64) as usize;
        let old = hashes(leaves, target, blocks).context("reading the slot that does not run")?;
        let mut kept = 0;
        for (index, hash) in old.iter().enumerate() {
            if *hash == *leaves.of(index) {
                missing[index].store(false, Ordering::Relaxed);
                kept += BLOCK;
            }
        }
        let there = running_hashes(leaves, &running, &tree)?;
        let mut places: HashMap<&[u8], usize> = HashMap::with_capacity(there.len());
        for (index, hash) in there.iter().enumerate() {
            places.entry(&hash[..]).or_insert(index);
        }
        let mut copies = Vec::new();
        let mut absent = Vec::new();
        for index in (0..leaves.count()).filter(|index| is_missing(missing, *index)) {
            match places.get(leaves.of(index)) {
                Some(place) => copies.push((index, *place as u64 * BLOCK)),
                None => absent.push(index),
            }
        }
        let saved = saved(leaves, target, &old, &absent)?;
        Ok(Plan {
            running,
            copies,
            saved,
            kept,
        })
    }

    /// Copies what is here.
    pub fn copy(&mut self, landing: &Landing<'_>) -> Result<()> {
        for (index, bytes) in std::mem::take(&mut self.saved) {
            landing.place(index, &bytes)?;
        }
        // Neighbours that stay neighbours are read and written together.
        let follows = |one: &(usize, u64), next: &(usize, u64)| {
            one.0 + 1 == next.0 && one.1 + BLOCK == next.1
        };
        let mut buffer = vec![0; BATCH * BLOCK_LEN];
        for run in self.copies.chunk_by(follows) {
            for part in run.chunks(BATCH) {
                let bytes = &mut buffer[..part.len() * BLOCK_LEN];
                // A block that cannot be read is fetched.
                if self.running.read(bytes, part[0].1).is_ok() {
                    landing.place_run(part[0].0, bytes)?;
                }
            }
        }
        Ok(())
    }

    /// What of `here` bytes was in place, and what was copied.
    pub fn moved(&self, here: u64) -> super::Moved {
        super::Moved {
            kept: self.kept,
            copied: here - self.kept,
            fetched: 0,
        }
    }
}

/// The hash of each of the first `blocks` blocks, with the new tree's salt.
fn hashes(leaves: &Leaves, slot: &Part<'_>, blocks: usize) -> Result<Vec<Hash>> {
    // A fresh slot is all zeros.
    let zeros = vec![0; BLOCK_LEN];
    let of_zeros = leaves.hash(&zeros);
    let mut buffer = vec![0; BATCH * BLOCK_LEN];
    let mut hashes = Vec::with_capacity(blocks);
    for start in (0..blocks).step_by(BATCH) {
        let bytes = &mut buffer[..BATCH.min(blocks - start) * BLOCK_LEN];
        slot.read(bytes, start as u64 * BLOCK)?;
        let blocks = bytes.chunks_exact(BLOCK_LEN);
        hashes.extend(blocks.map(|block| match block == zeros {
            true => of_zeros,
            false => leaves.hash(block),
        }));
    }
    Ok(hashes)
}

/// Those of the running root: its tree's, if that has the new one's salt.
fn running_hashes(leaves: &Leaves, root: &Part<'_>, tree: &Part<'_>) -> Result<Vec<Hash>> {
    let Ok((superblock, lowest)) = Leaves::hints(|bytes, at| tree.read(bytes, at)) else {
        return Ok(Vec::new());
    };
    if superblock.salt != leaves.salt() {
        let blocks = superblock.data_blocks.min(root.size / BLOCK) as usize;
        return hashes(leaves, root, blocks).context("reading the slot that runs");
    }
    let hash = |bytes: &[u8]| {
        let mut hash = [0; 32];
        hash.copy_from_slice(bytes);
        hash
    };
    Ok(lowest.chunks_exact(32).map(hash).collect())
}

/// Old blocks of the target that belong elsewhere in it and are nowhere else.
fn saved(
    leaves: &Leaves,
    target: &Part<'_>,
    old: &[Hash],
    absent: &[usize],
) -> Result<Vec<(usize, Vec<u8>)>> {
    let wanted = absent.iter().map(|index| (leaves.of(*index), *index));
    let wanted: HashMap<&[u8], usize> = wanted.collect();
    let mut saved = Vec::new();
    for (place, hash) in old.iter().enumerate() {
        let Some(index) = wanted.get(&hash[..]) else {
            continue;
        };
        if saved.len() * BLOCK_LEN >= MOST_SAVED {
            break;
        }
        let mut bytes = vec![0; BLOCK_LEN];
        target
            .read(&mut bytes, place as u64 * BLOCK)
            .context("reading the slot that does not run")?;
        saved.push((*index, bytes));
    }
    Ok(saved)
}

//! What is not here comes in ranges, several at a time, and is verified before it is written.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::blocks::Blocks;
use nodeimg_formats::verity::{BLOCK, Leaves};

use super::{BLOCK_LEN, Job, is_missing};
use crate::source::{Delivered, Failure, Piece};

/// Up to so many blocks that are here lie between two that are fetched together: a request
/// costs about as much as 32 KiB.
const GAP: usize = 8;
/// Of one range, in blocks: 4 MiB are little to lose, and enough for a server.
const LONGEST: usize = 1024;

/// Takes blocks of the new root to their place.
pub struct Landing<'a> {
    slot: &'a dyn Blocks,
    leaves: &'a Leaves,
    missing: &'a [AtomicBool],
}

impl<'a> Landing<'a> {
    pub fn new(slot: &'a dyn Blocks, leaves: &'a Leaves, missing: &'a [AtomicBool]) -> Self {
        Landing {
            slot,
            leaves,
            missing,
        }
    }

    /// What is missing, in bytes.
    pub fn left(&self) -> u64 {
        self.left_in(0..self.missing.len())
    }

    fn left_in(&self, blocks: Range<usize>) -> u64 {
        let missing = blocks.filter(|index| is_missing(self.missing, *index));
        missing.count() as u64 * BLOCK
    }

    /// Writes a block if it is the one that belongs there.
    pub fn place(&self, index: usize, block: &[u8]) -> Result<()> {
        self.place_run(index, block)
    }

    /// Writes those of neighbouring blocks that are missing and right.
    pub fn place_run(&self, first: usize, bytes: &[u8]) -> Result<()> {
        self.write(first, bytes, |_| Ok(()))
    }

    /// The same; a wrong one is an error.
    fn land(&self, first: usize, bytes: &[u8]) -> Result<()> {
        self.write(first, bytes, |index| {
            bail!(
                "block {index} of the root is not the one that the manifest vouches for: the \
                 source gives something else, or it was changed on the way"
            )
        })
    }

    fn write(&self, first: usize, bytes: &[u8], wrong: impl Fn(usize) -> Result<()>) -> Result<()> {
        let mut fit = Vec::new();
        for (offset, block) in bytes.chunks_exact(BLOCK_LEN).enumerate() {
            let index = first + offset;
            if index >= self.missing.len() || !is_missing(self.missing, index) {
                continue;
            }
            match self.leaves.fits(index, block) {
                true => fit.push(offset),
                false => wrong(index)?,
            }
        }
        for run in fit.chunk_by(|one, next| one + 1 == *next) {
            let part = &bytes[run[0] * BLOCK_LEN..][..run.len() * BLOCK_LEN];
            let at = (first + run[0]) as u64 * BLOCK;
            self.slot.write(part, at).context("writing to the slot")?;
            for offset in run {
                self.missing[first + offset].store(false, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Ranges of blocks that have to be fetched.
    fn ranges(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for index in (0..self.missing.len()).filter(|index| is_missing(self.missing, *index)) {
            match ranges.last_mut() {
                Some(last) if index - last.end <= GAP && index - last.start < LONGEST => {
                    last.end = index + 1;
                }
                _ => ranges.push(index..index + 1),
            }
        }
        ranges
    }
}

/// Puts pieces of an answer together to blocks.
struct Stream<'a, 'b> {
    landing: &'a Landing<'b>,
    /// Where the bytes that are waiting begin, in the file.
    at: u64,
    waiting: Vec<u8>,
}

impl Stream<'_, '_> {
    fn take(&mut self, at: u64, mut bytes: &[u8]) -> Result<()> {
        if at != self.at + self.waiting.len() as u64 {
            self.waiting.clear();
            // A block whose beginning is not here is of no use.
            let skipped = (at.next_multiple_of(BLOCK) - at).min(bytes.len() as u64);
            bytes = &bytes[skipped as usize..];
            self.at = at + skipped;
        }
        self.waiting.extend_from_slice(bytes);
        let whole = self.waiting.len() / BLOCK_LEN * BLOCK_LEN;
        if whole > 0 {
            let first = (self.at / BLOCK) as usize;
            self.landing.land(first, &self.waiting[..whole])?;
            self.waiting.drain(..whole);
            self.at += whole as u64;
        }
        Ok(())
    }
}

/// Fetches everything that is missing.
pub fn all(job: &Job<'_>, landing: &Landing<'_>) -> Result<()> {
    let ranges = landing.ranges();
    let Some((first, rest)) = ranges.split_first() else {
        return Ok(());
    };
    // The first one says whether the source has ranges at all.
    one(job, landing, first)?;
    let threads = match job.source.is_remote() {
        true => job.patience.parallel.min(rest.len()),
        false => 1,
    };
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let work = || {
        while let Some(range) = rest.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = one(job, landing, range) {
                // The others stop too.
                next.store(rest.len(), Ordering::Relaxed);
                if let Ok(mut failed) = failed.lock() {
                    failed.get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    match failed.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(error)) => Err(error),
        Err(_) => bail!("fetching stopped"),
    }
}

/// Fetches what is missing of a range, from where the last attempt ended.
fn one(job: &Job<'_>, landing: &Landing<'_>, blocks: &Range<usize>) -> Result<()> {
    let attempt = || {
        let missing = |index: &usize| is_missing(landing.missing, *index);
        let Some(start) = blocks.clone().find(missing) else {
            return Ok(());
        };
        let end = blocks.clone().rev().find(missing).unwrap_or(start) + 1;
        let range = start as u64 * BLOCK..end as u64 * BLOCK;
        let mut stream = Stream {
            landing,
            at: 0,
            waiting: Vec::new(),
        };
        let mut to = |at: u64, bytes: &[u8]| stream.take(at, bytes);
        let got = job.source.read(job.manifest, Piece::Root, range, &mut to)?;
        match (got, landing.left_in(blocks.clone())) {
            (Delivered::All | Delivered::Range, 0) => Ok(()),
            _ => Err(Failure::Passing(anyhow!("the answer ended early"))),
        }
    };
    // Less is left, the further it is.
    let progress = || u64::MAX - landing.left_in(blocks.clone());
    job.patience.run(attempt, progress).with_context(|| {
        format!(
            "reading {} from {}",
            job.manifest.root.content.file,
            job.source.name()
        )
    })
}

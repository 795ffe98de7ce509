//! Content of files: data blocks and fragment blocks.
//!
//! ```text
//! data block      block_size bytes of one file, fewer at its end; zeros: nothing
//! fragment block  small files, one after the other
//! ```
//!
//! A file of one block or more has data blocks, its end included, so that it
//! stands for itself and another file's change moves it at most. Smaller ones
//! share fragment blocks. Which, is decided by sizes and digests before
//! anything is compressed: besides when it is full, a fragment block ends
//! after some file that its digest picks, so that a changed file changes one
//! or two of them instead of all that follow.
//!
//! Equal content is stored once.
//!
//! Each file and each fragment block begins at a multiple of 4096, with zeros before it: so
//! what did not change from one image to the next is in both as the same blocks of dm-verity,
//! wherever it has moved to, and an update need not bring it again. Readers go by the places
//! in the inodes and know nothing of it.
//!
//! # Invariants
//! - The pieces and their bytes follow from the files, `block_size` and `level`.
//! - What begins does so at a multiple of [`PADDING`].

use std::io::{self, Read, Seek, Write};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use nodeimg_values::digest::{Digest, Hasher};
use nodeimg_values::parallel::in_order;
use nodeimg_values::trace;

use super::inode::Stored;
use super::pack::{Packed, Packer};
use super::{File, Options, PADDING};
use crate::readable::Readable;

/// In bytes: what a thread compresses at a time, as whole blocks of one file.
const PIECE: u64 = 2 << 20;

/// A file whose content is to be stored.
#[derive(Clone)]
pub struct Source<'a> {
    pub file: File<'a>,
    pub digest: Digest,
    /// See [`Marks`]; as soon as they are known.
    pub marks: OnceLock<Marks>,
}

/// How far the digest of a content was at the start of each of its pieces: so each piece
/// can be compared by itself with what was read for the digest.
pub type Marks = Vec<Hasher>;

/// A content's digest, and its marks if it was read for that.
pub type Known = (Digest, Option<Marks>);

impl<'a> Source<'a> {
    pub fn content(&self) -> &'a dyn Readable {
        self.file.content
    }

    pub fn context(&self) -> String {
        self.file.node.context()
    }

    /// Where the hashing of the piece that begins at `offset` goes on from; `None` for bytes
    /// that cannot change, whose digest says all.
    pub fn hasher_at(&self, offset: u64) -> Result<Option<Hasher>> {
        match self.content().is_fixed() {
            true => Ok(None),
            false => self.mark_at(offset).map(Some),
        }
    }

    fn mark_at(&self, offset: u64) -> Result<Hasher> {
        if offset == 0 {
            return Ok(Hasher::new(&[]));
        }
        if self.marks.get().is_none() {
            let (digest, marks) = measure(self.content()).with_context(|| self.context())?;
            ensure!(digest == self.digest, self.changed());
            // Another thread may have been faster, with the same.
            let _ = self.marks.set(marks);
        }
        let marks = self.marks.get().map(Vec::as_slice).unwrap_or_default();
        let mark = marks.get(usize::try_from(offset / PIECE)?);
        let mark = mark.with_context(|| format!("{} has no piece at {offset}", self.context()))?;
        Ok(mark.clone())
    }

    /// Refuses what was hashed up to `end`, where a piece ends, if it is not what the file's
    /// digest stands for.
    pub fn check(&self, end: u64, read: Option<Hasher>) -> Result<()> {
        let Some(read) = read else {
            return Ok(());
        };
        let read = read.finish().sha256;
        let is_right = match end == self.content().size() {
            true => read == self.digest,
            false => read == self.mark_at(end)?.finish().sha256,
        };
        ensure!(is_right, self.changed());
        Ok(())
    }

    fn changed(&self) -> String {
        format!(
            "{} has changed while it was read: another program writes to the store, or its disk \
             fails. Run `nodeimg store verify`, and build again",
            self.context()
        )
    }
}

/// A fragment block of the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    pub start: u64,
    pub size: u32,
}

/// Where all content is: a [`Stored`] for each source, in their order.
#[derive(Debug, Default)]
pub struct Data {
    pub stored: Vec<Stored>,
    pub fragments: Vec<Fragment>,
    /// The position after the last block.
    pub end: u64,
}

/// What is compressed at a time, by the sources' numbers.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Blocks of a large file, the first of which is `first`.
    Blocks {
        source: usize,
        first: u64,
        count: u64,
    },
    /// Small files that make a fragment block.
    Fragment(Vec<usize>),
}

impl Piece {
    /// Whether it is the first of a file, or a fragment block: the rest of a file follows
    /// without a gap.
    fn begins(&self) -> bool {
        match self {
            Piece::Blocks { first, .. } => *first == 0,
            Piece::Fragment(_) => true,
        }
    }
}

/// The digest of each content, by several threads; the large ones first, that
/// none is left for the end.
pub fn digests(files: &[File<'_>], options: &Options<'_>) -> Result<Vec<Known>> {
    let _span = trace::stage("hashing the files");
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&file| std::cmp::Reverse(files[file].content.size()));
    let mut digests = vec![None; files.len()];
    let digest = |(): &mut (), &file: &usize| {
        let File { node, content } = files[file];
        match content.known_digest() {
            Some(known) => Ok((known.clone(), None)),
            None => measure(content)
                .map(|(digest, marks)| (digest, Some(marks)))
                .with_context(|| node.context()),
        }
    };
    in_order(
        &order,
        options.threads,
        || Ok(()),
        digest,
        |&file, digest| {
            digests[file] = Some(digest);
            Ok(())
        },
    )?;
    Ok(digests.into_iter().flatten().collect())
}

fn measure(content: &dyn Readable) -> io::Result<(Digest, Marks)> {
    let size = content.size();
    let mut hasher = Hasher::new(&[]);
    let mut marks = Vec::new();
    let mut buffer = vec![0; 256 * 1024];
    for start in (0..size).step_by(PIECE as usize) {
        marks.push(hasher.clone());
        let mut part = content.part(start, PIECE.min(size - start));
        loop {
            match part.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok((hasher.finish().sha256, marks))
}

/// Writes what `sources` hold from `start` on; no two of them are equal.
pub fn write(
    sources: &[Source<'_>],
    options: &Options<'_>,
    start: u64,
    to: &mut (impl Write + Seek),
) -> Result<Data> {
    let mut data = Data {
        stored: vec![Stored::default(); sources.len()],
        fragments: Vec::new(),
        end: start,
    };
    let _span = trace::stage("packing the files");
    let pieces = cut(sources, options.block_size);
    in_order(
        &pieces,
        options.threads,
        || Packer::new(sources, options),
        Packer::pack,
        |piece, packed| {
            let gap = match piece.begins() {
                true => data.end.next_multiple_of(PADDING) - data.end,
                false => 0,
            };
            to.write_all(&[0; PADDING as usize][..gap as usize])
                .and_then(|()| to.write_all(&packed.bytes))
                .context("writing the image (is the disk full?)")?;
            data.end += gap;
            data.add(piece, &packed, sources, options.block_size)
        },
    )?;
    Ok(data)
}

/// The pieces of all sources, in the order of the image.
fn cut(sources: &[Source<'_>], block_size: u32) -> Vec<Piece> {
    let block_size = u64::from(block_size);
    // No block is larger than a piece.
    let most = PIECE / block_size;
    let mut pieces = Vec::new();
    let mut open = Vec::new();
    let mut filled = 0;
    for (number, source) in sources.iter().enumerate() {
        let len = source.content().size();
        if len >= block_size {
            let blocks = len.div_ceil(block_size);
            for first in (0..blocks).step_by(most as usize) {
                pieces.push(Piece::Blocks {
                    source: number,
                    first,
                    count: most.min(blocks - first),
                });
            }
        } else if len > 0 {
            if filled + len > block_size {
                pieces.push(Piece::Fragment(std::mem::take(&mut open)));
                filled = 0;
            }
            open.push(number);
            filled += len;
            if filled >= block_size / 2 && ends_fragment(&source.digest) {
                pieces.push(Piece::Fragment(std::mem::take(&mut open)));
                filled = 0;
            }
        }
    }
    if !open.is_empty() {
        pieces.push(Piece::Fragment(open));
    }
    pieces
}

/// True of one digest in eight.
fn ends_fragment(digest: &Digest) -> bool {
    matches!(digest.hex().as_bytes().last(), Some(b'0' | b'8'))
}

impl Data {
    fn add(
        &mut self,
        piece: &Piece,
        packed: &Packed,
        sources: &[Source<'_>],
        block_size: u32,
    ) -> Result<()> {
        match piece {
            Piece::Blocks { source, first, .. } => {
                let stored = &mut self.stored[*source];
                if *first == 0 {
                    stored.start = self.end;
                }
                let len = sources[*source].content().size();
                for (block, size) in (*first..).zip(&packed.sizes) {
                    if *size == 0 {
                        stored.holes += block_len(len, block, block_size);
                    }
                    stored.sizes.push(*size);
                }
            }
            Piece::Fragment(members) => {
                let number = u32::try_from(self.fragments.len())?;
                let mut offset = 0;
                for member in members {
                    self.stored[*member].fragment = Some((number, offset));
                    // Below a block's size, as is the sum.
                    offset += sources[*member].content().size() as u32;
                }
                self.fragments.push(Fragment {
                    start: self.end,
                    size: packed.sizes.first().copied().unwrap_or_default(),
                });
            }
        }
        self.end += packed.bytes.len() as u64;
        Ok(())
    }
}

/// The length of a file's block.
pub fn block_len(len: u64, block: u64, block_size: u32) -> u64 {
    let block_size = u64::from(block_size);
    (len - block * block_size).min(block_size)
}

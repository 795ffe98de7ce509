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
//! Equal content is stored once. What was compressed is kept in the store, a
//! file a piece of up to 16 blocks, by the digests of what went into it.
//!
//! # Invariants
//! The pieces and their bytes follow from the files, `block_size` and `level`.

use std::io::{Read, Seek, Write};

use anyhow::{Context, Result, ensure};
use zstd::bulk::Compressor;

use super::Options;
use super::inode::Stored;
use super::parallel::in_order;
use crate::digest::{Digest, Hasher};
use crate::store::Store;
use crate::tree::{Content, ImagePath, Node};

/// Set in a block's size: it is not compressed.
pub const UNPACKED: u32 = 1 << 24;
/// Blocks of one piece: what a thread compresses at a time.
const PIECE: u64 = 16;

/// A file whose content is to be stored.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    pub path: &'a ImagePath,
    pub node: &'a Node,
    pub content: &'a Content,
    pub digest: Digest,
}

impl Source<'_> {
    fn context(&self) -> String {
        format!("`{}` (from {})", self.path, self.node.origin)
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
enum Piece {
    /// Blocks of a large file, the first of which is `first`.
    Blocks {
        source: usize,
        first: u64,
        count: u64,
    },
    /// Small files that make a fragment block.
    Fragment(Vec<usize>),
}

/// The digest of each content, by several threads; the large ones first, that
/// none is left for the end.
pub fn digests(
    files: &[(&ImagePath, &Node, &Content)],
    options: &Options<'_>,
) -> Result<Vec<Digest>> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&file| std::cmp::Reverse(files[file].2.len()));
    let mut digests = vec![None; files.len()];
    let digest = |(): &mut (), &file: &usize| {
        let (path, node, content) = files[file];
        match content.known_digest() {
            Some(known) => Ok(known.clone()),
            None => Hasher::measure(content.reader(), &[])
                .map(|got| got.sha256)
                .with_context(|| format!("`{path}` (from {})", node.origin)),
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
    let pieces = cut(sources, options.block_size);
    in_order(
        &pieces,
        options.threads,
        || Packer::new(sources, options),
        Packer::pack,
        |piece, packed| {
            to.write_all(&packed.bytes)
                .context("writing the image (is the disk full?)")?;
            data.add(piece, &packed, sources, options.block_size)
        },
    )?;
    Ok(data)
}

/// The pieces of all sources, in the order of the image.
fn cut(sources: &[Source<'_>], block_size: u32) -> Vec<Piece> {
    let block_size = u64::from(block_size);
    let mut pieces = Vec::new();
    let mut open = Vec::new();
    let mut filled = 0;
    for (number, source) in sources.iter().enumerate() {
        let len = source.content.len();
        if len >= block_size {
            let blocks = len.div_ceil(block_size);
            pieces.extend(
                (0..blocks)
                    .step_by(PIECE as usize)
                    .map(|first| Piece::Blocks {
                        source: number,
                        first,
                        count: PIECE.min(blocks - first),
                    }),
            );
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
                let len = sources[*source].content.len();
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
                    offset += sources[*member].content.len() as u32;
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
fn block_len(len: u64, block: u64, block_size: u32) -> u64 {
    let block_size = u64::from(block_size);
    (len - block * block_size).min(block_size)
}

/// Compressed blocks, as the image has them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Packed {
    sizes: Vec<u32>,
    bytes: Vec<u8>,
}

impl Packed {
    /// As it is kept in the store: the sizes, then the bytes.
    fn encode(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(4 * self.sizes.len() + self.bytes.len());
        all.extend(self.sizes.iter().flat_map(|size| size.to_le_bytes()));
        all.extend_from_slice(&self.bytes);
        all
    }

    /// `None` if `all` is not what [`encode`](Packed::encode) made of `count` blocks.
    fn decode(mut all: Vec<u8>, count: usize) -> Option<Packed> {
        let sizes: Vec<u32> = all
            .get(..4 * count)?
            .chunks_exact(4)
            .map(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]))
            .collect();
        all.drain(..4 * count);
        let len: usize = sizes.iter().map(|size| (size & !UNPACKED) as usize).sum();
        (all.len() == len).then_some(Packed { sizes, bytes: all })
    }
}

/// What a thread compresses with.
struct Packer<'a> {
    sources: &'a [Source<'a>],
    block_size: u32,
    kept: Option<(&'a Store, String)>,
    compressor: Compressor<'static>,
    plain: Vec<u8>,
    scratch: Vec<u8>,
}

impl<'a> Packer<'a> {
    fn new(sources: &'a [Source<'a>], options: &Options<'a>) -> Result<Packer<'a>> {
        let block_size = options.block_size as usize;
        // Another zstd may compress to other bytes.
        let what = format!(
            "squashfs-1-zstd-{}-{}-{}",
            zstd::zstd_safe::version_number(),
            options.level,
            options.block_size
        );
        Ok(Packer {
            sources,
            block_size: options.block_size,
            kept: options.store.map(|store| (store, what)),
            compressor: Compressor::new(options.level).context("preparing zstd")?,
            plain: Vec::with_capacity(block_size),
            scratch: Vec::with_capacity(zstd::zstd_safe::compress_bound(block_size)),
        })
    }

    fn pack(&mut self, piece: &Piece) -> Result<Packed> {
        let Some((store, what)) = &self.kept else {
            return self.compress(piece);
        };
        let (store, what) = (*store, what.clone());
        let key = self.key(piece);
        let count = match piece {
            Piece::Blocks { count, .. } => *count as usize,
            Piece::Fragment(_) => 1,
        };
        let kept = store.kept(&what, &key)?;
        if let Some(packed) = kept.and_then(|all| Packed::decode(all, count)) {
            return Ok(packed);
        }
        let packed = self.compress(piece)?;
        store.keep(&what, &key, &packed.encode())?;
        Ok(packed)
    }

    /// Stands for the piece's plain bytes and where they are cut.
    fn key(&self, piece: &Piece) -> Digest {
        let mut hasher = Hasher::new(&[]);
        match piece {
            Piece::Blocks { source, first, .. } => {
                let digest = &self.sources[*source].digest;
                hasher.update(format!("blocks {digest} {first}").as_bytes());
            }
            Piece::Fragment(members) => {
                hasher.update(b"fragment");
                for member in members {
                    let source = &self.sources[*member];
                    hasher.update(source.digest.to_string().as_bytes());
                }
            }
        }
        hasher.finish().sha256
    }

    fn compress(&mut self, piece: &Piece) -> Result<Packed> {
        let mut packed = Packed::default();
        match piece {
            Piece::Blocks {
                source,
                first,
                count,
            } => {
                let source = &self.sources[*source];
                for block in *first..*first + *count {
                    let offset = block * u64::from(self.block_size);
                    let len = block_len(source.content.len(), block, self.block_size);
                    self.plain.clear();
                    self.read(source, offset, len)?;
                    if is_zero(&self.plain) {
                        packed.sizes.push(0);
                    } else {
                        self.block(&mut packed)?;
                    }
                }
            }
            Piece::Fragment(members) => {
                self.plain.clear();
                for member in members {
                    let source = &self.sources[*member];
                    self.read(source, 0, source.content.len())?;
                }
                self.block(&mut packed)?;
            }
        }
        Ok(packed)
    }

    /// Appends a part of a file to what will be compressed.
    fn read(&mut self, source: &Source<'_>, offset: u64, len: u64) -> Result<()> {
        let got = source
            .content
            .part(offset, len)
            .read_to_end(&mut self.plain)
            .with_context(|| source.context())?;
        ensure!(
            got as u64 == len,
            "{} became shorter while it was read",
            source.context()
        );
        Ok(())
    }

    fn block(&mut self, packed: &mut Packed) -> Result<()> {
        let len = self
            .compressor
            .compress_to_buffer(&self.plain, &mut self.scratch)
            .context("compressing a block")?;
        // A block is at most 1 MiB.
        if len < self.plain.len() {
            packed.sizes.push(len as u32);
            packed.bytes.extend_from_slice(&self.scratch);
        } else {
            packed.sizes.push(self.plain.len() as u32 | UNPACKED);
            packed.bytes.extend_from_slice(&self.plain);
        }
        Ok(())
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // Most blocks differ from zero at once; the rest is compared wide.
    bytes.first() == Some(&0)
        && bytes
            .chunks(64)
            .all(|part| part.iter().all(|byte| *byte == 0))
}

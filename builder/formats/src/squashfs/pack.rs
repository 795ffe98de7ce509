//! Compressing blocks, or taking them from a cache.
//!
//! Compressed pieces are kept there, a file a piece: the sizes of its blocks,
//! then the blocks. Its key stands for the digests of what went into it, so
//! that a piece which is there is neither read nor compressed again.
//!
//! # Invariants
//! A piece comes out the same whether it was kept or not.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use nodeimg_values::digest::{Digest, Hasher};
use zstd::bulk::Compressor;

use super::data::{Piece, Source, block_len};
use super::{Cache, Options};

/// Set in a block's size: it is not compressed.
pub const UNPACKED: u32 = 1 << 24;

/// Compressed blocks, as the image has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packed {
    pub sizes: Vec<u32>,
    pub bytes: Vec<u8>,
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
pub struct Packer<'a> {
    sources: &'a [Source<'a>],
    block_size: u32,
    kept: Option<(&'a dyn Cache, String)>,
    compressor: Compressor<'static>,
    plain: Vec<u8>,
    scratch: Vec<u8>,
}

impl<'a> Packer<'a> {
    pub fn new(sources: &'a [Source<'a>], options: &Options<'a>) -> Result<Packer<'a>> {
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
            kept: options.cache.map(|cache| (cache, what)),
            compressor: Compressor::new(options.level).context("preparing zstd")?,
            plain: Vec::with_capacity(block_size),
            scratch: Vec::with_capacity(zstd::zstd_safe::compress_bound(block_size)),
        })
    }

    /// The piece's blocks.
    pub fn pack(&mut self, piece: &Piece) -> Result<Packed> {
        let Some((cache, what)) = &self.kept else {
            return self.compress(piece);
        };
        let (cache, what) = (*cache, what.clone());
        let key = self.key(piece);
        let count = match piece {
            Piece::Blocks { count, .. } => *count as usize,
            Piece::Fragment(_) => 1,
        };
        let kept = cache.kept(&what, &key)?;
        if let Some(packed) = kept.and_then(|all| Packed::decode(all, count)) {
            return Ok(packed);
        }
        let packed = self.compress(piece)?;
        cache.keep(&what, &key, &packed.encode())?;
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
                    let len = block_len(source.content().size(), block, self.block_size);
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
                    self.read(source, 0, source.content().size())?;
                }
                self.block(&mut packed)?;
            }
        }
        Ok(packed)
    }

    /// Appends a part of a file to what will be compressed.
    fn read(&mut self, source: &Source<'_>, offset: u64, len: u64) -> Result<()> {
        let got = source
            .content()
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

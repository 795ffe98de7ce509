//! Compressing blocks, or taking them from a cache.
//!
//! Compressed pieces are kept there, a file a piece: the sizes of its blocks,
//! then the blocks. Its key stands for the digests of what went into it, so
//! that a piece which is there is neither read nor compressed again.
//!
//! # Invariants
//! - A piece comes out the same whether it was kept or not.
//! - What is compressed, and so what is kept, was hashed as it was read for that: it is what
//!   the file's digest stands for.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use nodeimg_values::digest::Digest;
use nodeimg_values::key::KeyWriter;
use nodeimg_values::trace;
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

/// How pieces are packed. Another zstd may compress to other bytes.
fn what(options: &Options<'_>, zstd: u32) -> String {
    let Options {
        level, block_size, ..
    } = options;
    format!("squashfs-2-zstd-{zstd}-{level}-{block_size}")
}

impl<'a> Packer<'a> {
    pub fn new(sources: &'a [Source<'a>], options: &Options<'a>) -> Result<Packer<'a>> {
        let block_size = options.block_size as usize;
        let what = what(options, zstd::zstd_safe::version_number());
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
        let _span = trace::span("squashfs", || self.shown(piece));
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

    /// For a trace.
    fn shown(&self, piece: &Piece) -> String {
        match piece {
            Piece::Blocks { source, first, .. } => {
                let path = self.sources[*source].file.node.path;
                format!("pack {path} from block {first}")
            }
            Piece::Fragment(members) => format!("pack {} small files", members.len()),
        }
    }

    /// Stands for the piece's plain bytes and where they are cut.
    fn key(&self, piece: &Piece) -> Digest {
        let mut key = KeyWriter::new("piece");
        match piece {
            Piece::Blocks {
                source,
                first,
                count,
            } => {
                key.add("blocks", self.sources[*source].digest.to_string());
                key.add_number("first", *first);
                key.add_number("count", *count);
            }
            Piece::Fragment(members) => {
                for member in members {
                    key.add("member", self.sources[*member].digest.to_string());
                }
            }
        }
        key.finish()
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
                let mut end = *first * u64::from(self.block_size);
                let mut read = source.hasher_at(end)?;
                for block in *first..*first + *count {
                    let len = block_len(source.content().size(), block, self.block_size);
                    self.plain.clear();
                    self.read(source, end, len)?;
                    if let Some(read) = &mut read {
                        read.update(&self.plain);
                    }
                    end += len;
                    if is_zero(&self.plain) {
                        packed.sizes.push(0);
                    } else {
                        self.block(&mut packed)?;
                    }
                }
                source.check(end, read)?;
            }
            Piece::Fragment(members) => {
                self.plain.clear();
                for member in members {
                    let source = &self.sources[*member];
                    let start = self.plain.len();
                    self.read(source, 0, source.content().size())?;
                    let mut read = source.hasher_at(0)?;
                    if let Some(read) = &mut read {
                        read.update(self.plain.get(start..).unwrap_or_default());
                    }
                    source.check(source.content().size(), read)?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::readable::Readable;
    use crate::squashfs::{File, Kind, Node};

    /// Reads as `first` up to its end, and as `then` from there on.
    struct Changing {
        first: Vec<u8>,
        then: Vec<u8>,
        reads: AtomicUsize,
        known: Option<Digest>,
    }

    impl Readable for Changing {
        fn size(&self) -> u64 {
            self.first.size()
        }

        fn part(&self, offset: u64, len: u64) -> Box<dyn Read + '_> {
            // The last piece is read in the last place, for the digest.
            let whole = self.size();
            let ends = offset + len == whole && self.known.is_none();
            let before = self.reads.fetch_add(usize::from(ends), Ordering::SeqCst);
            match before == 0 && self.known.is_none() {
                true => self.first.part(offset, len),
                false => self.then.part(offset, len),
            }
        }

        fn known_digest(&self) -> Option<&Digest> {
            self.known.as_ref()
        }
    }

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Cache for Counting {
        fn kept(&self, _: &str, _: &Digest) -> Result<Option<Vec<u8>>> {
            Ok(None)
        }

        fn keep(&self, _: &str, _: &Digest, _: &[u8]) -> Result<()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    /// Of a file of `len` bytes whose byte `at` changes; how many pieces were kept.
    fn packed(len: usize, at: Option<usize>, is_known: bool) -> (Result<()>, usize) {
        let first: Vec<u8> = (0..len).map(|n| (n / 7) as u8 | 1).collect();
        let mut then = first.clone();
        if let Some(at) = at {
            then[at] ^= 0x40;
        }
        let known = is_known.then(|| Digest::sha256(&first));
        let content = Changing {
            first,
            then,
            reads: AtomicUsize::new(0),
            known,
        };
        let cache = Counting::default();
        let options = Options {
            threads: std::num::NonZeroUsize::MIN,
            cache: Some(&cache),
            ..Options::default()
        };
        let xattrs = BTreeMap::new();
        let node = |path, kind| Node {
            path,
            mode: 0o755,
            uid: 0,
            gid: 0,
            xattrs: &xattrs,
            kind,
            origin: &"a test",
        };
        let nodes = [node("/", Kind::Directory), node("/x", Kind::File(&content))];
        let epoch = nodeimg_values::epoch::Epoch(0);
        let to = &mut io::Cursor::new(Vec::new());
        let written = crate::squashfs::write(&nodes, epoch, &options, to);
        (written.map(drop), cache.0.load(Ordering::SeqCst))
    }

    #[test]
    fn bytes_that_changed_since_they_were_hashed_are_refused_and_not_kept() {
        const MIB: usize = 1 << 20;
        for is_known in [false, true] {
            for (len, kept) in [(10, 1), (200_000, 1), (2 * MIB, 1), (2 * MIB + 9, 2)] {
                let (whole, pieces) = packed(len, None, is_known);
                assert!(whole.is_ok() && pieces == kept, "{len}: {whole:?} {pieces}");
                for at in [0, len / 2, len - 1] {
                    let (refused, pieces) = packed(len, Some(at), is_known);
                    let error = format!("{:#}", refused.unwrap_err());
                    assert!(error.contains("`/x` (from a test) has changed"), "{error}");
                    assert!(pieces < kept, "{len} {at} {is_known}: {pieces} kept");
                }
            }
        }
    }

    #[test]
    fn whatever_changes_the_blocks_changes_the_key() {
        let contents = [b"a".to_vec(), b"b".to_vec(), b"ab".to_vec()];
        let xattrs = BTreeMap::new();
        let node = Node {
            path: "/x",
            mode: 0,
            uid: 0,
            gid: 0,
            xattrs: &xattrs,
            kind: Kind::Directory,
            origin: &"a test",
        };
        let sources = contents.each_ref().map(|content| Source {
            file: File {
                node: &node,
                content,
            },
            digest: Digest::sha256(content),
            marks: OnceLock::new(),
        });
        let options = Options::default();
        let packer = Packer::new(&sources, &options).unwrap();
        let blocks = |source, first, count| Piece::Blocks {
            source,
            first,
            count,
        };
        let pieces = [
            blocks(0, 0, 1),
            blocks(1, 0, 1),
            blocks(0, 1, 1),
            blocks(0, 0, 2),
            Piece::Fragment(vec![0]),
            Piece::Fragment(vec![0, 1]),
            Piece::Fragment(vec![1, 0]),
            Piece::Fragment(vec![2]),
        ];
        let keys: BTreeSet<_> = pieces.iter().map(|piece| packer.key(piece)).collect();
        assert_eq!(keys.len(), pieces.len());
        let of = |level, block_size, zstd| {
            let options = Options {
                level,
                block_size,
                ..Options::default()
            };
            what(&options, zstd)
        };
        let ways = [
            of(3, 4096, 1),
            of(4, 4096, 1),
            of(3, 8192, 1),
            of(3, 4096, 2),
        ];
        assert_eq!(BTreeSet::from(ways).len(), 4);
    }
}

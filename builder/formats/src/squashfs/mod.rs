//! SquashFS 4.0 images with zstd, from the nodes of a tree
//! ([the kernel's description](https://docs.kernel.org/filesystems/squashfs.html),
//! [the format in full](https://dr-emann.github.io/squashfs/)).
//!
//! ```text
//!  0 superblock    96 bytes, below
//! 96 options       the level, in a metadata block
//!    data          blocks and fragment blocks of files, each file's at a multiple of 4096
//!    inodes        a table of metadata blocks, as all that follow
//!    directories   listings
//!    fragments     u64 position | u32 size | u32 0       -> indexed
//!    export        u64 place of every inode, by number   -> indexed
//!    ids           u32 uids and gids                     -> indexed
//!    attributes    pairs, sets, list                     (if there are any)
//!    zeros         to a multiple of 4096
//!
//! superblock: u32 "hsqs" | u32 inodes | u32 time | u32 block size | u32 fragments
//!   u16 compressor (6: zstd) | u16 log2 of the block size | u16 flags | u16 ids
//!   u16 4 | u16 0 | u64 root inode | u64 bytes in use
//!   u64 ids | u64 attributes | u64 inodes | u64 directories | u64 fragments | u64 export
//! ```
//!
//! All numbers are little-endian; an indexed table is named by its index.
//!
//! # Invariants
//! - The bytes follow from the tree, the epoch, the block size and the level
//!   (and from the zstd that this program was built with): not from threads,
//!   nor from what the cache has.
//! - Every time is the epoch.
//!
//! Left out, since no tree has them: devices, sockets, hard links (two paths
//! of one content share its blocks), and values of attributes that are shared.

mod data;
mod directory;
mod inode;
mod metadata;
mod names;
mod pack;
mod xattr;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use nodeimg_values::parallel::cores;

use crate::readable::Readable;
use data::{Data, Known, Source};
use metadata::{Table, plain_block};
use names::Names;

const MAGIC: u32 = 0x7371_7368;
const SUPERBLOCK: usize = 96;
const ZSTD: u16 = 6;
/// A table that is not there.
const ABSENT: u64 = u64::MAX;
/// What the size of an image is a multiple of, and where its content begins: a page, a
/// dm-verity block.
const PADDING: u64 = 4096;

const DUPLICATES: u16 = 0x0040;
const EXPORTABLE: u16 = 0x0080;
const NO_XATTRS: u16 = 0x0200;
const HAS_OPTIONS: u16 = 0x0400;

/// How an image is written. Nothing but `block_size` and `level` changes a byte.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// In bytes: a power of two from 4 KiB to 1 MiB.
    pub block_size: u32,
    /// Of zstd.
    pub level: i32,
    /// More of them take more memory: some 10 MiB each.
    pub threads: NonZeroUsize,
    /// Where compressed blocks are kept, and taken from by the next build.
    pub cache: Option<&'a dyn Cache>,
}

/// More threads than this wait for the one that writes.
const MAX_THREADS: usize = 8;

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            block_size: 128 * 1024,
            level: 3,
            threads: NonZeroUsize::new(cores().min(MAX_THREADS)).unwrap_or(NonZeroUsize::MIN),
            cache: None,
        }
    }
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// In bytes, a multiple of 4096.
    pub size: u64,
    /// SHA-256 of every regular file's content, in the nodes' order.
    pub digests: Vec<Digest>,
}

/// Keeps results that are expensive to make. `what` names how it is made, with a version, `key`
/// stands for what it is made of.
pub trait Cache: Sync {
    /// The bytes that were kept, if they still are what they were.
    fn kept(&self, what: &str, key: &Digest) -> Result<Option<Vec<u8>>>;

    fn keep(&self, what: &str, key: &Digest, bytes: &[u8]) -> Result<()>;
}

/// A path of the image, with its owner, mode and content.
pub struct Node<'a> {
    /// Absolute and normal: `/`, `/usr/bin/runc`.
    pub path: &'a str,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// By full name (`security.capability`).
    pub xattrs: &'a BTreeMap<String, Vec<u8>>,
    pub kind: Kind<'a>,
    /// Where it comes from, for messages.
    pub origin: &'a (dyn fmt::Display + Sync),
}

/// The node at a path.
pub enum Kind<'a> {
    Directory,
    File(&'a dyn Readable),
    /// The link's text.
    Symlink(&'a str),
}

impl<'a> Node<'a> {
    fn context(&self) -> String {
        format!("`{}` (from {})", self.path, self.origin)
    }

    /// The last part; empty for the root.
    fn name(&self) -> &'a str {
        self.path.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// The path of the directory that this is in; `None` for the root.
    fn parent(&self) -> Option<&'a str> {
        match self.path.rsplit_once('/')? {
            (_, "") => None,
            ("", _) => Some("/"),
            (parent, _) => Some(parent),
        }
    }
}

/// Writes an image of `nodes` to `to`, from where it stands; leaves it at the image's
/// end. The root is the first node, each directory stands before all that is in it, and
/// siblings are sorted by the bytes of their names.
pub fn write(
    nodes: &[Node<'_>],
    epoch: Epoch,
    options: &Options<'_>,
    to: &mut (impl Write + Seek),
) -> Result<Written> {
    let context = || "writing the image (is the disk full?)";
    let time = u32::try_from(epoch.0)
        .with_context(|| format!("the epoch {} does not fit into SquashFS", epoch.0))?;
    check(options)?;
    let files = files(nodes);
    let known = data::digests(&files, options)?;
    let (sources, numbers) = distinct(&files, &known);

    let origin = to.stream_position().with_context(context)?;
    let mut head = vec![0; SUPERBLOCK];
    head.extend_from_slice(&plain_block(&options.level.to_le_bytes()));
    to.write_all(&head).with_context(context)?;
    let data = data::write(&sources, options, head.len() as u64, to)?;

    let stored = |file: usize| &data.stored[numbers[file]];
    let names = Names::write(nodes, time, options.level, stored)?;
    let mut rest = Vec::new();
    let superblock = tables(names, &data, options, &mut rest)?;
    let size = superblock.used.next_multiple_of(PADDING);
    rest.resize((size - data.end) as usize, 0);
    to.write_all(&rest).with_context(context)?;
    to.seek(SeekFrom::Start(origin))
        .and_then(|_| to.write_all(&superblock.encode(time, options.block_size)))
        .and_then(|()| to.seek(SeekFrom::Start(origin + size)))
        .with_context(context)?;
    let digests = known.into_iter().map(|(digest, _)| digest).collect();
    Ok(Written { size, digests })
}

fn check(options: &Options<'_>) -> Result<()> {
    ensure!(
        options.block_size.is_power_of_two() && (1 << 12..=1 << 20).contains(&options.block_size),
        "{} is not a block size of SquashFS: use a power of two from 4096 to 1048576",
        options.block_size
    );
    // The kernel's reader does not care; the field in the image must be right.
    ensure!(
        (1..=22).contains(&options.level),
        "{} is not a level of zstd in SquashFS: use 1 to 22",
        options.level
    );
    Ok(())
}

/// A regular file among the nodes.
#[derive(Clone, Copy)]
struct File<'a> {
    node: &'a Node<'a>,
    content: &'a dyn Readable,
}

fn files<'a>(nodes: &'a [Node<'a>]) -> Vec<File<'a>> {
    nodes
        .iter()
        .filter_map(|node| match node.kind {
            Kind::File(content) => Some(File { node, content }),
            Kind::Directory | Kind::Symlink(_) => None,
        })
        .collect()
}

/// The files that differ, and for each file the number of the one among them
/// that has its content.
fn distinct<'a>(files: &[File<'a>], known: &[Known]) -> (Vec<Source<'a>>, Vec<usize>) {
    let mut sources = Vec::new();
    let mut there = BTreeMap::new();
    let numbers = files
        .iter()
        .zip(known)
        .map(|(file, (digest, marks))| {
            *there.entry(digest).or_insert_with(|| {
                sources.push(Source {
                    file: *file,
                    digest: digest.clone(),
                    marks: marks.clone().map(OnceLock::from).unwrap_or_default(),
                });
                sources.len() - 1
            })
        })
        .collect();
    (sources, numbers)
}

/// Appends every table to `rest`, which follows the data.
fn tables(
    names: Names<'_>,
    data: &Data,
    options: &Options<'_>,
    rest: &mut Vec<u8>,
) -> Result<Superblock> {
    let start = data.end;
    let inodes = start;
    rest.extend_from_slice(&names.inodes.finish()?);
    let directories = start + rest.len() as u64;
    rest.extend_from_slice(&names.listings.finish()?);
    let mut indexed = |entries: &mut dyn Iterator<Item = Vec<u8>>| -> Result<u64> {
        let mut table = Table::new(options.level)?;
        for entry in entries {
            table.append(&entry)?;
        }
        table.finish_indexed(start, rest)
    };
    let fragments = match data.fragments.is_empty() {
        true => ABSENT,
        false => indexed(&mut data.fragments.iter().map(|fragment| {
            let mut entry = fragment.start.to_le_bytes().to_vec();
            entry.extend_from_slice(&fragment.size.to_le_bytes());
            entry.extend_from_slice(&0_u32.to_le_bytes());
            entry
        }))?,
    };
    let export = indexed(
        &mut names
            .places
            .iter()
            .map(|p| p.reference().to_le_bytes().to_vec()),
    )?;
    let ids = indexed(&mut names.ids.iter().map(|id| id.to_le_bytes().to_vec()))?;
    let xattrs = names.xattrs.finish(start, rest)?;
    Ok(Superblock {
        inodes: u32::try_from(names.places.len())?,
        fragments: u32::try_from(data.fragments.len())?,
        ids: u16::try_from(names.ids.len())?,
        root: names.root.reference(),
        used: start + rest.len() as u64,
        tables: [
            ids,
            xattrs.unwrap_or(ABSENT),
            inodes,
            directories,
            fragments,
            export,
        ],
    })
}

struct Superblock {
    inodes: u32,
    fragments: u32,
    ids: u16,
    root: u64,
    used: u64,
    /// Ids, attributes, inodes, directories, fragments, export.
    tables: [u64; 6],
}

impl Superblock {
    fn encode(&self, time: u32, block_size: u32) -> Vec<u8> {
        let mut flags = DUPLICATES | EXPORTABLE | HAS_OPTIONS;
        if self.tables[1] == ABSENT {
            flags |= NO_XATTRS;
        }
        let mut bytes = Vec::with_capacity(SUPERBLOCK);
        for number in [MAGIC, self.inodes, time, block_size, self.fragments] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let log = block_size.trailing_zeros() as u16;
        for number in [ZSTD, log, flags, self.ids, 4, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.root, self.used].iter().chain(&self.tables) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

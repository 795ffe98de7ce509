//! `overlay.tar.zst` and `rootfs.tar.zst`: a tree as a tar, for any base system or with
//! the recipe's own.
//!
//! A tar (see [`format::tar`](nodeimg_formats::tar)) under zstd
//! ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878)) with a content checksum.
//! Entries come in the tree's order, every directory before what is in it;
//! the root itself has no entry. Files are never sparse.
//!
//! # Invariants
//! The bytes depend on the tree, the epoch and the level alone. zstd cuts its
//! input into jobs of a fixed size once it has any worker, so it always has
//! one at least, and the number of them changes nothing but the time.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::num::NonZeroU32;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_formats::tar::{END, Entry, EntryKind, padding};
use nodeimg_values::atomic::AtomicFile;
use nodeimg_values::digest::{Digest, Hasher, HashingWriter};
use nodeimg_values::epoch::Epoch;
use nodeimg_values::parallel::cores;
use zstd::zstd_safe::CParameter;

use super::{Built, Output, Writer, manifest};
use crate::input::recipe::output::{Contents, OutputKind};
use crate::tree::{Content, ImagePath, Kind, Node, Stat, Tree};

pub static OVERLAY: Output = Output {
    kind: OutputKind {
        name: "overlay",
        summary: "`overlay.tar.zst`: the files to lay over a root file system.",
        contents: Contents::Overlay,
    },
    write: Writer::Tree(|built, to| archive(built, built.tree, to, "overlay.tar.zst")),
};

pub static ROOTFS: Output = Output {
    kind: OutputKind {
        name: "rootfs-tar",
        summary: "`rootfs.tar.zst`: a whole root file system, the base system with\n\
                  everything laid over it.",
        contents: Contents::System,
    },
    write: Writer::Tree(|built, to| archive(built, built.rootfs, to, "rootfs.tar.zst")),
};

/// zstd's default: what more it could save costs five times the time.
pub const LEVEL: i32 = 3;
/// What one worker takes on at a time, in bytes. With the window it bounds
/// the memory: about three jobs per worker.
const JOB: u32 = 4 << 20;
/// 2^22 bytes = 4 MiB is looked back: programs of one language share much.
const WINDOW_LOG: u32 = 22;
/// A job starts with 1/8 of the window before it, which costs little.
const OVERLAP_LOG: u32 = 6;
/// More workers than this gain nothing: reading and hashing is one thread.
const MAX_WORKERS: u32 = 8;
const PIECE: usize = 256 * 1024;

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// Of the whole output.
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of every regular file's content.
    pub digests: BTreeMap<ImagePath, Digest>,
}

fn archive(built: &Built<'_>, tree: &Tree, directory: &Path, file: &str) -> Result<super::Written> {
    let to = directory.join(file);
    let written = write(tree, built.locked.epoch(), &to, LEVEL)?;
    let output = manifest::Output {
        file: file.to_owned(),
        size: written.size,
        sha256: written.sha256,
    };
    Ok(super::Written {
        outputs: vec![output],
        digests: written.digests,
        ..super::Written::default()
    })
}

/// Writes `tree` to `to`, whole or not at all.
pub fn write(tree: &Tree, epoch: Epoch, to: &Path, level: i32) -> Result<Written> {
    write_with(tree, epoch, to, Compression::of_level(level))
}

#[derive(Clone, Copy)]
pub struct Compression {
    pub level: i32,
    pub workers: NonZeroU32,
}

impl Compression {
    /// With as many workers as help.
    pub fn of_level(level: i32) -> Compression {
        let cores = u32::try_from(cores()).unwrap_or(MAX_WORKERS);
        let workers = NonZeroU32::new(cores.min(MAX_WORKERS)).unwrap_or(NonZeroU32::MIN);
        Compression { level, workers }
    }
}

fn write_with(tree: &Tree, epoch: Epoch, to: &Path, how: Compression) -> Result<Written> {
    let context = || format!("writing {} (is the disk full?)", to.display());
    let file = AtomicFile::create(to)?;
    let out = HashingWriter::new(BufWriter::with_capacity(PIECE, file));
    let mut encoder = encoder(out, how).context("preparing the zstd encoder")?;
    let digests = write_tree(tree, epoch, &mut encoder).with_context(context)?;
    let (out, got) = encoder.finish().with_context(context)?.finish();
    let file = out
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .with_context(context)?;
    file.commit()?;
    Ok(Written {
        sha256: got.sha256,
        size: got.size,
        digests,
    })
}

/// While a worker compresses one job, the caller reads and hashes the next.
pub fn encoder<W: Write>(to: W, how: Compression) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(to, how.level)?;
    encoder.multithread(how.workers.get())?;
    for parameter in [
        CParameter::ChecksumFlag(true),
        CParameter::JobSize(JOB),
        CParameter::WindowLog(WINDOW_LOG),
        CParameter::OverlapSizeLog(OVERLAP_LOG),
    ] {
        encoder.set_parameter(parameter)?;
    }
    Ok(encoder)
}

fn write_tree(
    tree: &Tree,
    epoch: Epoch,
    to: &mut impl Write,
) -> Result<BTreeMap<ImagePath, Digest>> {
    let mut digests = BTreeMap::new();
    let mut buffer = vec![0; PIECE];
    for (path, node) in tree.iter() {
        if path.relative().is_empty() {
            check_root(node)?;
            continue;
        }
        to.write_all(&entry(path, node, epoch).encode()?)?;
        if let Kind::File(content) = &node.kind {
            let digest = copy(content, to, &mut buffer)
                .with_context(|| format!("`{path}` (from {})", node.origin))?;
            digests.insert(path.clone(), digest);
        }
    }
    to.write_all(&END)?;
    Ok(digests)
}

fn entry<'a>(path: &'a ImagePath, node: &'a Node, epoch: Epoch) -> Entry<'a> {
    Entry {
        name: path.relative(),
        kind: match &node.kind {
            Kind::Directory => EntryKind::Directory,
            Kind::File(content) => EntryKind::File(content.len()),
            Kind::Symlink(target) => EntryKind::Symlink(target),
        },
        mode: node.stat.mode,
        uid: node.stat.uid,
        gid: node.stat.gid,
        mtime: epoch.0,
        xattrs: &node.stat.xattrs,
    }
}

/// The root is the base system's; an overlay has no say in it.
fn check_root(node: &Node) -> Result<()> {
    if node.stat != Stat::root(0o755) {
        bail!(
            "`/` (from {}) has an owner, mode or attribute of its own, which an overlay cannot carry",
            node.origin
        );
    }
    Ok(())
}

fn copy(content: &Content, to: &mut impl Write, buffer: &mut [u8]) -> Result<Digest> {
    let mut hasher = Hasher::new(&[]);
    let mut reader = content.reader();
    loop {
        match reader.read(buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                to.write_all(&buffer[..n])?;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    let got = hasher.finish();
    to.write_all(&END[..padding(got.size)])?;
    Ok(got.sha256)
}

#[cfg(test)]
mod tests;

//! qcow2, version 3: a disk image for QEMU that is as long as its content
//! ([QEMU's description](https://www.qemu.org/docs/master/interop/qcow2.html)).
//!
//! ```text
//! cluster 0   header, its extensions, the backing file's name
//!             the disk's clusters that are not zero, in their order
//!             L2 tables   u64 place of each of 8192 clusters
//!             L1 table    u64 place of each L2 table
//!             refcounts   u16 for each cluster of this file, in blocks
//!             their table u64 place of each block
//! ```
//!
//! Numbers are big-endian, places are in bytes, a cluster has 64 KiB.
//!
//! # Invariants
//! - The bytes follow from those of the disk, wherever its file has holes.
//! - A cluster of zeros is not in the file.
//! - The header is written last: a file that ends before is not a qcow2 image.
//!
//! Left out: compression (the content of our disks is already compressed), encryption,
//! snapshots, bitmaps.

mod read;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail, ensure};

use super::sparse;

pub use read::read;

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Places in an L2 table or in a part of a table of a cluster's size.
const PER_TABLE: u64 = CLUSTER / 8;
/// Refcounts in a block: of 16 bits each.
const PER_BLOCK: u64 = CLUSTER / 2;
/// "This is the only use of the cluster, write to it in place."
const COPIED: u64 = 1 << 63;
const SECTOR: u64 = 512;
/// QEMU takes no L1 table above 32 MiB.
const MAX_SIZE: u64 = (32 << 20) / 8 * PER_TABLE * CLUSTER;
const HEADER_LEN: u32 = 104;
/// The extension that names the format of the backing file.
const BACKING_FORMAT: u32 = 0xe279_2aca;
const LONGEST_BACKING: usize = 1023;

/// Writes the disk `raw` as a qcow2 image from the start of `to` on, which is
/// empty. The guest sees `virtual_size` bytes, or those of `raw` if they are more: zeros
/// follow it. Says how long the image is, in bytes. Moves the position of `raw`.
pub fn write(raw: &File, virtual_size: u64, to: &mut (impl Write + Seek)) -> Result<u64> {
    let reading = "reading the disk to make a qcow2 image of";
    let size = raw.metadata().context(reading)?.len();
    let virtual_size = virtual_size.max(size);
    check_size(virtual_size)?;
    let mut image = Image::new(virtual_size, to);
    let mut cluster = vec![0; CLUSTER as usize];
    let mut position = 0;
    while let Some(data) = sparse::next_data(raw, position).context(reading)? {
        let first = data.start / CLUSTER;
        for index in first..data.end.div_ceil(CLUSTER) {
            let at = index * CLUSTER;
            let len = CLUSTER.min(size - at) as usize;
            cluster[len..].fill(0);
            raw.read_exact_at(&mut cluster[..len], at)
                .context(reading)?;
            if cluster.iter().any(|&byte| byte != 0) {
                image.put(index, &cluster)?;
            }
        }
        position = data.end.next_multiple_of(CLUSTER).min(size);
    }
    image.finish(None)
}

/// Writes an image that is what the disk `backing` is until it is written to:
/// the disk itself never is.
///
/// `backing` is a path as QEMU takes it, relative to the image; `format` is
/// QEMU's name of what it is, `raw` or `qcow2`. `size` is that of the disk in
/// bytes, and may be larger than the backing one's: the rest is zeros.
pub fn overlay(
    backing: &str,
    backing_format: &str,
    virtual_size: u64,
    to: &mut (impl Write + Seek),
) -> Result<()> {
    check_size(virtual_size)?;
    let shown = backing.escape_debug();
    ensure!(
        (1..=LONGEST_BACKING).contains(&backing.len()) && !backing.contains('\0'),
        "`{shown}` cannot be named in a qcow2 image: the path must have 1 to {LONGEST_BACKING} \
         bytes"
    );
    let head = backing.split('/').next().unwrap_or_default();
    ensure!(
        !head.contains(':'),
        "QEMU would read `{shown}` as a protocol and an address: put `/` or `./` in front of it"
    );
    if !["raw", "qcow2"].contains(&backing_format) {
        bail!(
            "a qcow2 image cannot be based on one of format `{backing_format}`: use raw or qcow2"
        );
    }
    let backing = Backing {
        path: backing,
        format: backing_format,
    };
    Image::new(virtual_size, to).finish(Some(backing)).map(drop)
}

fn check_size(size: u64) -> Result<()> {
    ensure!(
        size.is_multiple_of(SECTOR) && size <= MAX_SIZE,
        "a disk of {size} bytes cannot be a qcow2 image: its size must be a multiple of {SECTOR} \
         bytes, up to {MAX_SIZE} bytes"
    );
    Ok(())
}

struct Backing<'a> {
    path: &'a str,
    format: &'a str,
}

/// An image that is being written: clusters one after the other, then tables.
struct Image<'a, W> {
    to: &'a mut W,
    /// Of the disk, in bytes.
    size: u64,
    /// The next free cluster of the file.
    next: u64,
    /// By L1 index: places of the disk's clusters.
    tables: BTreeMap<u64, Vec<u64>>,
}

impl<W: Write + Seek> Image<'_, W> {
    fn new(size: u64, to: &mut W) -> Image<'_, W> {
        Image {
            to,
            size,
            next: 1,
            tables: BTreeMap::new(),
        }
    }

    /// Cluster `index` of the disk.
    fn put(&mut self, index: u64, bytes: &[u8]) -> Result<()> {
        let place = self.append(bytes)?;
        let table = self.tables.entry(index / PER_TABLE);
        let table = table.or_insert_with(|| vec![0; PER_TABLE as usize]);
        table[(index % PER_TABLE) as usize] = place | COPIED;
        Ok(())
    }

    /// Whole clusters. Says where they are.
    fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        let place = self.next * CLUSTER;
        put_at(self.to, place, bytes)?;
        self.next += bytes.len() as u64 / CLUSTER;
        Ok(place)
    }

    /// The tables and the header.
    fn finish(mut self, backing: Option<Backing<'_>>) -> Result<u64> {
        let mut l1 = vec![0; self.size.div_ceil(PER_TABLE * CLUSTER) as usize];
        for (index, table) in std::mem::take(&mut self.tables) {
            l1[index as usize] = self.append(&places(&table))? | COPIED;
        }
        let mut header = Header {
            size: self.size,
            l1_len: l1.len() as u32,
            ..Header::default()
        };
        // A disk of no bytes has no table, and yet a place for one.
        l1.resize(l1.len().max(1), 0);
        header.l1 = self.append(&places(&l1))?;
        let (refcounts, clusters) = self.write_refcounts()?;
        (header.refcounts, header.refcount_clusters) = (refcounts, clusters);
        put_at(self.to, 0, &header.encode(backing))?;
        self.to.flush().context(FAILED)?;
        Ok(self.next * CLUSTER)
    }

    /// One for each cluster, those of the refcounts too.
    fn write_refcounts(&mut self) -> Result<(u64, u32)> {
        let (mut blocks, mut tables) = (0u64, 0u64);
        loop {
            let all = self.next + blocks + tables;
            let wanted = all.div_ceil(PER_BLOCK);
            if (wanted, wanted.div_ceil(PER_TABLE)) == (blocks, tables) {
                break;
            }
            (blocks, tables) = (wanted, wanted.div_ceil(PER_TABLE));
        }
        let used = self.next + blocks + tables;
        let mut table = Vec::new();
        for block in 0..blocks {
            let ones = PER_BLOCK.min(used - block * PER_BLOCK) as usize;
            let mut bytes = [0, 1].repeat(ones);
            bytes.resize(CLUSTER as usize, 0);
            table.push(self.append(&bytes)?);
        }
        Ok((self.append(&places(&table))?, tables as u32))
    }
}

const FAILED: &str = "writing a qcow2 image (is the disk full?)";

fn put_at(to: &mut (impl Write + Seek), at: u64, bytes: &[u8]) -> Result<()> {
    let put = |to: &mut dyn Write| to.write_all(bytes);
    to.seek(SeekFrom::Start(at))
        .and_then(|_| put(to))
        .context(FAILED)
}

/// A table in whole clusters.
fn places(table: &[u64]) -> Vec<u8> {
    let mut bytes: Vec<u8> = table.iter().flat_map(|place| place.to_be_bytes()).collect();
    bytes.resize(bytes.len().next_multiple_of(CLUSTER as usize), 0);
    bytes
}

#[derive(Default)]
struct Header {
    size: u64,
    l1: u64,
    l1_len: u32,
    refcounts: u64,
    refcount_clusters: u32,
}

impl Header {
    /// ```text
    ///  0  "QFI" FBh             24  size in bytes     56  clusters of that table
    ///  4  version               32  encryption        60  snapshots, their place
    ///  8  place of backing      36  L1 entries        72  features: incompatible,
    /// 16  its length            40  place of L1           compatible, autoclear
    /// 20  log2 of a cluster     48  of refcounts      96  log2 of refcount bits
    ///                                                100  length of this
    /// extension: u32 kind | u32 length | bytes, to a multiple of 8
    /// ```
    fn encode(&self, backing: Option<Backing<'_>>) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN as usize];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, b"QFI\xfb");
        put(4, &3u32.to_be_bytes());
        put(20, &CLUSTER_BITS.to_be_bytes());
        put(24, &self.size.to_be_bytes());
        put(36, &self.l1_len.to_be_bytes());
        put(40, &self.l1.to_be_bytes());
        put(48, &self.refcounts.to_be_bytes());
        put(56, &self.refcount_clusters.to_be_bytes());
        put(96, &4u32.to_be_bytes());
        put(100, &HEADER_LEN.to_be_bytes());
        if let Some(Backing { path, format }) = backing {
            bytes.extend(BACKING_FORMAT.to_be_bytes());
            bytes.extend((format.len() as u32).to_be_bytes());
            bytes.extend(format.as_bytes());
            // To a multiple of 8; and the kind that ends the list.
            bytes.resize(bytes.len().next_multiple_of(8) + 8, 0);
            let (place, length) = (bytes.len() as u64, path.len() as u32);
            bytes[8..16].copy_from_slice(&place.to_be_bytes());
            bytes[16..20].copy_from_slice(&length.to_be_bytes());
            bytes.extend(path.as_bytes());
        }
        bytes.resize(CLUSTER as usize, 0);
        bytes
    }
}

#[cfg(test)]
mod tests;

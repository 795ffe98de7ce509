//! Inodes.
//!
//! ```text
//! u16 type | u16 mode | u16 uid index | u16 gid index | u32 mtime | u32 number
//! directory  1: u32 listing block | u32 links | u16 size + 3 | u16 listing offset | u32 parent
//!            8: u32 links | u32 size + 3 | u32 listing block | u32 parent
//!               u16 index entries | u16 listing offset | u32 xattrs | index
//! file       2: u32 start | u32 fragment | u32 offset in it | u32 size | u32 block size ...
//!            9: u64 start | u64 size | u64 bytes in holes | u32 links
//!               u32 fragment | u32 offset in it | u32 xattrs | u32 block size ...
//! symlink    3: u32 links | u32 length | target
//!           10: as 3, then u32 xattrs
//! ```
//!
//! The extended types (8 to 10) are taken only if the basic ones cannot
//! say it: attributes, sizes, holes, an indexed listing.

use super::Kind;
use super::directory::Listing;
use super::metadata::Position;

/// "No fragment", "no attributes".
pub const NONE: u32 = u32::MAX;

/// What every inode has.
#[derive(Clone, Copy, Debug)]
pub struct Common {
    pub mode: u32,
    /// Index into the table of ids.
    pub uid: u16,
    pub gid: u16,
    pub mtime: u32,
    pub number: u32,
    /// Index into the table of attribute sets.
    pub xattrs: Option<u32>,
}

/// Where a file's content is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// Of the first block.
    pub start: u64,
    /// Of each block: the bytes it takes, [`UNPACKED`](super::pack::UNPACKED)
    /// set if they are as they were; 0 is a block of zeros that is not there.
    pub sizes: Vec<u32>,
    /// The fragment block's number and the offset in it, for a file in one.
    pub fragment: Option<(u32, u32)>,
    /// Bytes in blocks that are not there.
    pub holes: u64,
}

/// The type in a directory's entry, also that of a basic inode.
pub fn basic_type(kind: &Kind<'_>) -> u16 {
    match kind {
        Kind::Directory => 1,
        Kind::File(_) => 2,
        Kind::Symlink(_) => 3,
    }
}

pub fn file(common: &Common, len: u64, stored: &Stored) -> Vec<u8> {
    let (fragment, offset) = stored.fragment.unwrap_or((NONE, 0));
    let basic = match (u32::try_from(stored.start), u32::try_from(len)) {
        (Ok(start), Ok(len)) if common.xattrs.is_none() && stored.holes == 0 => Some((start, len)),
        _ => None,
    };
    let mut bytes;
    if let Some((start, len)) = basic {
        bytes = head(2, common);
        put(&mut bytes, &[start, fragment, offset, len]);
    } else {
        bytes = head(9, common);
        // A file is never said to be all hole: readers take that for an error.
        let holes = stored.holes.min(len.saturating_sub(1));
        for number in [stored.start, len, holes] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let xattrs = common.xattrs.unwrap_or(NONE);
        put(&mut bytes, &[1, fragment, offset, xattrs]);
    }
    put(&mut bytes, &stored.sizes);
    bytes
}

/// `target` is shorter than 4 GiB: the caller has checked it.
pub fn symlink(common: &Common, target: &str) -> Vec<u8> {
    let mut bytes = head(if common.xattrs.is_none() { 3 } else { 10 }, common);
    put(&mut bytes, &[1, target.len() as u32]);
    bytes.extend_from_slice(target.as_bytes());
    if let Some(xattrs) = common.xattrs {
        put(&mut bytes, &[xattrs]);
    }
    bytes
}

/// `parent` is the number of the directory above; the root's is one more than
/// the highest in use.
pub fn directory(common: &Common, links: u32, parent: u32, listing: &Listing) -> Vec<u8> {
    // The two entries `.` and `..` that are not in it, as the kernel counts.
    let size = listing.len + 3;
    let Position { block, offset } = listing.place;
    let basic = u16::try_from(size)
        .ok()
        .filter(|_| common.xattrs.is_none() && listing.index.is_empty());
    let mut bytes;
    if let Some(size) = basic {
        bytes = head(1, common);
        put(&mut bytes, &[block, links]);
        put16(&mut bytes, &[size, offset]);
        put(&mut bytes, &[parent]);
    } else {
        bytes = head(8, common);
        put(&mut bytes, &[links, size, block, parent]);
        put16(&mut bytes, &[listing.indexed, offset]);
        put(&mut bytes, &[common.xattrs.unwrap_or(NONE)]);
        bytes.extend_from_slice(&listing.index);
    }
    bytes
}

fn head(kind: u16, common: &Common) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mode = (common.mode & 0o7777) as u16;
    put16(&mut bytes, &[kind, mode, common.uid, common.gid]);
    put(&mut bytes, &[common.mtime, common.number]);
    bytes
}

fn put(to: &mut Vec<u8>, numbers: &[u32]) {
    to.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
}

fn put16(to: &mut Vec<u8>, numbers: &[u16]) {
    to.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
}

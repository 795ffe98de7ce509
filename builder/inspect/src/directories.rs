//! The directories and files of a SquashFS, looked over before the library follows them: it
//! trusts their places, depth and sizes
//! ([format](https://dr-emann.github.io/squashfs/squashfs.html#_directory_table)).

use std::collections::{BTreeMap, BTreeSet};
use std::io::SeekFrom;

use anyhow::{Context, Result, anyhow, bail};
use backhand::v4::inode::{Inode, InodeInner};
use backhand::{Squashfs, SquashfsFileReader};

/// Of the header before up to 256 entries, in bytes.
const HEADER: usize = 12;
/// Of an entry without its name, in bytes.
const ENTRY: usize = 8;
/// Directories in directories.
const DEEPEST: usize = 256;
/// What a directory's size is larger than its entries: `.` and `..`.
const EXTRA: usize = 3;
/// The most that zstd has before its data, in bytes.
const ZSTD_HEADER: usize = 18;
/// The number of no fragment.
const NO_FRAGMENT: usize = u32::MAX as usize;
/// An entry's type.
const DIRECTORY: u16 = 1;

/// That every directory is there, and in one other only, and that files have blocks as large as
/// the image's at most.
///
/// # Errors
/// A directory is outside the table, in itself, or in two others; a file says it has what no
/// image can have.
pub(crate) fn check(image: &mut Squashfs<'_>) -> Result<()> {
    files(image)?;
    let image = &*image;
    let mut seen = BTreeSet::from([image.root_inode.header.inode_number]);
    let mut left = image.dir_blocks.1.len();
    let mut todo = vec![(&image.root_inode, 0)];
    while let Some((inode, depth)) = todo.pop() {
        if depth > DEEPEST {
            bail!("its directories are more than {DEEPEST} deep");
        }
        let entries = entries(image, inode)?;
        left = left
            .checked_sub(entries.len())
            .context("its directories are larger than their table")?;
        for (number, kind) in numbers(entries)? {
            let found = image.inodes.get(&number);
            let found = found.context("an entry of a directory leads nowhere")?;
            if kind != DIRECTORY {
                continue;
            }
            if !seen.insert(number) {
                bail!("its directories go in a circle");
            }
            todo.push((found, depth + 1));
        }
    }
    Ok(())
}

fn files(image: &mut Squashfs<'_>) -> Result<()> {
    let block = image.superblock.block_size;
    let shared = image.fragments.clone().unwrap_or_default();
    if shared.iter().any(|one| one.size.size() > block) {
        bail!("a block of several files' ends is larger than a block");
    }
    // How much of each such block files need.
    let mut needed: BTreeMap<usize, u64> = BTreeMap::new();
    for inode in image.inodes.values() {
        let file = match &inode.inner {
            InodeInner::BasicFile(file) => SquashfsFileReader::Basic(file.clone()),
            InodeInner::ExtendedFile(file) => SquashfsFileReader::Extended(file.clone()),
            _ => continue,
        };
        if file.block_sizes().iter().any(|size| size.size() > block) {
            bail!("a file has a block that is larger than a block");
        }
        let index = file.frag_index();
        if index == NO_FRAGMENT {
            continue;
        }
        let tail = file.file_len() as u64 % u64::from(block);
        let end = u64::from(file.block_offset()) + tail;
        let most = needed.entry(index).or_default();
        *most = end.max(*most);
    }
    for (index, end) in needed {
        let found = shared.get(index);
        let found = found.context("the end of a file is in a block that is not there")?;
        let size = match found.size.uncompressed() {
            true => Some(u64::from(found.size.size())),
            false => unpacked(image, found.start, found.size.size())?,
        };
        if size.is_some_and(|size| size < end) || end > u64::from(block) {
            bail!("the end of a file lies behind the block that it is in");
        }
    }
    Ok(())
}

/// What a block has once it is decompressed, if it says so.
fn unpacked(image: &mut Squashfs<'_>, start: u64, size: u32) -> Result<Option<u64>> {
    let mut head = vec![0; (size as usize).min(ZSTD_HEADER)];
    let file = &mut image.file;
    let read = file.seek(SeekFrom::Start(start));
    let read = read.and_then(|_| file.read_exact(&mut head));
    read.context("a block lies outside the image")?;
    zstd::zstd_safe::get_frame_content_size(&head)
        .map_err(|_| anyhow!("a block is not compressed as it says"))
}

/// The bytes of a directory's entries.
fn entries<'a>(image: &'a Squashfs<'_>, inode: &Inode) -> Result<&'a [u8]> {
    let (block, offset, size) = match &inode.inner {
        InodeInner::BasicDirectory(basic) => (
            basic.block_index,
            basic.block_offset,
            u32::from(basic.file_size),
        ),
        InodeInner::ExtendedDirectory(extended) => (
            extended.block_index,
            extended.block_offset,
            extended.file_size,
        ),
        _ => bail!("what a directory is said to be is something else"),
    };
    let Some(size) = (size as usize).checked_sub(EXTRA).filter(|size| *size > 0) else {
        return Ok(&[]);
    };
    let (places, table) = &image.dir_blocks;
    let place = places.get(&u64::from(block)).copied();
    let start = place.and_then(|place| usize::try_from(place).ok());
    let start = start.and_then(|start| start.checked_add(usize::from(offset)));
    let found = start.and_then(|start| table.get(start..start.checked_add(size)?));
    found.context("a directory lies outside the table of directories")
}

/// Inode numbers and types of all entries.
fn numbers(mut bytes: &[u8]) -> Result<Vec<(u32, u16)>> {
    let mut found = Vec::new();
    let cut = "a directory is cut short";
    while !bytes.is_empty() {
        let header = bytes.get(..HEADER).context(cut)?;
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let count = u32::from_le_bytes(word(0));
        let first = u32::from_le_bytes(word(8));
        if count > 255 {
            bail!("a directory has a header of {count} entries");
        }
        bytes = &bytes[HEADER..];
        for _ in 0..=count {
            let entry = bytes.get(..ENTRY).context(cut)?;
            let short = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
            let number = i64::from(first) + i64::from(short(2).cast_signed());
            let number = u32::try_from(number)
                .ok()
                .filter(|n| i32::try_from(*n).is_ok());
            let number = number.context("an entry of a directory leads nowhere")?;
            let name = usize::from(short(6)) + 1;
            found.push((number, short(4)));
            bytes = bytes.get(ENTRY + name..).context(cut)?;
        }
    }
    Ok(found)
}

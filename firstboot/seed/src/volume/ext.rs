//! ext2, ext3 and ext4, which one driver of the kernel reads
//! (<https://docs.kernel.org/filesystems/ext4/super.html>).
//!
//! ```text
//! 1024  superblock
//!   +24   block size as a shift u32   +56  magic 0xef53 u16
//!   +120  label, 16 bytes             +96  incompatible features u32
//!   +104  UUID, 16 bytes
//! ```
use std::io;

use super::{ReadAt, Reader, grouped, label, le16, le32};

const SUPERBLOCK: u64 = 1024;
const MAGIC: u16 = 0xef53;
/// A journal on its own device looks much like a file system.
const JOURNAL_DEVICE: u32 = 0x8;

/// The label and the UUID.
pub(super) fn read(
    reader: &mut Reader<'_, impl ReadAt>,
) -> io::Result<Option<(Vec<String>, Option<String>)>> {
    let Some(block) = reader.bytes::<256>(SUPERBLOCK)? else {
        return Ok(None);
    };
    let sound = le16(&block, 56) == MAGIC
        && le32(&block, 24) <= 6
        && le32(&block, 96) & JOURNAL_DEVICE == 0;
    Ok(sound.then(|| {
        let labels = label(&block[120..136]).into_iter().collect();
        (labels, grouped(&block[104..120], &[4, 2, 2, 2, 6]))
    }))
}

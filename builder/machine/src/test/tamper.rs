//! A copy of a disk with one bit of its root file system changed: of the block
//! with the inode of the root directory, which every mount reads.
//!
//! ```text
//!  GPT entry (128 bytes)   +0 type, +32 u64 first sector                UEFI 2.10, 5.3.3
//!  SquashFS superblock     +32 u64 root inode: block << 16 | offset, +64 u64 inode table
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::region::Region;

const SECTOR: u64 = 512;
const ENTRIES: u64 = 128;
/// Types of the partition of a root, for amd64 and for arm64. Its label is its version.
const ROOTS: [Guid; 2] = [
    Guid::known(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709),
    Guid::known(0xb921b045_1df0_41c3_af44_4c6f280d3fae),
];

/// Writes the copy to `to`, a new file; `from` is a raw disk.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let shown = from.display();
    let mut original = File::open(from).with_context(|| format!("opening {shown}"))?;
    let context = || format!("copying {shown} to {}", to.display());
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(to)
        .with_context(context)?;
    // Zeros become holes, which a disk mostly is.
    std::io::copy(&mut original, &mut Region::new(&file, 0)).with_context(context)?;
    let length = original.metadata().with_context(context)?.len();
    file.set_len(length).with_context(context)?;
    let place = place(&file).with_context(|| format!("looking for the root in {shown}"))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).with_context(context)?;
    file.write_all_at(&[byte[0] ^ 1], place)
        .with_context(context)
}

fn place(disk: &File) -> Result<u64> {
    let root = root(disk)?;
    let mut magic = [0; 4];
    disk.read_exact_at(&mut magic, root)?;
    ensure!(&magic == b"hsqs", "its root partition holds no SquashFS");
    let (inode, table) = (number(disk, root + 32)?, number(disk, root + 64)?);
    let place = table
        .checked_add((inode >> 16) + 10)
        .and_then(|offset| root.checked_add(offset));
    place.context("its SquashFS is damaged")
}

/// Where the partition of the root begins.
fn root(disk: &File) -> Result<u64> {
    let kinds = ROOTS.map(Guid::mixed_endian);
    for index in 0..ENTRIES {
        let entry = 2 * SECTOR + index * 128;
        let mut found = [0; 16];
        disk.read_exact_at(&mut found, entry)?;
        if kinds.contains(&found) {
            let first = number(disk, entry + 32)?.checked_mul(SECTOR);
            return first.context("its partition table is damaged");
        }
    }
    anyhow::bail!("it has no partition of a root");
}

fn number(disk: &File, at: u64) -> Result<u64> {
    let mut bytes = [0; 8];
    disk.read_exact_at(&mut bytes, at)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_bit_is_another_one() {
        let directory = tempfile::TempDir::new().unwrap();
        let (from, to) = (directory.path().join("a"), directory.path().join("b"));
        let mut disk = vec![0; 1 << 20];
        let entry = 1024 + 3 * 128;
        disk[entry + 32..entry + 40].copy_from_slice(&8u64.to_le_bytes());
        disk[entry..entry + 16].copy_from_slice(&ROOTS[1].mixed_endian());
        std::fs::write(&from, &disk).unwrap();
        assert!(format!("{:#}", copy(&from, &to).unwrap_err()).contains("no SquashFS"));
        std::fs::remove_file(&to).unwrap();
        let root = 8 * 512;
        disk[root..root + 4].copy_from_slice(b"hsqs");
        disk[root + 32..root + 40].copy_from_slice(&(300u64 << 16 | 7).to_le_bytes());
        disk[root + 64..root + 72].copy_from_slice(&5000u64.to_le_bytes());
        std::fs::write(&from, &disk).unwrap();
        copy(&from, &to).unwrap();
        let copied = std::fs::read(&to).unwrap();
        let other: Vec<_> = (0..disk.len())
            .filter(|at| disk[*at] != copied[*at])
            .collect();
        assert_eq!(other, [root + 5000 + 300 + 10]);
        std::fs::write(&from, vec![0; 1 << 20]).unwrap();
        std::fs::remove_file(&to).unwrap();
        assert!(format!("{:#}", copy(&from, &to).unwrap_err()).contains("no partition of a root"));
    }
}

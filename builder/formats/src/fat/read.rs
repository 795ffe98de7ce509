//! Reads all files of a FAT32 volume that [`super::write`] could have made.
//!
//! # Invariants
//! What the volume says leads nowhere else: every cluster is within it, no chain is longer than
//! it, and all files together fit into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};

use super::volume::{FIRST_CLUSTER, SECTOR};

const ENTRY: usize = 32;
pub(super) const DELETED: u8 = 0xe5;
pub(super) const LONG: u8 = 0x0f;
pub(super) const LABEL: u8 = 0x08;
pub(super) const DIRECTORY: u8 = 0x10;
/// Folders in folders.
const DEEPEST: usize = 16;
/// Of a long name, in bytes: 20 entries of 13 units.
const LONGEST: usize = 20 * 26;
/// No cluster follows.
const END: u32 = 0x0fff_fff8;

/// A directory has at most as many bytes.
const MAX_DIRECTORY: u64 = 1 << 21;

/// A volume's files by path (`EFI/BOOT/BOOTX64.EFI`), and what it is beside them.
#[derive(Debug)]
pub struct Contents {
    pub files: BTreeMap<String, Vec<u8>>,
    pub volume_id: u32,
    /// Without the spaces behind it.
    pub label: String,
}

/// The volume in `size` bytes from `start` of `file` on.
///
/// # Errors
/// It cannot be read, is not FAT32, or is damaged.
pub fn read(file: &File, start: u64, size: u64) -> Result<Contents> {
    let volume = Listed::open(file, start, size)?;
    let mut files = BTreeMap::new();
    for path in volume.files.keys() {
        files.insert(path.clone(), volume.content(file, path)?);
    }
    Ok(Contents {
        files,
        volume_id: volume.id,
        label: volume.label,
    })
}

/// Where a file is in its volume.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    first: u32,
    /// In bytes.
    pub size: u64,
}

/// A volume whose directories were read, but no file.
#[derive(Debug)]
pub struct Listed {
    /// By path, without a slash before it.
    pub files: BTreeMap<String, Place>,
    start: u64,
    /// Of a cluster, in bytes.
    cluster: u64,
    /// Where the first cluster is in the volume, in bytes.
    data: u64,
    /// What follows each cluster.
    fat: Vec<u32>,
    id: u32,
    label: String,
}

/// What of a volume is yet to be listed.
struct Walk {
    /// First clusters of directories.
    seen: BTreeSet<u32>,
    /// Bytes that files may have.
    left: u64,
}

impl Listed {
    /// Reads all directories of the volume in `size` bytes from `start` of `file` on.
    ///
    /// # Errors
    /// It cannot be read, is not FAT32, or is damaged.
    pub fn open(file: &File, start: u64, size: u64) -> Result<Listed> {
        let mut boot = [0; SECTOR as usize];
        let context = "reading a FAT32 file system";
        file.read_exact_at(&mut boot, start).context(context)?;
        let word = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let long = |at: usize| word(at) | word(at + 2) << 16;
        let (per_cluster, reserved, fat) = (u64::from(boot[13]), word(14), long(36));
        let data = (reserved + u64::from(boot[16]) * fat) * SECTOR;
        let sectors = long(32);
        let fits = boot[510..] == [0x55, 0xaa]
            && &boot[82..87] == b"FAT32"
            && word(11) == SECTOR
            && per_cluster.is_power_of_two()
            && sectors * SECTOR <= size
            && data < sectors * SECTOR;
        if !fits {
            bail!("is not a FAT32 file system of its partition's size");
        }
        let clusters =
            (sectors * SECTOR - data) / (per_cluster * SECTOR) + u64::from(FIRST_CLUSTER);
        let mut bytes = vec![0; (clusters.min(fat * SECTOR / 4) * 4) as usize];
        file.read_exact_at(&mut bytes, start + reserved * SECTOR)
            .context(context)?;
        let next = |entry: &[u8]| {
            u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]) & 0x0fff_ffff
        };
        let mut volume = Listed {
            files: BTreeMap::new(),
            start,
            cluster: per_cluster * SECTOR,
            data,
            fat: bytes.chunks_exact(4).map(next).collect(),
            id: long(67) as u32,
            label: String::from_utf8_lossy(&boot[71..82]).trim_end().to_owned(),
        };
        let mut walk = Walk {
            seen: BTreeSet::new(),
            left: size,
        };
        let root = long(44) as u32;
        volume.walk(file, root, "", (DEEPEST, &mut walk))?;
        Ok(volume)
    }

    /// The content of one of its files.
    pub fn content(&self, file: &File, path: &str) -> Result<Vec<u8>> {
        let place = self.files.get(path);
        let place = place.with_context(|| format!("there is no `{}`", path.escape_debug()))?;
        self.chain(file, place.first, Some(place.size))
    }

    /// The bytes of a chain: `length` of them, or all of a directory.
    fn chain(&self, file: &File, first: u32, length: Option<u64>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = first;
        let whole = length.unwrap_or(u64::MAX);
        let mut steps = 0;
        while (bytes.len() as u64) < whole && at < END {
            steps += 1;
            let next = self.fat.get(at as usize).copied();
            let Some(next) = next.filter(|_| at >= FIRST_CLUSTER && steps <= self.fat.len()) else {
                bail!("is a FAT32 file system with a damaged chain of clusters");
            };
            if length.is_none() && bytes.len() as u64 >= MAX_DIRECTORY {
                bail!(
                    "is a FAT32 file system with a directory of more than {MAX_DIRECTORY} bytes: \
                     its chain of clusters is damaged, or a circle"
                );
            }
            let place = self.data + u64::from(at - FIRST_CLUSTER) * self.cluster;
            let wanted = self.cluster.min(whole - bytes.len() as u64);
            let old = bytes.len();
            bytes.resize(old + wanted as usize, 0);
            file.read_exact_at(&mut bytes[old..], self.start + place)
                .context("reading a FAT32 file system")?;
            at = next;
        }
        if length.is_some_and(|length| length != bytes.len() as u64) {
            bail!("is a FAT32 file system with a file that is cut short");
        }
        Ok(bytes)
    }

    fn walk(
        &mut self,
        file: &File,
        first: u32,
        within: &str,
        (depth, walk): (usize, &mut Walk),
    ) -> Result<()> {
        if !walk.seen.insert(first) {
            bail!("is a FAT32 file system whose directories go in a circle, at `{within}`");
        }
        let bytes = self.chain(file, first, None)?;
        let mut long = Vec::new();
        for entry in bytes.chunks_exact(ENTRY) {
            match (entry[0], entry[11]) {
                (0, _) => break,
                (DELETED | b'.', _) => long.clear(),
                (_, LONG) => {
                    let units = [1..11, 14..26, 28..32].map(|range| &entry[range]);
                    long.splice(0..0, units.concat());
                    if long.len() > LONGEST {
                        bail!("is a FAT32 file system with a damaged name in `{within}`");
                    }
                }
                (_, kind) if kind & LABEL != 0 => long.clear(),
                (_, kind) => {
                    let name = name(entry, &std::mem::take(&mut long));
                    if name.is_empty() || name.contains(['/', '\\']) || has_controls(&name) {
                        let name = name.escape_debug();
                        bail!("is a FAT32 file system with a damaged name: `{within}{name}`");
                    }
                    let path = format!("{within}{name}");
                    let number =
                        |at: usize| u32::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
                    let first = number(26) | number(20) << 16;
                    let size = u64::from(number(28) | number(30) << 16);
                    if kind & DIRECTORY != 0 {
                        let Some(depth) = depth.checked_sub(1) else {
                            bail!("is a FAT32 file system with folders more than {DEEPEST} deep");
                        };
                        self.walk(file, first, &format!("{path}/"), (depth, walk))?;
                    } else {
                        let Some(rest) = walk.left.checked_sub(size) else {
                            bail!("is a FAT32 file system whose files are larger than it");
                        };
                        walk.left = rest;
                        self.files.insert(path, Place { first, size });
                    }
                }
            }
        }
        Ok(())
    }
}

fn has_controls(name: &str) -> bool {
    name.chars().any(char::is_control)
}

/// The long name, or the short one in the case that its entry says.
pub(super) fn name(entry: &[u8], long: &[u8]) -> String {
    if !long.is_empty() {
        let units = long
            .chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        return String::from_utf16_lossy(&units);
    }
    let part = |bytes: &[u8], lower: bool| {
        let text = String::from_utf8_lossy(bytes).trim_end().to_owned();
        if lower { text.to_lowercase() } else { text }
    };
    let base = part(&entry[..8], entry[12] & 0x08 != 0);
    match part(&entry[8..11], entry[12] & 0x10 != 0) {
        extension if extension.is_empty() => base,
        extension => format!("{base}.{extension}"),
    }
}

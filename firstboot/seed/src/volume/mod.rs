//! The content of a block device, identified by its first blocks: file system, label and
//! identifier.
//!
//! First boot looks for its seed volume before it can count on udev's database, so it
//! reads the superblocks itself. It reads as little as a label takes, and trusts
//! nothing that it reads: every number of a superblock is bounded before it is used,
//! and the kernel alone decides whether to mount the volume.
//!
//! # Invariants
//! - Only [`ReadAt`] is asked, never more than [`MAX_READ`] bytes in all, and
//!   in pieces of at most one block, so a hostile volume costs a fixed amount.
//! - A label is shown without control characters.
//!
//! Left out: labels of file systems that no seed comes on, except those that a person
//! may have chosen by mistake.
mod ext;
mod fat;
pub mod gpt;
mod iso9660;
mod other;

use std::fmt;
use std::io;

/// More than any label takes: a FAT32 root directory is the longest way.
pub const MAX_READ: u64 = 4 << 20;

/// A device or an image of one.
pub trait ReadAt {
    /// Fills `out` from `offset`; an error if the device ends before that.
    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for &[u8] {
    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(out.len());
        let bytes = self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }
}

/// A file system that a seed can be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    Vfat,
    Iso9660,
    Ext,
}

impl fmt::Display for FileSystem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Vfat => "vfat",
            Self::Iso9660 => "iso9660",
            Self::Ext => "ext4",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub kind: Kind,
    /// As written, without the padding. An ISO 9660 volume can have two.
    pub labels: Vec<String>,
    /// What tells this file system from others, in the form of blkid's `UUID`: ext4's UUID,
    /// the volume id of vfat, the date of an ISO 9660 volume. None if its maker left it out.
    pub uuid: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Seed(FileSystem),
    /// Known by name, but no seed is read from it.
    Other(&'static str),
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed(kind) => kind.fmt(out),
            Self::Other(name) => out.write_str(name),
        }
    }
}

/// "vfat, label `cidata`".
impl fmt::Display for Volume {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(out)?;
        match self.labels.first() {
            Some(label) => write!(out, ", label `{label}`"),
            None => out.write_str(", no label"),
        }
    }
}

/// What the device holds; `None` if that is unknown. Errors are those of the device; a
/// device too short for a superblock just does not have one.
pub fn identify(device: &mut impl ReadAt) -> io::Result<Option<Volume>> {
    let mut reader = Reader { device, read: 0 };
    // FAT first: what makes one overwrites the beginning of an older ISO 9660
    // volume, and no hybrid image has a sound FAT parameter block.
    if let Some((labels, uuid)) = fat::read(&mut reader)? {
        return Ok(Some(seed(FileSystem::Vfat, labels, uuid)));
    }
    if let Some(found) = iso9660::read(&mut reader)? {
        return Ok(Some(match found {
            iso9660::Found::Iso9660(labels, uuid) => seed(FileSystem::Iso9660, labels, uuid),
            iso9660::Found::Udf => Volume {
                kind: Kind::Other("udf"),
                labels: Vec::new(),
                uuid: None,
            },
        }));
    }
    if let Some((labels, uuid)) = ext::read(&mut reader)? {
        return Ok(Some(seed(FileSystem::Ext, labels, uuid)));
    }
    other::read(&mut reader)
}

fn seed(kind: FileSystem, labels: Vec<String>, uuid: Option<String>) -> Volume {
    Volume {
        kind: Kind::Seed(kind),
        labels,
        uuid,
    }
}

/// The device with a bound on what is read of it.
struct Reader<'a, D> {
    device: &'a mut D,
    read: u64,
}

impl<D: ReadAt> Reader<'_, D> {
    /// Fills `out`; `false` if the device is too short or the bound is reached.
    fn fill(&mut self, offset: u64, out: &mut [u8]) -> io::Result<bool> {
        self.read = self.read.saturating_add(out.len() as u64);
        if self.read > MAX_READ {
            return Ok(false);
        }
        match self.device.read_at(offset, out) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn bytes<const N: usize>(&mut self, offset: u64) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        Ok(self.fill(offset, &mut bytes)?.then_some(bytes))
    }
}

/// Little-endian numbers at fixed places of a block; 0 beyond its end.
fn le16(block: &[u8], at: usize) -> u16 {
    block
        .get(at..at + 2)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u16::from_le_bytes)
}

fn le32(block: &[u8], at: usize) -> u32 {
    block
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

fn le64(block: &[u8], at: usize) -> u64 {
    block
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

/// Bytes in hexadecimal, in groups of these lengths with dashes between them; `None` for
/// zeros, which identify nothing.
fn grouped(bytes: &[u8], groups: &[usize]) -> Option<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    let mut text = String::new();
    let mut rest = bytes.iter();
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            text.push('-');
        }
        for byte in rest.by_ref().take(*group) {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
    }
    Some(text)
}

/// A padded label; `None` for an empty one.
fn label(bytes: &[u8]) -> Option<String> {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    printable(&String::from_utf8_lossy(&bytes[..end]))
}

fn printable(text: &str) -> Option<String> {
    let clean: String = text
        .trim_end_matches([' ', '\0'])
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    (!clean.is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests;

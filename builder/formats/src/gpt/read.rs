//! Reads the primary table of a disk, as [`super::write`] makes it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};

use super::{ENTRIES, ENTRY_LEN, Extent, Guid, HEADER_LEN, SECTOR, TABLE_LEN, crc};

/// What a table says.
#[derive(Debug)]
pub struct Table {
    /// The disk's own.
    pub disk: Guid,
    /// In bytes.
    pub size: u64,
    /// In the table's order.
    pub partitions: Vec<Entry>,
}

/// A partition that is there.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: Guid,
    pub unique: Guid,
    pub name: String,
    pub flags: u64,
    pub place: Extent,
}

/// # Errors
/// The file cannot be read, has no GPT of 128 entries, a damaged one, or partitions outside of
/// it.
pub fn read(file: &File) -> Result<Table> {
    let size = file.metadata().context("reading the disk")?.len();
    let mut header = [0; SECTOR as usize];
    file.read_exact_at(&mut header, SECTOR)
        .context("is not a disk image: it is too short for a partition table")?;
    if !header.starts_with(b"EFI PART") {
        bail!("has no GPT");
    }
    let mut checked = header;
    checked[16..20].fill(0);
    let is_ours = number(&header, 12, 4) == HEADER_LEN as u64
        && number(&header, 72, 8) == 2
        && number(&header, 80, 4) == ENTRIES as u64
        && number(&header, 84, 4) == ENTRY_LEN as u64;
    let mut table = vec![0; TABLE_LEN];
    file.read_exact_at(&mut table, 2 * SECTOR)
        .context("is not a whole disk image")?;
    let crcs = (
        u64::from(crc(&checked[..HEADER_LEN])),
        u64::from(crc(&table)),
    );
    if !is_ours || crcs != (number(&header, 16, 4), number(&header, 88, 4)) {
        bail!("has a damaged GPT, or one that nodeimg does not write");
    }
    let entries = table.chunks_exact(ENTRY_LEN);
    let used = entries.filter(|entry| entry[..16].iter().any(|byte| *byte != 0));
    Ok(Table {
        disk: Guid::from_mixed_endian(array(&header[56..72])),
        size,
        partitions: used
            .map(|entry| entry_at(entry, size))
            .collect::<Result<_>>()?,
    })
}

fn entry_at(entry: &[u8], size: u64) -> Result<Entry> {
    let units = entry[56..]
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let name: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    let name = String::from_utf16_lossy(&name);
    let (first, last) = (number(entry, 32, 8), number(entry, 40, 8));
    let sectors = last
        .checked_sub(first)
        .and_then(|sectors| sectors.checked_add(1));
    let place = sectors.and_then(|sectors| {
        let place = Extent {
            start: first.checked_mul(SECTOR)?,
            size: sectors.checked_mul(SECTOR)?,
        };
        (place.start.checked_add(place.size)? <= size).then_some(place)
    });
    let Some(place) = place else {
        bail!(
            "has a partition `{}` that ends behind it",
            name.escape_debug()
        );
    };
    Ok(Entry {
        kind: Guid::from_mixed_endian(array(&entry[..16])),
        unique: Guid::from_mixed_endian(array(&entry[16..32])),
        flags: number(entry, 48, 8),
        name,
        place,
    })
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes[at..at + length].iter().rev();
    bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn array(bytes: &[u8]) -> [u8; 16] {
    let mut array = [0; 16];
    array.copy_from_slice(bytes);
    array
}

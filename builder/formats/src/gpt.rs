//! GPT: the partition table of a disk image
//! ([UEFI 2.10, chapter 5](https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html)).
//!
//! ```text
//!  sector 0        protective MBR: one partition of type EE, all of the disk
//!  sector 1        primary header
//!  sectors 2..33   128 entries of 128 bytes
//!  1 MiB           the first partition; each begins at a whole MiB
//!  last 33         the entries again, then the backup header
//! ```
//!
//! Ours rather than a crate: every field is said by the caller, which a crate
//! would have us override, and a table is written beside partitions that are
//! in the file already, with nothing copied.
//!
//! # Invariants
//! - No field comes from the host: no random GUID, no geometry.
//! - Partitions are in order, apart from one another, inside the disk.
//!
//! Left out: sectors of other sizes than 512 bytes.

mod edit;
pub mod kinds;
mod read;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use flate2::Crc;

use super::guid::Guid;

pub use edit::{Change, Editable};
pub use read::{Entry, Table, read};

/// In bytes.
pub const SECTOR: u64 = 512;
/// Where partitions begin, in bytes: flash and RAID like it.
const ALIGNMENT: u64 = 1 << 20;
/// The disk's size is a multiple of this: no device has larger sectors.
const GRAIN: u64 = 4096;
const ENTRIES: usize = 128;
const ENTRY_LEN: usize = 128;
const HEADER_LEN: usize = 92;
const TABLE_LEN: usize = ENTRIES * ENTRY_LEN;
/// Of the entries, in sectors.
const TABLE_SECTORS: u64 = TABLE_LEN as u64 / SECTOR;
/// UTF-16 code units in an entry.
const NAME_UNITS: usize = 36;

/// One partition.
#[derive(Clone, Debug)]
pub struct Partition<'a> {
    /// What it is for.
    pub kind: Guid,
    /// Its own, the PARTUUID.
    pub unique: Guid,
    /// The PARTLABEL.
    pub name: &'a str,
    /// Attribute bits; 48 to 63 are the type's own.
    pub flags: u64,
    /// Where it is on the disk.
    pub place: Extent,
}

/// A range of the disk in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    pub start: u64,
    pub size: u64,
}

impl Extent {
    /// `size` bytes, from the first place that a partition can begin at.
    pub fn first(size: u64) -> Extent {
        Extent {
            start: ALIGNMENT,
            size,
        }
    }

    /// `size` bytes, at the next place behind this one.
    pub fn then(self, size: u64) -> Extent {
        Extent {
            start: self.end().next_multiple_of(ALIGNMENT),
            size,
        }
    }

    /// The first byte behind it.
    pub fn end(self) -> u64 {
        self.start + self.size
    }
}

/// The smallest disk that holds partitions up to the end of `last`, in bytes.
pub fn disk_size(last: Extent) -> u64 {
    (last.end() + (TABLE_SECTORS + 1) * SECTOR).next_multiple_of(GRAIN)
}

/// Makes `file` a disk of `size` bytes by writing its tables; what lies in
/// between is left as it is.
pub fn write(file: &File, size: u64, disk: Guid, partitions: &[Partition<'_>]) -> Result<()> {
    check(size, partitions)?;
    let mut table = vec![0; TABLE_LEN];
    for (partition, entry) in partitions.iter().zip(table.chunks_exact_mut(ENTRY_LEN)) {
        entry.copy_from_slice(&entry_of(partition));
    }
    let last = size / SECTOR - 1;
    let header = Header {
        disk,
        last,
        table_crc: crc(&table),
    };
    let put = |sector: u64, bytes: &[u8]| file.write_all_at(bytes, sector * SECTOR);
    let write_all = || -> io::Result<()> {
        file.set_len(size)?;
        put(0, &protective_mbr(last))?;
        put(1, &header.encode(1, last, 2))?;
        put(2, &table)?;
        put(last - TABLE_SECTORS, &table)?;
        put(last, &header.encode(last, 1, last - TABLE_SECTORS))
    };
    write_all().context("writing the partition table (is the disk full?)")
}

fn check(size: u64, partitions: &[Partition<'_>]) -> Result<()> {
    if partitions.len() > ENTRIES {
        bail!(
            "{} partitions do not fit: a GPT of this kind holds {ENTRIES}",
            partitions.len()
        );
    }
    if !size.is_multiple_of(SECTOR) {
        bail!("a disk of {size} bytes is not a whole number of sectors");
    }
    let mut free = (TABLE_SECTORS + 2) * SECTOR;
    let end = size.saturating_sub((TABLE_SECTORS + 1) * SECTOR);
    for (index, partition) in partitions.iter().enumerate() {
        let Partition { name, place, .. } = partition;
        if place.size == 0
            || !place.start.is_multiple_of(SECTOR)
            || !place.size.is_multiple_of(SECTOR)
        {
            bail!(
                "partition `{name}`: {} bytes at offset {} are not a whole number of sectors",
                place.size,
                place.start
            );
        }
        if place.start < free {
            bail!(
                "partition `{name}` begins at {}, before {free}, where the space before it ends",
                place.start
            );
        }
        free = place.end();
        if free > end {
            bail!(
                "partition `{name}` ends at {free}, but a disk of {size} bytes holds partitions up to {end}: make the disk larger"
            );
        }
        if name.encode_utf16().count() > NAME_UNITS {
            bail!("partition `{name}`: the name is longer than {NAME_UNITS} characters");
        }
        if let Some(twin) = partitions[..index]
            .iter()
            .find(|other| other.unique == partition.unique)
        {
            bail!(
                "partitions `{}` and `{name}` have the same GUID, {}",
                twin.name,
                twin.unique
            );
        }
    }
    Ok(())
}

/// ```text
///   0  type GUID       40  last sector, inclusive  u64
///  16  unique GUID     48  attributes              u64
///  32  first sector    56  name, UTF-16LE
/// ```
fn entry_of(partition: &Partition<'_>) -> [u8; ENTRY_LEN] {
    let mut entry = [0; ENTRY_LEN];
    let mut put = |at: usize, bytes: &[u8]| entry[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &partition.kind.mixed_endian());
    put(16, &partition.unique.mixed_endian());
    put(32, &(partition.place.start / SECTOR).to_le_bytes());
    put(40, &(partition.place.end() / SECTOR - 1).to_le_bytes());
    put(48, &partition.flags.to_le_bytes());
    for (index, unit) in partition.name.encode_utf16().enumerate() {
        put(56 + 2 * index, &unit.to_le_bytes());
    }
    entry
}

/// What both headers say.
struct Header {
    disk: Guid,
    /// The disk's last sector.
    last: u64,
    table_crc: u32,
}

impl Header {
    /// ```text
    ///   0  "EFI PART"        24  this header's sector   56  disk GUID
    ///   8  revision 1.0      32  the other's            72  first sector of entries
    ///  12  length of this    40  first usable sector    80  number of entries
    ///  16  CRC-32 of this    48  last usable sector     84  length of one
    ///  20  zero                                         88  CRC-32 of the entries
    /// ```
    fn encode(&self, at: u64, other: u64, table: u64) -> [u8; SECTOR as usize] {
        let mut sector = [0; SECTOR as usize];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"EFI PART");
        put(8, &0x0001_0000u32.to_le_bytes());
        put(12, &(HEADER_LEN as u32).to_le_bytes());
        put(24, &at.to_le_bytes());
        put(32, &other.to_le_bytes());
        put(40, &(TABLE_SECTORS + 2).to_le_bytes());
        put(48, &(self.last - TABLE_SECTORS - 1).to_le_bytes());
        put(56, &self.disk.mixed_endian());
        put(72, &table.to_le_bytes());
        put(80, &(ENTRIES as u32).to_le_bytes());
        put(84, &(ENTRY_LEN as u32).to_le_bytes());
        put(88, &self.table_crc.to_le_bytes());
        let checked = crc(&sector[..HEADER_LEN]);
        sector[16..20].copy_from_slice(&checked.to_le_bytes());
        sector
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// One partition over everything, so that no older tool takes the disk for an
/// empty one.
fn protective_mbr(last: u64) -> [u8; SECTOR as usize] {
    let mut sector = [0; SECTOR as usize];
    let sectors = u32::try_from(last).unwrap_or(u32::MAX);
    // Not active; cylinder, head, sector of the start; type; of the end: too
    // far to be said.
    sector[446..454].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
    sector[454..458].copy_from_slice(&1u32.to_le_bytes());
    sector[458..462].copy_from_slice(&sectors.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

#[cfg(test)]
mod tests;

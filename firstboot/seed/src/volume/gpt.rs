//! One entry of a GUID partition table
//! (<https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html>).
//!
//! ```text
//! LBA 1  header: 0 "EFI PART", 72 first LBA of the entries u64,
//!                80 number of entries u32, 84 size of one u32
//! entry  0 type GUID, 16 unique GUID, 32 first and 40 last LBA, 56 name
//! ```
//! The kernel has checked the table before it made partitions of it; here only
//! the GUIDs and the name are looked up by the kernel's number of the partition.
use std::io;

use super::{ReadAt, le32, le64};

/// Type of an EFI System Partition, as on the disk.
pub const ESP: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionEntry {
    pub is_esp: bool,
    /// The PARTUUID, in lowercase letters.
    pub guid: String,
    /// The PARTLABEL.
    pub name: String,
}

/// The entry of partition `number`, which counts from 1; `None` if the disk has no such
/// table or entry. `sector` is the disk's logical sector size.
pub fn entry(
    disk: &mut impl ReadAt,
    sector: u64,
    number: u32,
) -> io::Result<Option<PartitionEntry>> {
    let mut header = [0; 92];
    if !(512..=65536).contains(&sector) || read(disk, sector, &mut header)?.is_none() {
        return Ok(None);
    }
    let (first, count, size) = (le64(&header, 72), le32(&header, 80), le32(&header, 84));
    let sound = &header[..8] == b"EFI PART" && (128..=4096).contains(&size) && count <= 1024;
    if !sound || number == 0 || number > count {
        return Ok(None);
    }
    let place = first
        .checked_mul(sector)
        .and_then(|start| start.checked_add(u64::from(number - 1) * u64::from(size)));
    let mut entry = [0; 128];
    let Some(place) = place else { return Ok(None) };
    if read(disk, place, &mut entry)?.is_none() || entry[..16] == [0; 16] {
        return Ok(None);
    }
    Ok(Some(PartitionEntry {
        is_esp: entry[..16] == ESP,
        guid: text(&entry[16..32]),
        name: name(&entry[56..]),
    }))
}

fn read(disk: &mut impl ReadAt, offset: u64, out: &mut [u8]) -> io::Result<Option<()>> {
    match disk.read_at(offset, out) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first three groups are little-endian numbers.
fn text(guid: &[u8]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (at, index) in ORDER.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", guid.get(*index).unwrap_or(&0)));
    }
    text
}

/// UTF-16, ended by a zero if it is shorter than the field.
fn name(bytes: &[u8]) -> String {
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units = units.take_while(|unit| *unit != 0);
    char::decode_utf16(units).filter_map(Result::ok).collect()
}

//! Reads a partition table that [`super::write`] or another tool wrote.

use std::os::unix::fs::FileExt;

use super::*;

/// The largest table that is read: four times what every tool writes.
const MAX_TABLE: usize = 4 * TABLE_LEN;

/// What a disk's tables say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    pub disk: Guid,
    /// Of the disk that the tables are made for, in bytes: the second one is at its end.
    pub size: u64,
    /// In the table's order; unused entries are left out.
    pub partitions: Vec<Entry>,
}

/// A partition of a disk that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub kind: Guid,
    pub unique: Guid,
    pub name: String,
    pub flags: u64,
    pub place: Extent,
}

impl Entry {
    /// As [`super::write`] takes it.
    pub fn partition(&self) -> Partition<'_> {
        Partition {
            kind: self.kind,
            unique: self.unique,
            name: &self.name,
            flags: self.flags,
            place: self.place,
        }
    }
}

/// Reads both tables of the disk in `file`, which must agree.
///
/// # Errors
/// There is no GPT, a checksum is wrong, a partition lies outside the disk or on another one, or
/// the copy at the end says something else.
pub fn read(file: &File) -> Result<Table> {
    let (primary, table) = header_at(file, 1).context("the partition table in sector 1")?;
    let (backup, copy) = header_at(file, primary.other)
        .with_context(|| format!("the second partition table, in sector {}", primary.other))?;
    if backup.disk != primary.disk || copy != table || backup.other != 1 {
        bail!(
            "the two partition tables say different things: the disk is damaged, or half written"
        );
    }
    let mut partitions = Vec::new();
    for bytes in table.chunks_exact(ENTRY_LEN) {
        if bytes[..16] == [0; 16] {
            continue;
        }
        partitions.push(entry(bytes, primary.usable)?);
    }
    apart(&partitions)?;
    Ok(Table {
        disk: primary.disk,
        size: (primary.other + 1) * SECTOR,
        partitions,
    })
}

struct Found {
    disk: Guid,
    /// The sector of the other header.
    other: u64,
    /// The first and the last sector that partitions may have.
    usable: (u64, u64),
}

fn header_at(file: &File, sector: u64) -> Result<(Found, Vec<u8>)> {
    let mut bytes = [0; SECTOR as usize];
    let at = sector.checked_mul(SECTOR).context("is outside the disk")?;
    file.read_exact_at(&mut bytes, at)
        .context("cannot be read")?;
    if !bytes.starts_with(b"EFI PART") {
        bail!("is not a GPT");
    }
    let long = |at: usize| u64::from_le_bytes(array(&bytes[at..at + 8]));
    let short = |at: usize| u32::from_le_bytes(array(&bytes[at..at + 4]));
    let length = short(12) as usize;
    let mut checked = bytes;
    checked[16..20].fill(0);
    if !(HEADER_LEN..=bytes.len()).contains(&length) || crc(&checked[..length]) != short(16) {
        bail!("is damaged: its checksum is wrong");
    }
    let size = (short(80) as usize).saturating_mul(ENTRY_LEN);
    if long(24) != sector || short(84) as usize != ENTRY_LEN || size > MAX_TABLE {
        bail!("is not one that nodeimg reads: it has other places or sizes than every tool writes");
    }
    let mut table = vec![0; size];
    let at = long(72)
        .checked_mul(SECTOR)
        .context("is outside the disk")?;
    file.read_exact_at(&mut table, at)
        .context("its entries cannot be read")?;
    if crc(&table) != short(88) {
        bail!("is damaged: the checksum of its entries is wrong");
    }
    let found = Found {
        disk: guid(&bytes[56..72]),
        other: long(32),
        usable: (long(40), long(48)),
    };
    Ok((found, table))
}

/// An entry of a table whose header lets partitions have these sectors, first and last.
pub(super) fn entry(bytes: &[u8], usable: (u64, u64)) -> Result<Entry> {
    let long = |at: usize| u64::from_le_bytes(array(&bytes[at..at + 8]));
    let units = bytes[56..128]
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .take_while(|unit| *unit != 0);
    let name: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    let (first, last) = (long(32), long(40));
    let is_place = (last.saturating_add(1)).checked_mul(SECTOR).is_some();
    if first > last || first < usable.0 || last > usable.1 || !is_place {
        bail!(
            "partition `{}` lies in sectors {first} to {last}, outside the disk",
            name.escape_debug()
        );
    }
    let place = Extent {
        start: first * SECTOR,
        size: (last - first + 1) * SECTOR,
    };
    Ok(Entry {
        kind: guid(&bytes[0..16]),
        unique: guid(&bytes[16..32]),
        name,
        flags: long(48),
        place,
    })
}

fn apart(partitions: &[Entry]) -> Result<()> {
    let mut sorted: Vec<&Entry> = partitions.iter().collect();
    sorted.sort_by_key(|entry| entry.place.start);
    for pair in sorted.windows(2) {
        if pair[0].place.end() > pair[1].place.start {
            bail!(
                "partitions `{}` and `{}` overlap",
                pair[0].name.escape_debug(),
                pair[1].name.escape_debug()
            );
        }
    }
    Ok(())
}

pub(super) fn guid(bytes: &[u8]) -> Guid {
    // The same three fields turned round again.
    Guid::new(Guid::new(array(bytes)).mixed_endian())
}

pub(super) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn disk() -> File {
        let file = tempfile::tempfile().unwrap();
        let esp = Extent::first(1 << 20);
        let root = esp.then(2 << 20);
        let partition = |name, place, number| Partition {
            kind: Guid::known(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709),
            unique: Guid::derived(&[name]),
            name,
            flags: number,
            place,
        };
        let partitions = [partition("esp", esp, 0), partition("root-ä", root, 1 << 60)];
        super::super::write(
            &file,
            disk_size(root),
            Guid::derived(&["disk"]),
            &partitions,
        )
        .unwrap();
        file
    }

    #[test]
    fn what_was_written_is_read() {
        let table = read(&disk()).unwrap();
        assert_eq!(table.disk, Guid::derived(&["disk"]));
        let names: Vec<_> = table.partitions.iter().map(|entry| &entry.name).collect();
        assert_eq!(names, ["esp", "root-ä"]);
        assert_eq!(table.partitions[1].unique, Guid::derived(&["root-ä"]));
        assert_eq!(table.partitions[1].flags, 1 << 60);
        assert_eq!(table.partitions[1].place.size, 2 << 20);
    }

    #[test]
    fn every_changed_byte_of_both_tables_is_refused() {
        let file = disk();
        let size = file.metadata().unwrap().len();
        let copies = [
            SECTOR..SECTOR * 2 + 256,
            size - SECTOR * 33..size - SECTOR * 33 + 256,
        ];
        let last = size - SECTOR..size - SECTOR + HEADER_LEN as u64;
        for at in copies.into_iter().chain([last]).flatten() {
            // Of a header, only what its length covers is checked.
            if (SECTOR + HEADER_LEN as u64..SECTOR * 2).contains(&at) {
                continue;
            }
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
            assert!(read(&file).is_err(), "byte {at}");
            file.write_all_at(&byte, at).unwrap();
        }
        read(&file).unwrap();
    }
}

//! Changes what partitions are called, on a disk that is in use, and makes a table fit the device
//! that its disk was written to.
//!
//! # Invariants
//! At any moment one of the two tables is whole, whatever a power cut leaves of a write: the
//! second one is flushed before the first one is touched. The first header and the entries of
//! the first 28 partitions are in one block of 4096 bytes, and are written as one.

use super::read::{array, entry, guid};
use super::*;
use crate::blocks::Blocks;

/// Where the first header and its entries are, in bytes.
const FIRST: u64 = SECTOR;

/// The table of a disk, from the first of its two copies that is whole.
pub struct Editable {
    header: Vec<u8>,
    table: Vec<u8>,
    /// The sector of the second header.
    second: u64,
    disk: Guid,
    partitions: Vec<Entry>,
}

/// What a partition is to be called.
#[derive(Clone, Debug)]
pub struct Change {
    /// The first byte of the partition.
    pub start: u64,
    pub unique: Guid,
    pub name: String,
    pub flags: u64,
}

impl Editable {
    /// The table of a disk of `size` bytes.
    ///
    /// # Errors
    /// Neither copy is whole.
    pub fn read(disk: &dyn Blocks, size: u64) -> Result<Editable> {
        let last = (size / SECTOR).saturating_sub(1);
        match Editable::copy(disk, 1, 2) {
            Ok(found) => Ok(found),
            Err(error) => Editable::copy(disk, last, last.saturating_sub(TABLE_SECTORS))
                .map_err(|_| error.context("the partition table in sector 1")),
        }
    }

    fn copy(disk: &dyn Blocks, at: u64, entries: u64) -> Result<Editable> {
        let mut header = vec![0; SECTOR as usize];
        disk.read(&mut header, at * SECTOR)
            .context("cannot be read")?;
        let long = |at: usize| u64::from_le_bytes(array(&header[at..at + 8]));
        let short = |at: usize| u32::from_le_bytes(array(&header[at..at + 4]));
        if !header.starts_with(b"EFI PART") {
            bail!("is not a GPT");
        }
        let mut checked = header.clone();
        checked[16..20].fill(0);
        if short(12) as usize != HEADER_LEN || crc(&checked[..HEADER_LEN]) != short(16) {
            bail!("is damaged: its checksum is wrong");
        }
        let is_usual = short(80) as usize == ENTRIES && short(84) as usize == ENTRY_LEN;
        if long(24) != at || long(72) != entries || !is_usual {
            bail!(
                "is not one that nodeimg changes: it has other places or sizes than every tool writes"
            );
        }
        let mut table = vec![0; TABLE_LEN];
        disk.read(&mut table, entries * SECTOR)
            .context("its entries cannot be read")?;
        if crc(&table) != short(88) {
            bail!("is damaged: the checksum of its entries is wrong");
        }
        let usable = (long(40), long(48));
        let used = table.chunks_exact(ENTRY_LEN);
        let used = used.filter(|bytes| bytes[..16] != [0; 16]);
        let partitions = used
            .map(|bytes| entry(bytes, usable))
            .collect::<Result<_>>()?;
        Ok(Editable {
            second: if at == 1 { long(32) } else { at },
            disk: guid(&header[56..72]),
            header,
            table,
            partitions,
        })
    }

    pub fn disk(&self) -> Guid {
        self.disk
    }

    /// Of the disk that the table is made for, in bytes: the second copy is at its end.
    pub fn size(&self) -> u64 {
        (self.second + 1) * SECTOR
    }

    /// Where the second copy is, with its header, in bytes.
    pub fn second_copy(&self) -> std::ops::Range<u64> {
        (self.second - TABLE_SECTORS) * SECTOR..self.size()
    }

    /// Makes it the table of a larger disk of `size` bytes: the second copy moves to its end, and
    /// zeros are left where it was. Writes both copies, and the size in the protective MBR.
    ///
    /// # Errors
    /// The disk is smaller than the table says, or cannot be written.
    pub fn move_to_end(&mut self, disk: &dyn Blocks, size: u64) -> Result<()> {
        let last = (size / SECTOR).saturating_sub(1);
        if last < self.second {
            bail!(
                "the disk has {size} bytes, and its table needs {}",
                self.size()
            );
        }
        let old = self.second - TABLE_SECTORS;
        let mut mbr = [0; SECTOR as usize];
        let mut write_all = || -> io::Result<()> {
            disk.write(&vec![0; TABLE_LEN + SECTOR as usize], old * SECTOR)?;
            disk.read(&mut mbr, 0)?;
            // A hybrid MBR is its maker's.
            if mbr[450] == 0xee && mbr[466..510].iter().all(|byte| *byte == 0) {
                let sectors = u32::try_from(last).unwrap_or(u32::MAX);
                mbr[458..462].copy_from_slice(&sectors.to_le_bytes());
                disk.write(&mbr, 0)?;
            }
            disk.flush()
        };
        write_all().context("writing the partition table")?;
        self.second = last;
        let usable = (last - TABLE_SECTORS - 1).to_le_bytes();
        self.header[48..56].copy_from_slice(&usable);
        self.write(disk, &[])
    }

    /// In the table's order.
    pub fn partitions(&self) -> &[Entry] {
        &self.partitions
    }

    /// Writes both copies with these changes, and flushes each.
    ///
    /// # Errors
    /// A partition is not there, a name is too long, or the disk cannot be written.
    pub fn write(&mut self, disk: &dyn Blocks, changes: &[Change]) -> Result<()> {
        for change in changes {
            self.change(change)?;
        }
        let table_crc = crc(&self.table);
        let entries = self.second - TABLE_SECTORS;
        let second = self.header_for(self.second, 1, entries, table_crc);
        let first = self.header_for(1, self.second, 2, table_crc);
        let write_all = || -> io::Result<()> {
            disk.write(&self.table, entries * SECTOR)?;
            disk.write(&second, self.second * SECTOR)?;
            disk.flush()?;
            disk.write(&[&first[..], &self.table].concat(), FIRST)?;
            disk.flush()
        };
        write_all().context("writing the partition table")
    }

    fn change(&mut self, change: &Change) -> Result<()> {
        let units: Vec<u16> = change.name.encode_utf16().collect();
        if units.len() > NAME_UNITS {
            bail!(
                "partition `{}`: the name is longer than {NAME_UNITS} characters",
                change.name
            );
        }
        let first = (change.start / SECTOR).to_le_bytes();
        let mut used = self.table.chunks_exact_mut(ENTRY_LEN);
        let found = used.find(|bytes| bytes[..16] != [0; 16] && bytes[32..40] == first);
        let bytes = found.with_context(|| format!("no partition begins at {}", change.start))?;
        bytes[16..32].copy_from_slice(&change.unique.mixed_endian());
        bytes[48..56].copy_from_slice(&change.flags.to_le_bytes());
        bytes[56..].fill(0);
        for (place, unit) in bytes[56..].chunks_exact_mut(2).zip(&units) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
        for entry in &mut self.partitions {
            if entry.place.start == change.start {
                entry.unique = change.unique;
                entry.name.clone_from(&change.name);
                entry.flags = change.flags;
            }
        }
        Ok(())
    }

    /// What this copy says, at another place.
    fn header_for(&self, at: u64, other: u64, entries: u64, table_crc: u32) -> Vec<u8> {
        let mut header = self.header.clone();
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(16, &[0; 4]);
        put(24, &at.to_le_bytes());
        put(32, &other.to_le_bytes());
        put(72, &entries.to_le_bytes());
        put(88, &table_crc.to_le_bytes());
        let checked = crc(&header[..HEADER_LEN]);
        header[16..20].copy_from_slice(&checked.to_le_bytes());
        header
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SIZE: u64 = 4 << 20;

    fn disk() -> File {
        let file = tempfile::tempfile().unwrap();
        let esp = Extent::first(1 << 20);
        let root = esp.then(1 << 20);
        let partition = |name, place| Partition {
            kind: Guid::known(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709),
            unique: Guid::derived(&[name]),
            name,
            flags: 0,
            place,
        };
        let partitions = [partition("esp", esp), partition("_empty", root)];
        super::super::write(&file, SIZE, Guid::derived(&["disk"]), &partitions).unwrap();
        file
    }

    fn change() -> Change {
        Change {
            start: 2 << 20,
            unique: Guid::derived(&["new"]),
            name: "node_1".to_owned(),
            flags: 1 << 60,
        }
    }

    #[test]
    fn both_copies_are_changed() {
        let file = disk();
        let mut table = Editable::read(&file, SIZE).unwrap();
        table.write(&file, &[change()]).unwrap();
        // It reads both, and wants them to agree.
        let read = super::super::read(&file).unwrap();
        assert_eq!(read.partitions, table.partitions());
        assert_eq!(read.partitions[1].name, "node_1");
        assert_eq!(read.partitions[1].unique, Guid::derived(&["new"]));
        assert_eq!(read.partitions[1].flags, 1 << 60);
        assert_eq!(read.partitions[0].name, "esp");
        let absent = Change {
            start: 0,
            ..change()
        };
        assert!(table.write(&file, &[absent]).is_err());
        let name = "x".repeat(37);
        assert!(table.write(&file, &[Change { name, ..change() }]).is_err());
    }

    #[test]
    fn a_table_moves_to_the_end_of_a_larger_disk() {
        // Also where the new place overlaps the old one.
        for more in [0, 512, 5 * 512, 1 << 20, 3 << 40] {
            let file = disk();
            let before = super::super::read(&file).unwrap();
            let size = SIZE + more;
            file.set_len(size).unwrap();
            let mut table = Editable::read(&file, size).unwrap();
            assert_eq!(table.size(), SIZE);
            table.move_to_end(&file, size).unwrap();
            let read = super::super::read(&file).unwrap();
            assert_eq!((read.size, read.disk), (size, before.disk), "{more}");
            assert_eq!(read.partitions, before.partitions);
            let mut mbr = [0; 512];
            file.read_exact_at(&mut mbr, 0).unwrap();
            assert_eq!(mbr, protective_mbr(size / SECTOR - 1));
            let mut old = vec![0; 512];
            if more >= 1 << 20 {
                file.read_exact_at(&mut old, SIZE - 512).unwrap();
                assert_eq!(old, [0; 512]);
            }
        }
        let file = disk();
        let mut table = Editable::read(&file, SIZE).unwrap();
        assert!(table.move_to_end(&file, SIZE - 512).is_err());
    }

    #[test]
    fn one_damaged_copy_is_made_from_the_other() {
        for at in [
            SECTOR + 20,
            2 * SECTOR + 3,
            SIZE - SECTOR + 20,
            SIZE - 33 * SECTOR,
        ] {
            let file = disk();
            file.write_all_at(&[0xaa], at).unwrap();
            assert!(super::super::read(&file).is_err(), "{at}");
            let mut table = Editable::read(&file, SIZE).unwrap();
            table.write(&file, &[change()]).unwrap();
            assert_eq!(
                super::super::read(&file).unwrap().partitions[1].name,
                "node_1"
            );
        }
    }
}

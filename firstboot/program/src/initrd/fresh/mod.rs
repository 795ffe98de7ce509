//! Gives a disk and its EFI System Partition GUIDs of their own.
//!
//! An image has the same bytes everywhere, its GUIDs included, which are of version 8
//! (derived); so until then no GUID tells a disk from a copy. Those of root and hash tree
//! stay: the root hash is in them. Fresh ones are of version 4 (random).
//!
//! The kernel looks at the second table only if told to, and firmware looks for it at the
//! disk's end, which it does not reach after an image was written to a larger disk. So the
//! first table is valid at every moment, however many of these steps were done:
//!
//! ```text
//! 1  the second table: entries, header
//! 2  entries, at the end of the free space before the first partition
//! 3  the first header, one sector: its entries are those of 2
//! 4  entries, in their usual place
//! 5  the first header: its entries are those of 4
//! 6  zeros in the place of 2
//! ```
//! The next boot begins again if the first header is old, and else with what is missing.
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nodeimg_seed::volume::gpt::ESP;
use rustix::rand::{GetRandomFlags, getrandom};

use super::kmsg;
use crate::media::System;

const HEADER: usize = 92;
const ENTRY: usize = 128;
/// The usual place of the entries.
const USUAL: u64 = 2;
/// More than any table has.
const MAX_ENTRIES: usize = 1024;

/// A disk that is written to; a fake one in tests.
pub(super) trait Disk {
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Returns when the disk has the bytes.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

impl Disk for File {
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(out, offset)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)?;
        self.sync_data()
    }
}

/// Renews the GUIDs of `disk`, which was booted. A disk that keeps those of its image
/// still makes a node; a copy of it in the same machine is then told by the firmware alone.
pub(super) fn give(system: &System, disk: &str) {
    let result = || -> io::Result<bool> {
        let size = system.device(disk).map_or(0, |device| device.size);
        let sector = system.sector_size(disk);
        let path = system.dev.join(disk);
        let mut file = File::options().read(true).write(true).open(path)?;
        renew(&mut file, sector, size * 512 / sector, random)
    };
    match result() {
        Ok(true) => kmsg::tell(&format!("/dev/{disk} has GUIDs of its own from now on")),
        Ok(false) => {}
        Err(error) => kmsg::warn(&format!(
            "/dev/{disk} keeps the GUIDs of its image, which every copy has: {error}"
        )),
    }
}

fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}

/// One of the two tables.
#[derive(Clone, PartialEq, Eq)]
struct Table {
    /// The header's sector.
    header: Vec<u8>,
    entries: Vec<u8>,
}

/// Writes fresh GUIDs if the disk has those of its image, and ends what a power cut
/// interrupted; whether anything was written. `sector` is in bytes, `size` in sectors;
/// `random` gives a GUID.
///
/// Errors: a first table that is not valid or leaves no room; the disk's own.
pub(super) fn renew(
    disk: &mut impl Disk,
    sector: u64,
    size: u64,
    mut random: impl FnMut() -> io::Result<[u8; 16]>,
) -> io::Result<bool> {
    let first = Table::read(disk, sector, 1)?.ok_or(io::Error::other(
        "its partition table does not match its checksums",
    ))?;
    let mut new = first.clone();
    let is_old = new.refresh(&mut random)?;
    let length = (first.entries.len() as u64).div_ceil(sector);
    let aside = first.first_used().saturating_sub(length);
    match first.number(72) {
        USUAL if !is_old => return Ok(false),
        USUAL if aside >= USUAL + length => {}
        USUAL => return Err(io::Error::other("no free space before its first partition")),
        // Of a power cut after step 3.
        place if place == aside && !is_old => {
            new.put(72, &USUAL.to_le_bytes());
            new.put(40, &(USUAL + length).to_le_bytes());
        }
        _ if !is_old => return Ok(false),
        _ => return Err(io::Error::other("its table is in an unusual place")),
    }
    if is_old {
        second(disk, sector, size, &new)?;
        set_aside(disk, sector, aside, &new)?;
    }
    new.seal();
    disk.write(USUAL * sector, &new.entries)?;
    disk.write(sector, &new.header)?;
    disk.write(aside * sector, &vec![0; new.entries.len()])?;
    Ok(true)
}

/// Step 1. Left out if the place is behind the disk's end, since the image was larger.
fn second(disk: &mut impl Disk, sector: u64, size: u64, new: &Table) -> io::Result<()> {
    let length = (new.entries.len() as u64).div_ceil(sector);
    let last = new.number(32);
    if last >= size || last <= new.number(48) + length {
        return Ok(());
    }
    let mut second = new.clone();
    second.put(24, &last.to_le_bytes());
    second.put(32, &1u64.to_le_bytes());
    second.put(72, &(last - length).to_le_bytes());
    second.seal();
    disk.write((last - length) * sector, &second.entries)?;
    disk.write(last * sector, &second.header)
}

/// Steps 2 and 3. Some boards have their boot loader in that space: it must be empty, or
/// have what an interrupted attempt left.
fn set_aside(disk: &mut impl Disk, sector: u64, place: u64, new: &Table) -> io::Result<()> {
    let mut there = vec![0; new.entries.len()];
    disk.read(place * sector, &mut there)?;
    if there.iter().any(|byte| *byte != 0) && there[..16] != new.entries[..16] {
        return Err(io::Error::other(
            "the space before its first partition is in use",
        ));
    }
    let mut aside = new.clone();
    aside.put(72, &place.to_le_bytes());
    // Partitions begin behind the entries.
    let usable = place + (new.entries.len() as u64).div_ceil(sector);
    aside.put(40, &usable.to_le_bytes());
    aside.seal();
    disk.write(place * sector, &aside.entries)?;
    disk.write(sector, &aside.header)
}

impl Table {
    /// The table whose header is in sector `at`; `None` if it is not valid.
    fn read(disk: &impl Disk, sector: u64, at: u64) -> io::Result<Option<Self>> {
        let mut table = Self {
            header: vec![0; usize::try_from(sector).unwrap_or_default().max(512)],
            entries: Vec::new(),
        };
        disk.read(at * sector, &mut table.header)?;
        let (count, size) = (table.long(80) as usize, table.long(84) as usize);
        let is_known = table.header.starts_with(b"EFI PART")
            && table.long(12) as usize == HEADER
            && table.number(24) == at
            && size == ENTRY
            && (1..=MAX_ENTRIES).contains(&count);
        if !is_known {
            return Ok(None);
        }
        table.entries = vec![0; count * size];
        let Some(place) = table.number(72).checked_mul(sector) else {
            return Ok(None);
        };
        disk.read(place, &mut table.entries)?;
        let mut sealed = table.clone();
        sealed.seal();
        Ok((sealed == table).then_some(table))
    }

    /// Replaces GUIDs of the image's; whether there was one.
    fn refresh(&mut self, random: &mut impl FnMut() -> io::Result<[u8; 16]>) -> io::Result<bool> {
        let mut changed = false;
        let guids = self.entries.chunks_exact_mut(ENTRY);
        let guids = guids.filter(|entry| entry[..16] == ESP);
        let mut guids: Vec<&mut [u8]> = guids.map(|entry| &mut entry[16..32]).collect();
        guids.extend(self.header.get_mut(56..72));
        for guid in guids.into_iter().filter(|guid| guid[7] >> 4 == 8) {
            let mut fresh = random()?;
            fresh[7] = fresh[7] & 0x0f | 0x40;
            fresh[8] = fresh[8] & 0x3f | 0x80;
            guid.copy_from_slice(&fresh);
            changed = true;
        }
        Ok(changed)
    }

    /// The first sector of a partition.
    fn first_used(&self) -> u64 {
        let used = self.entries.chunks_exact(ENTRY);
        let used = used.filter(|entry| entry[..16] != [0; 16]);
        used.map(|entry| number(entry, 32)).min().unwrap_or(0)
    }

    /// The checksums.
    fn seal(&mut self) {
        let entries = crc32(&self.entries);
        self.put(88, &entries.to_le_bytes());
        self.put(16, &[0; 4]);
        let header = crc32(&self.header[..HEADER]);
        self.put(16, &header.to_le_bytes());
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.header[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn number(&self, at: usize) -> u64 {
        number(&self.header, at)
    }

    fn long(&self, at: usize) -> u32 {
        number(&self.header, at) as u32
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok());
    u64::from_le_bytes(bytes.unwrap_or_default())
}

/// Of IEEE 802.3, bit by bit: 16 KiB once in a disk's life.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests;

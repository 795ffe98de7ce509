#![allow(clippy::unwrap_used)]
use std::fs::{self, File};
use std::io;
use std::process::Command;

use nodeimg_test_support::judge;

use super::{Disk, ENTRY, Table, crc32, renew};

const SECTOR: u64 = 512;
/// 8 MiB, on a disk of 16 MiB, as after `dd`.
const IMAGE: u64 = 16 << 10;
const SIZE: u64 = 32 << 10;
const ROOT: [u8; 16] = [0x83; 16];

/// In memory; the plug is pulled before write number `left`.
#[derive(Clone)]
struct Fake {
    bytes: Vec<u8>,
    left: usize,
    /// Of the write that is cut, this much is done.
    torn: usize,
}

impl Disk for Fake {
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = offset as usize;
        let bytes = self.bytes.get(at..at + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = offset as usize;
        let done = if self.left == 0 {
            self.torn.min(bytes.len())
        } else {
            bytes.len()
        };
        // A sector is written whole or not at all.
        let done = done / 512 * 512;
        self.bytes[at..at + done].copy_from_slice(&bytes[..done]);
        if self.left == 0 {
            return Err(io::Error::other("no power"));
        }
        self.left -= 1;
        Ok(())
    }
}

/// As the builder writes it: an ESP, a hash tree, a root, GUIDs of version 8.
fn image() -> Fake {
    let mut table = Table {
        header: vec![0; 512],
        entries: vec![0; 128 * ENTRY],
    };
    let kinds = [super::ESP, [0x2c; 16], ROOT];
    for (index, kind) in kinds.into_iter().enumerate() {
        let entry = &mut table.entries[index * ENTRY..][..ENTRY];
        let unique: [u8; 16] = [
            index as u8 + 1,
            2,
            3,
            4,
            5,
            6,
            7,
            0x88,
            0x89,
            0,
            0,
            0,
            0,
            0,
            0,
            1,
        ];
        let first = 2048 * (index as u64 + 1);
        entry[..16].copy_from_slice(&kind);
        entry[16..32].copy_from_slice(&unique);
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&(first + 2047).to_le_bytes());
    }
    table.put(0, b"EFI PART\0\0\x01\0\x5c\0\0\0");
    table.put(40, &34u64.to_le_bytes());
    table.put(48, &(IMAGE - 34).to_le_bytes());
    table.put(56, &[9, 9, 9, 9, 9, 9, 9, 0x89, 0x99, 9, 9, 9, 9, 9, 9, 9]);
    table.put(80, &128u32.to_le_bytes());
    table.put(84, &128u32.to_le_bytes());
    let mut bytes = vec![0; (SIZE * SECTOR) as usize];
    for (at, other, place) in [(1, IMAGE - 1, 2), (IMAGE - 1, 1, IMAGE - 33)] {
        for (field, value) in [(24, at), (32, other), (72, place)] {
            table.put(field, &value.to_le_bytes());
        }
        table.seal();
        bytes[(at * SECTOR) as usize..][..512].copy_from_slice(&table.header);
        bytes[(place * SECTOR) as usize..][..128 * ENTRY].copy_from_slice(&table.entries);
    }
    // The protective MBR.
    bytes[446..462]
        .copy_from_slice(&[0, 0, 2, 0, 0xee, 255, 255, 255, 1, 0, 0, 0, 255, 0x3f, 0, 0]);
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    Fake {
        bytes,
        left: usize::MAX,
        torn: 0,
    }
}

/// Numbers that differ.
fn numbers() -> impl FnMut() -> io::Result<[u8; 16]> {
    let mut next = 0xa0u8;
    move || {
        next += 1;
        Ok([next; 16])
    }
}

fn guid(table: &Table, index: usize) -> [u8; 16] {
    table.entries[index * ENTRY + 16..][..16]
        .try_into()
        .unwrap()
}

fn is_fresh(table: &Table) -> bool {
    guid(table, 0)[7] >> 4 == 4 && table.header[63] >> 4 == 4
}

#[test]
fn the_checksum_is_that_of_the_specification() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn disk_and_esp_get_guids_of_their_own_in_both_tables() {
    let mut disk = image();
    let old = Table::read(&disk, SECTOR, 1).unwrap().unwrap();
    assert!(renew(&mut disk, SECTOR, SIZE, numbers()).unwrap());
    let first = Table::read(&disk, SECTOR, 1).unwrap().unwrap();
    let second = Table::read(&disk, SECTOR, IMAGE - 1).unwrap().unwrap();
    assert!(is_fresh(&first) && first.entries == second.entries);
    assert_eq!(first.header[56..72], second.header[56..72]);
    assert_eq!(first.header[40..56], old.header[40..56]);
    assert_ne!(guid(&first, 0), first.header[56..72]);
    for index in [1, 2] {
        assert_eq!(guid(&first, index), guid(&old, index));
    }
    let untouched = disk.bytes.clone();
    assert!(!renew(&mut disk, SECTOR, SIZE, numbers()).unwrap());
    assert!(disk.bytes == untouched);
    let gap = (34 * SECTOR) as usize..(2048 * SECTOR) as usize;
    assert!(disk.bytes[gap].iter().all(|byte| *byte == 0));
}

#[test]
fn other_tools_find_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.raw");
    let mut bytes = image().bytes;
    bytes.truncate((IMAGE * SECTOR) as usize);
    fs::write(&path, bytes).unwrap();
    let mut file = File::options().read(true).write(true).open(&path).unwrap();
    assert!(renew(&mut file, SECTOR, IMAGE, numbers()).unwrap());
    for (program, option, good) in [
        ("sgdisk", "-v", "No problems found"),
        ("sfdisk", "--verify", "No errors detected"),
    ] {
        let mut command = Command::new(program);
        command.arg(option).arg(&path).env("PATH", judge::path());
        let Some(output) = judge::run(&mut command) else {
            continue;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(good), "{program}: {said}");
    }
}

/// Every write is cut, at its beginning and in its middle: the first table is valid
/// whatever was done, names the same root, and the next boot ends the work.
#[test]
fn a_power_cut_between_any_two_writes_is_mended() {
    let root = guid(&Table::read(&image(), SECTOR, 1).unwrap().unwrap(), 2);
    let mut writes = 0;
    for torn in [0, 512, 4096] {
        for left in 0.. {
            let mut disk = Fake {
                left,
                torn,
                ..image()
            };
            let whole = renew(&mut disk, SECTOR, SIZE, numbers()).is_ok();
            let first = Table::read(&disk, SECTOR, 1).unwrap();
            let first = first.unwrap_or_else(|| panic!("cut {left}, {torn}: not valid"));
            assert_eq!(guid(&first, 2), root);
            disk.left = usize::MAX;
            let mut more = numbers();
            renew(&mut disk, SECTOR, SIZE, move || {
                more().map(|it| it.map(|byte| byte ^ 0x10))
            })
            .unwrap();
            let first = Table::read(&disk, SECTOR, 1).unwrap().unwrap();
            let second = Table::read(&disk, SECTOR, IMAGE - 1).unwrap().unwrap();
            assert!(
                is_fresh(&first) && first.number(72) == 2,
                "cut {left}, {torn}"
            );
            assert!(first.entries == second.entries, "cut {left}, {torn}");
            assert_eq!(first.header[40..72], second.header[40..72]);
            if whole {
                writes = left;
                break;
            }
        }
    }
    assert_eq!(writes, 7);
}

#[test]
fn what_is_no_image_is_left_alone() {
    let expect = |change: &dyn Fn(&mut Fake), words: &str| {
        let mut disk = image();
        change(&mut disk);
        let before = disk.bytes.clone();
        let error = renew(&mut disk, SECTOR, SIZE, numbers()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(disk.bytes[..1 << 20], before[..1 << 20]);
    };
    expect(&|disk| disk.bytes[600] ^= 1, "checksums");
    expect(&|disk| disk.bytes[1040] ^= 1, "checksums");
    // A board's boot loader.
    expect(&|disk| disk.bytes[2040 * 512] = 1, "in use");
    let reseal = |disk: &mut Fake, change: &dyn Fn(&mut Table)| {
        let mut table = Table::read(disk, SECTOR, 1).unwrap().unwrap();
        change(&mut table);
        table.seal();
        disk.write(SECTOR, &table.header).unwrap();
        disk.write(2 * SECTOR, &table.entries).unwrap();
    };
    let early = |table: &mut Table| table.entries[32..40].copy_from_slice(&40u64.to_le_bytes());
    expect(&|disk| reseal(disk, &early), "no free space");
    // GUIDs that another tool has made.
    let mut disk = image();
    reseal(&mut disk, &|table| {
        table.entries[23] = 0x48;
        table.header[63] = 0x49;
    });
    assert!(!renew(&mut disk, SECTOR, SIZE, numbers()).unwrap());
}

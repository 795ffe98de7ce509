#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::io;

use super::gpt::{self, PartitionEntry};
use super::{MAX_READ, ReadAt, identify};

/// A device of bytes at offsets, zero elsewhere.
struct Disk {
    size: u64,
    parts: Vec<(u64, Vec<u8>)>,
    read: u64,
}

impl Disk {
    fn new(size: u64) -> Self {
        Self {
            size,
            parts: Vec::new(),
            read: 0,
        }
    }

    fn with(mut self, offset: u64, bytes: &[u8]) -> Self {
        self.parts.push((offset, bytes.to_vec()));
        self
    }
}

impl ReadAt for Disk {
    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read += out.len() as u64;
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (at, byte) in out.iter_mut().enumerate() {
            let place = offset + at as u64;
            *byte = 0;
            for (start, bytes) in &self.parts {
                if let Some(found) = place
                    .checked_sub(*start)
                    .and_then(|at| bytes.get(usize::try_from(at).ok()?))
                {
                    *byte = *found;
                }
            }
        }
        Ok(())
    }
}

fn shown(mut disk: Disk) -> String {
    let found = identify(&mut disk).unwrap();
    assert!(disk.read <= MAX_READ + 4096, "read {}", disk.read);
    found.map_or("nothing".to_owned(), |volume| {
        format!("{} {:?}", volume.kind, volume.labels)
    })
}

/// A boot sector of FAT16 (`fat32` false) or FAT32 with one sector per cluster.
fn fat(fat32: bool, label: &[u8; 11]) -> Vec<u8> {
    let mut boot = vec![0; 512];
    boot[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
    boot[11..13].copy_from_slice(&512u16.to_le_bytes());
    boot[13] = 1;
    boot[14] = 4;
    boot[16] = 2;
    boot[21] = 0xf8;
    let copy = if fat32 {
        boot[36] = 8;
        boot[44] = 2;
        71
    } else {
        boot[17..19].copy_from_slice(&512u16.to_le_bytes());
        boot[22] = 8;
        43
    };
    boot[copy - 5] = 0x29;
    boot[copy..copy + 11].copy_from_slice(label);
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    boot
}

fn entry(name: &[u8; 11], attribute: u8) -> Vec<u8> {
    let mut entry = vec![0; 32];
    entry[..11].copy_from_slice(name);
    entry[11] = attribute;
    entry
}

/// Where the root directory is in `fat`: behind 4 reserved sectors and 2 tables of 8.
const ROOT: u64 = 20 * 512;
const SIZE: u64 = 8 << 20;

#[test]
fn fat_labels() {
    let long = entry(b"AcIdAtA    ", 0x0f);
    let file = entry(b"META-D~1   ", 0x20);
    let gone = entry(b"\xe5LDNAME    ", 0x08);
    let name = entry(b"cidata     ", 0x08);
    for (disk, expected) in [
        (
            Disk::new(SIZE).with(0, &fat(false, b"CIDATA     ")),
            r#"vfat ["CIDATA"]"#,
        ),
        (
            Disk::new(SIZE).with(0, &fat(false, b"NO NAME    ")),
            "vfat []",
        ),
        (
            Disk::new(SIZE).with(0, &fat(false, b"STALE      ")).with(
                ROOT,
                &[long.clone(), file.clone(), gone, name.clone()].concat(),
            ),
            r#"vfat ["cidata"]"#,
        ),
        (
            Disk::new(SIZE)
                .with(0, &fat(true, b"NO NAME    "))
                .with(ROOT, &name),
            r#"vfat ["cidata"]"#,
        ),
        // The label stands in the second cluster of the directory: 2 leads to 5.
        (
            Disk::new(SIZE)
                .with(0, &fat(true, b"NO NAME    "))
                .with(4 * 512 + 8, &5u32.to_le_bytes())
                .with(ROOT, &file.repeat(16))
                .with(ROOT + 3 * 512, &name),
            r#"vfat ["cidata"]"#,
        ),
        // A chain that leads back to itself ends at the bound.
        (
            Disk::new(SIZE)
                .with(0, &fat(true, b"NO NAME    "))
                .with(4 * 512 + 8, &2u32.to_le_bytes())
                .with(ROOT, &file.repeat(16)),
            "vfat []",
        ),
        // One that leads out of the device.
        (
            Disk::new(SIZE)
                .with(0, &fat(true, b"NO NAME    "))
                .with(4 * 512 + 8, &0x0fff_fff0u32.to_le_bytes())
                .with(ROOT, &file.repeat(16)),
            "vfat []",
        ),
        (
            Disk::new(SIZE).with(0, &fat(false, b"BELL\x07      ")),
            "vfat [\"BELL\u{fffd}\"]",
        ),
        // A boot sector and nothing behind it.
        (
            Disk::new(512).with(0, &fat(true, b"CIDATA     ")),
            r#"vfat ["CIDATA"]"#,
        ),
    ] {
        assert_eq!(shown(disk), expected);
    }
}

#[test]
fn what_is_no_fat() {
    let changed = |at: usize, byte: u8| {
        let mut boot = fat(true, b"CIDATA     ");
        boot[at] = byte;
        shown(Disk::new(SIZE).with(0, &boot))
    };
    for (at, byte) in [
        (0, 0),
        (11, 1),
        (12, 3),
        (13, 3),
        (13, 0),
        (16, 0),
        (16, 9),
        (21, 7),
        (14, 0),
        (36, 0),
    ] {
        assert_eq!(changed(at, byte), "MBR partition table []", "{at} = {byte}");
    }
    assert_eq!(changed(510, 0), "nothing");
}

fn descriptor(kind: u8, name: &[u8; 5], label: &[u8], escape: &[u8]) -> Vec<u8> {
    let mut sector = vec![0; 2048];
    sector[0] = kind;
    sector[1..6].copy_from_slice(name);
    sector[40..72].fill(b' ');
    sector[40..40 + label.len()].copy_from_slice(label);
    sector[88..88 + escape.len()].copy_from_slice(escape);
    sector
}

fn ucs2(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    bytes.resize(32, 0);
    bytes
}

#[test]
fn iso9660_labels() {
    let primary = |label: &[u8]| descriptor(1, b"CD001", label, b"");
    let joliet = |label: &str| descriptor(2, b"CD001", &ucs2(label), b"%/E");
    let end = descriptor(255, b"CD001", b"", b"");
    let udf = |name: &[u8; 5]| descriptor(0, name, b"", b"");
    for (sectors, expected) in [
        (
            vec![primary(b"cidata"), end.clone()],
            r#"iso9660 ["cidata"]"#,
        ),
        (vec![primary(b""), end.clone()], "iso9660 []"),
        (
            vec![primary(b"CIDATA"), joliet("cidata"), end.clone()],
            r#"iso9660 ["CIDATA", "cidata"]"#,
        ),
        (
            vec![primary(b"config-2"), joliet("config-2"), end.clone()],
            r#"iso9660 ["config-2"]"#,
        ),
        (
            vec![primary(b"A"), primary(b"B"), end.clone()],
            r#"iso9660 ["A"]"#,
        ),
        (
            vec![primary(b"A"), end.clone(), joliet("late")],
            r#"iso9660 ["A"]"#,
        ),
        (vec![udf(b"BEA01"), udf(b"NSR02"), udf(b"TEA01")], "udf []"),
        (
            vec![primary(b"A"), end.clone(), udf(b"BEA01"), udf(b"NSR03")],
            r#"iso9660 ["A"]"#,
        ),
        (vec![joliet("cidata"), end.clone()], "nothing"),
        // No end, and no end of the end.
        (vec![primary(b"A"); 100], r#"iso9660 ["A"]"#),
    ] {
        assert_eq!(
            shown(Disk::new(SIZE).with(32768, &sectors.concat())),
            expected
        );
    }
    // Cut off in the middle of the row.
    let cut = Disk::new(32768 + 2048).with(32768, &primary(b"cidata"));
    assert_eq!(shown(cut), r#"iso9660 ["cidata"]"#);
}

#[test]
fn others() {
    let mut ext = vec![0; 256];
    ext[24] = 2;
    ext[56..58].copy_from_slice(&[0x53, 0xef]);
    ext[120..126].copy_from_slice(b"cidata");
    let mut journal = ext.clone();
    journal[96] = 8;
    for (offset, bytes, expected) in [
        (1024, ext, r#"ext4 ["cidata"]"#),
        (1024, journal, "nothing"),
        (0, b"XFSB".to_vec(), "xfs []"),
        (
            0,
            [b"XFSB".as_slice(), &[0; 104], b"cidata"].concat(),
            r#"xfs ["cidata"]"#,
        ),
        (65600, b"_BHRfS_M".to_vec(), "btrfs []"),
        (3, b"NTFS    ".to_vec(), "ntfs []"),
        (4086, b"SWAPSPACE2".to_vec(), "swap []"),
        (512, b"EFI PART".to_vec(), "GPT partition table []"),
        (0, Vec::new(), "nothing"),
    ] {
        assert_eq!(shown(Disk::new(SIZE).with(offset, &bytes)), expected);
    }
    for size in [0, 1, 511, 1024, 4095] {
        assert_eq!(shown(Disk::new(size)), "nothing");
    }
}

#[test]
fn an_error_of_the_device_is_told() {
    struct Failing;
    impl ReadAt for Failing {
        fn read_at(&mut self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Err(io::Error::other("medium error"))
        }
    }
    assert_eq!(
        identify(&mut Failing).unwrap_err().to_string(),
        "medium error"
    );
}

#[test]
fn gpt_entries() {
    let mut header = vec![0; 92];
    header[..8].copy_from_slice(b"EFI PART");
    header[72] = 2;
    header[80] = 128;
    header[84] = 128;
    let esp = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
    ];
    let unique: Vec<u8> = (0..16).collect();
    for sector in [512, 4096] {
        let mut disk = Disk::new(SIZE)
            .with(sector, &header)
            .with(2 * sector, &[esp.as_slice(), &unique].concat())
            .with(2 * sector + 56, b"e\0s\0p\0")
            .with(2 * sector + 256, &[unique.as_slice(), &unique].concat());
        let guid = "03020100-0504-0706-0809-0a0b0c0d0e0f".to_owned();
        let found = |is_esp| {
            Some(PartitionEntry {
                is_esp,
                guid: guid.clone(),
                name: if is_esp {
                    "esp".to_owned()
                } else {
                    String::new()
                },
            })
        };
        for (number, expected) in [
            (1, found(true)),
            (2, None),
            (3, found(false)),
            (0, None),
            (129, None),
        ] {
            assert_eq!(gpt::entry(&mut disk, sector, number).unwrap(), expected);
        }
    }
    // Entries beyond any disk, of an odd size, on a disk with no table.
    for (at, byte) in [(79, 0xff), (84, 1), (87, 1), (83, 1), (0, b'e')] {
        let mut bad = header.clone();
        bad[at] = byte;
        let mut disk = Disk::new(SIZE).with(512, &bad);
        assert_eq!(gpt::entry(&mut disk, 512, 1).unwrap(), None, "{at}");
    }
    assert_eq!(gpt::entry(&mut Disk::new(100), 512, 1).unwrap(), None);
}

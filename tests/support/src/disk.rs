//! A disk image, read and changed by its bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const SECTOR: u64 = 512;

pub struct Disk {
    pub file: File,
    pub path: PathBuf,
}

impl Disk {
    pub fn open(path: &Path) -> Disk {
        let file = File::options().read(true).write(true).open(path).unwrap();
        Disk {
            file,
            path: path.to_owned(),
        }
    }

    /// A copy at `to`, to be harmed.
    pub fn copy(from: &Path, to: &Path) -> Disk {
        let mut from = File::open(from).unwrap();
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(to)
            .unwrap();
        copy_sparse(&mut from, &mut file);
        Disk {
            file,
            path: to.to_owned(),
        }
    }

    pub fn bytes<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    pub fn number(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }

    /// Where a partition begins and how long it is, by its label
    /// ([UEFI, 5.3.3](https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html#gpt-partition-entry-array)).
    pub fn partition(&self, label: &str) -> (u64, u64) {
        let name: Vec<u8> = label.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let is_it = |at: u64| {
            let found: [u8; 72] = self.bytes(at + 56);
            found.starts_with(&name) && found[name.len()..].iter().all(|byte| *byte == 0)
        };
        self.find(is_it)
            .unwrap_or_else(|| panic!("no partition is labelled {label}"))
    }

    /// Where the root of slot A is.
    pub fn root(&self) -> (u64, u64) {
        self.of_type([[0xe3, 0xbc, 0x68, 0x4f], [0x45, 0xb0, 0x21, 0xb9]])
    }

    /// Where the hash tree of slot A is.
    pub fn hashes(&self) -> (u64, u64) {
        self.of_type([[0xed, 0x57, 0x73, 0x2c], [0xce, 0x00, 0x33, 0xdf]])
    }

    /// By the first bytes of the type, for amd64 and for arm64.
    fn of_type(&self, kinds: [[u8; 4]; 2]) -> (u64, u64) {
        self.find(|at| kinds.contains(&self.bytes(at)))
            .expect("a partition of the type")
    }

    fn find(&self, is_it: impl Fn(u64) -> bool) -> Option<(u64, u64)> {
        let mut entries = (0..128).map(|index| 2 * SECTOR + index * 128);
        let entry = entries.find(|at| is_it(*at))?;
        let (first, last) = (self.number(entry + 32), self.number(entry + 40));
        Some((first * SECTOR, (last - first + 1) * SECTOR))
    }

    /// Changes one bit.
    pub fn flip(&self, at: u64) {
        let [byte] = self.bytes::<1>(at);
        self.file.write_all_at(&[byte ^ 1], at).unwrap();
    }
}

/// A disk is mostly holes.
fn copy_sparse(from: &mut File, to: &mut File) {
    let length = from.metadata().unwrap().len();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = from.read(&mut block).unwrap();
        if read == 0 {
            break;
        }
        if block[..read].iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Current(read as i64)).unwrap();
        } else {
            io::Write::write_all(to, &block[..read]).unwrap();
        }
    }
    to.set_len(length).unwrap();
}

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
        let entry = (0..128)
            .map(|index| 2 * SECTOR + index * 128)
            .find(|at| {
                let found: [u8; 72] = self.bytes(at + 56);
                found.starts_with(&name) && found[name.len()..].iter().all(|byte| *byte == 0)
            })
            .unwrap_or_else(|| panic!("no partition is labelled {label}"));
        let (first, last) = (self.number(entry + 32), self.number(entry + 40));
        (first * SECTOR, (last - first + 1) * SECTOR)
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

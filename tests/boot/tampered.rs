//! One byte of the disk is another one: the node does not come up, and says why.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::support::guest::Guest;
use super::{directory, image, seed};

const SECTOR: u64 = 512;
/// What the initrd says when it gives up.
const GIVEN_UP: &str = "What keeps this node from booting";

/// A copy of the disk to be harmed.
struct Disk {
    file: File,
    path: PathBuf,
    directory: PathBuf,
}

impl Disk {
    fn copy(image: &Path, name: &str) -> Disk {
        let directory = directory(name);
        let path = directory.join("disk.raw");
        let mut from = File::open(image.join("disk.raw")).unwrap();
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        copy_sparse(&mut from, &mut file);
        Disk {
            file,
            path,
            directory,
        }
    }

    fn bytes<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    fn number(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }

    /// Where a partition begins and how long it is, by its label
    /// ([UEFI, 5.3.3](https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html#gpt-partition-entry-array)).
    fn partition(&self, label: &str) -> (u64, u64) {
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
    fn flip(&self, at: u64) {
        let [byte] = self.bytes::<1>(at);
        self.file.write_all_at(&[byte ^ 1], at).unwrap();
    }

    fn never_comes_up(&self, name: &str, words: &str, says: &[&str]) {
        let guest = Guest::new(name, &self.path).seed(&seed(&self.directory, "node-7"));
        let says: Vec<&str> = says.iter().copied().chain([GIVEN_UP]).collect();
        guest
            .with(&["--arch", "amd64"])
            .words(words)
            .never_up(&says);
        std::fs::remove_dir_all(&self.directory).unwrap();
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

/// Of the block with the root directory's inode, which every mount reads
/// ([SquashFS](https://docs.kernel.org/filesystems/squashfs.html)).
#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn in_the_root_file_system() {
    let Some(image) = image("amd64") else { return };
    let disk = Disk::copy(&image, "tampered-root");
    let (root, _) = disk.partition("root-a");
    let (inode, table) = (disk.number(root + 32), disk.number(root + 64));
    disk.flip(root + table + (inode >> 16) + 10);
    disk.never_comes_up(
        "tampered-root",
        "",
        &["verity", "data block", "is corrupted"],
    );
}

/// Of the first block of the tree, behind its superblock.
#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn in_the_hash_tree() {
    let Some(image) = image("amd64") else { return };
    let disk = Disk::copy(&image, "tampered-tree");
    let (tree, _) = disk.partition("hashes-a");
    disk.flip(tree + 4096);
    // udev finds nothing on what cannot be read, so systemd waits for it.
    disk.never_comes_up(
        "tampered-tree",
        "systemd.default_device_timeout_sec=60",
        &["verity", "metadata block 1 is corrupted"],
    );
}

/// Another root hash: no such root file system is on the disk.
#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn in_the_command_line() {
    let Some(image) = image("amd64") else { return };
    let disk = Disk::copy(&image, "tampered-cmdline");
    let (start, length) = disk.partition("esp");
    let mut esp = vec![0; usize::try_from(length).unwrap()];
    disk.file.read_exact_at(&mut esp, start).unwrap();
    let needle = b"roothash=";
    let places: Vec<usize> = (0..esp.len() - needle.len())
        .filter(|at| esp[*at..].starts_with(needle))
        .collect();
    let [place] = places[..] else {
        panic!("the command line is not once on the disk: {places:?}");
    };
    let digit = place + needle.len();
    let other = if esp[digit] == b'0' { b"1" } else { b"0" };
    disk.file.write_all_at(other, start + digit as u64).unwrap();
    // It waits for the partition of that hash, which would come in vain.
    disk.never_comes_up(
        "tampered-cmdline",
        "systemd.default_device_timeout_sec=60",
        &["Timed out waiting for device"],
    );
}

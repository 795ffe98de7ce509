//! One byte of the disk is another one: the node does not come up, and says why.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{directory, image, seed};
use nodeimg_test_support::disk::Disk;
use nodeimg_test_support::guest::Guest;

/// What the initrd says when it gives up.
const GIVEN_UP: &str = "What keeps this node from booting";

/// A copy of the disk to be harmed, and the directory that it is in.
struct Harmed {
    disk: Disk,
    directory: PathBuf,
}

impl Harmed {
    fn copy(image: &Path, name: &str) -> Harmed {
        let directory = directory(name);
        let disk = Disk::copy(&image.join("disk.raw"), &directory.join("disk.raw"));
        Harmed { disk, directory }
    }

    fn never_comes_up(&self, name: &str, words: &str, says: &[&str]) {
        let guest = Guest::new(name, &self.disk.path).seed(&seed(&self.directory, "node-7"));
        let says: Vec<&str> = says.iter().copied().chain([GIVEN_UP]).collect();
        guest
            .with(&["--arch", "amd64"])
            .words(words)
            .never_up(&says);
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// Of the block with the root directory's inode, which every mount reads
/// ([SquashFS](https://docs.kernel.org/filesystems/squashfs.html)).
#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn in_the_root_file_system() {
    let Some(image) = image("amd64") else { return };
    let harmed = Harmed::copy(&image, "tampered-root");
    let (root, _) = harmed.disk.root();
    let (inode, table) = (harmed.disk.number(root + 32), harmed.disk.number(root + 64));
    harmed.disk.flip(root + table + (inode >> 16) + 10);
    harmed.never_comes_up(
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
    let harmed = Harmed::copy(&image, "tampered-tree");
    let (tree, _) = harmed.disk.hashes();
    harmed.disk.flip(tree + 4096);
    harmed.never_comes_up(
        "tampered-tree",
        "",
        &["verity", "metadata block 1 is corrupted"],
    );
}

/// Another root hash: no such root file system is on the disk.
#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn in_the_command_line() {
    let Some(image) = image("amd64") else { return };
    let harmed = Harmed::copy(&image, "tampered-cmdline");
    let (start, length) = harmed.disk.partition("esp");
    let mut esp = vec![0; usize::try_from(length).unwrap()];
    harmed.disk.file.read_exact_at(&mut esp, start).unwrap();
    let needle = b"roothash=";
    let places: Vec<usize> = (0..esp.len() - needle.len())
        .filter(|at| esp[*at..].starts_with(needle))
        .collect();
    let [place] = places[..] else {
        panic!("the command line is not once on the disk: {places:?}");
    };
    let digit = place + needle.len();
    let other = if esp[digit] == b'0' { b"1" } else { b"0" };
    harmed
        .disk
        .file
        .write_all_at(other, start + digit as u64)
        .unwrap();
    // It waits for the partition of that hash, which would come in vain.
    harmed.never_comes_up(
        "tampered-cmdline",
        "systemd.default_device_timeout_sec=20",
        &["no partition has the GUID"],
    );
}

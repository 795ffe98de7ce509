#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use nodeimg_values::digest::Digest;
use serde_json::Value;

use super::*;

fn qemu_img(arguments: &[&str]) -> Option<String> {
    let told = judge::run(Command::new("qemu-img").args(arguments))?;
    let text = String::from_utf8([told.stdout, told.stderr].concat()).unwrap();
    assert!(told.status.success(), "qemu-img {arguments:?}: {text}");
    Some(text)
}

/// Text at odd places, zeros that are not a hole, an end within a cluster.
fn disk(path: &Path, size: u64) -> File {
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap();
    file.set_len(size).unwrap();
    let marks = [0, CLUSTER - 2, 5 * CLUSTER + 9, 300 << 20, size - 4];
    for at in marks.into_iter().filter(|at| at + 4 <= size) {
        file.write_all_at(b"mark", at).unwrap();
    }
    file.write_all_at(&vec![0; 3 * CLUSTER as usize], 8 * CLUSTER)
        .unwrap();
    file
}

fn written(raw: &File) -> Vec<u8> {
    let mut to = Cursor::new(Vec::new());
    let len = write(raw, 0, &mut to).unwrap();
    let bytes = to.into_inner();
    assert_eq!(len, bytes.len() as u64);
    bytes
}

#[test]
fn qemu_finds_the_same_disk_and_nothing_wrong() {
    // Within a cluster, of one L2 table and of two, the last not full.
    for size in [3 * 512, 2 << 20, (512 << 20) + 3 * CLUSTER + 512] {
        let dir = tempfile::tempdir().unwrap();
        let (raw, image) = (dir.path().join("raw"), dir.path().join("qcow2"));
        let file = match size {
            1536 => {
                fs::write(&raw, [7; 1536]).unwrap();
                File::open(&raw).unwrap()
            }
            _ => disk(&raw, size),
        };
        fs::write(&image, written(&file)).unwrap();
        let (raw, image) = (raw.to_str().unwrap(), image.to_str().unwrap());
        let Some(told) = qemu_img(&["check", "-f", "qcow2", image]) else {
            return;
        };
        assert!(told.contains("No errors were found"), "{told}");
        qemu_img(&["compare", "-f", "raw", "-F", "qcow2", raw, image]).unwrap();
        let info = qemu_img(&["info", "-f", "qcow2", "--output", "json", image]).unwrap();
        let info: Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["virtual-size"], size);
        assert_eq!(info["format-specific"]["data"]["compat"], "1.1");
        let back = dir.path().join("back");
        qemu_img(&["convert", "-O", "raw", image, back.to_str().unwrap()]).unwrap();
        let read = |path: &str| Digest::sha256(&fs::read(path).unwrap());
        assert_eq!(read(back.to_str().unwrap()), read(raw));
    }
}

#[test]
fn a_machines_disk_may_be_larger_than_what_is_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, image) = (dir.path().join("raw"), dir.path().join("qcow2"));
    let file = disk(&raw, 2 << 20);
    let mut to = Cursor::new(Vec::new());
    // Less than there is counts as nothing said.
    write(&file, 4096, &mut to).unwrap();
    assert_eq!(to.into_inner(), written(&file));
    let mut to = Cursor::new(Vec::new());
    write(&file, 4 << 40, &mut to).unwrap();
    fs::write(&image, to.into_inner()).unwrap();
    let back = tempfile::tempfile().unwrap();
    read(&File::open(&image).unwrap(), &back).unwrap();
    assert_eq!(back.metadata().unwrap().len(), 4 << 40);
    let image = image.to_str().unwrap();
    let Some(told) = qemu_img(&["check", "-f", "qcow2", image]) else {
        return;
    };
    assert!(told.contains("No errors were found"), "{told}");
    // Of two sizes, zeros behind the smaller one.
    let raw = raw.to_str().unwrap();
    qemu_img(&["compare", "-f", "raw", "-F", "qcow2", raw, image]).unwrap();
}

#[test]
fn qemu_can_write_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("qcow2");
    fs::write(&image, written(&disk(&dir.path().join("raw"), 64 << 20))).unwrap();
    let image = image.to_str().unwrap();
    let write = ["-c", "write -P 9 1M 30M", "-c", "read -P 9 1M 30M", image];
    let Some(told) = judge::run(Command::new("qemu-io").args(["-f", "qcow2"]).args(write)) else {
        return;
    };
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    let told = qemu_img(&["check", image]).unwrap();
    assert!(told.contains("No errors were found"), "{told}");
}

#[test]
fn more_clusters_than_a_block_of_refcounts_counts() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("qcow2");
    let mut to = File::create(&image).unwrap();
    // One that ends with the first block, one behind it.
    for clusters in [PER_BLOCK - 4, PER_BLOCK - 3, PER_BLOCK + 5] {
        to.set_len(0).unwrap();
        let mut written = Image::new(clusters * CLUSTER, &mut to);
        // Holes, where zeros would be left out.
        for index in 0..clusters {
            let place = written.next * CLUSTER;
            written.next += 1;
            let table = written.tables.entry(index / PER_TABLE);
            let table = table.or_insert_with(|| vec![0; PER_TABLE as usize]);
            table[(index % PER_TABLE) as usize] = place | COPIED;
        }
        written.finish(None).unwrap();
        let Some(told) = qemu_img(&["check", "-f", "qcow2", image.to_str().unwrap()]) else {
            return;
        };
        assert!(told.contains("No errors were found"), "{clusters}: {told}");
    }
}

#[test]
fn the_bytes_are_pinned_and_know_no_holes() {
    let dir = tempfile::tempdir().unwrap();
    let sparse = disk(&dir.path().join("sparse"), 2 << 20);
    let bytes = written(&sparse);
    let full = dir.path().join("full");
    fs::write(&full, fs::read(dir.path().join("sparse")).unwrap()).unwrap();
    assert!(written(&File::open(&full).unwrap()) == bytes);
    assert_eq!(
        Digest::sha256(&bytes).hex(),
        "527bfa8d0f510e8b191d6e8ecc5c009cc499c19413ecb2d76131ca38d78383fe"
    );
    // Header, four clusters of marks, L2, L1, refcounts, their table.
    assert_eq!(bytes.len() as u64, 9 * CLUSTER);
}

#[test]
fn an_overlay_is_its_backing_until_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("disk.raw");
    drop(disk(&raw, 2 << 20));
    let image = dir.path().join("over");
    let mut to = File::create(&image).unwrap();
    overlay("disk.raw", "raw", 3 << 20, &mut to).unwrap();
    let (raw, image) = (raw.to_str().unwrap(), image.to_str().unwrap());
    let before = fs::read(raw).unwrap();
    let Some(told) = qemu_img(&["info", "--backing-chain", "--output", "json", image]) else {
        return;
    };
    let chain: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(chain[0]["virtual-size"], 3 << 20);
    assert_eq!(chain[0]["backing-filename"], "disk.raw");
    assert_eq!(chain[0]["backing-filename-format"], "raw");
    assert_eq!(chain[1]["filename"], raw);
    qemu_img(&["check", image]).unwrap();
    qemu_img(&["compare", "-f", "raw", "-F", "qcow2", raw, image]).unwrap();
    let write = ["-f", "qcow2", "-c", "write -P 9 1M 64k", image];
    assert!(
        judge::run(Command::new("qemu-io").args(write))
            .unwrap()
            .status
            .success()
    );
    qemu_img(&["check", image]).unwrap();
    assert!(
        fs::read(raw).unwrap() == before,
        "the backing disk was written to"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |backing: &str, format: &str, size: u64| {
        let mut to = Cursor::new(Vec::new());
        let error = overlay(backing, format, size, &mut to)
            .unwrap_err()
            .to_string();
        assert!(to.into_inner().is_empty());
        error
    };
    assert!(refused("", "raw", 512).contains("1 to 1023"));
    assert!(refused(&"x".repeat(1024), "raw", 512).contains("1 to 1023"));
    assert!(refused("nbd:localhost", "raw", 512).contains("`./`"));
    assert!(refused("disk", "vmdk", 512).contains("`vmdk`"));
    assert!(refused("disk", "raw", 513).contains("513 bytes"));
    assert!(refused("disk", "raw", MAX_SIZE + 512).contains("up to"));
    for good in ["/a:b/disk", "./a:b"] {
        overlay(good, "qcow2", 512, &mut Cursor::new(Vec::new())).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("raw");
    fs::write(&raw, [1; 700]).unwrap();
    let mut to = Cursor::new(Vec::new());
    let error = write(&File::open(&raw).unwrap(), 700, &mut to).unwrap_err();
    assert!(error.to_string().contains("700 bytes"), "{error}");
}

#[test]
fn what_is_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    for size in [3 * 512, (512 << 20) + 3 * CLUSTER + 512] {
        let raw = disk(&dir.path().join(size.to_string()), size);
        let image = tempfile::tempfile().unwrap();
        let bytes = written(&raw);
        image.write_all_at(&bytes, 0).unwrap();
        let copy = tempfile::tempfile().unwrap();
        read(&image, &copy).unwrap();
        let lengths = [&copy, &raw].map(|file| file.metadata().unwrap().len());
        assert_eq!(lengths[0], lengths[1]);
        assert!(written(&copy) == bytes);
        for at in [0, 4, 20, 24] {
            image.write_all_at(&[bytes[at] ^ 0xff], at as u64).unwrap();
            assert!(
                read(&image, &tempfile::tempfile().unwrap()).is_err(),
                "{at}"
            );
            image.write_all_at(&bytes[at..=at], at as u64).unwrap();
        }
        image.set_len(bytes.len() as u64 / 2).unwrap();
        assert!(read(&image, &tempfile::tempfile().unwrap()).is_err());
    }
}

#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use tempfile::NamedTempFile;

use super::*;

/// wipefs' names, and ours.
const NAMES: &[(&str, &str)] = &[
    ("linux_raid_member", "a part of a RAID array (md)"),
    ("LVM2_member", "a part of an LVM group"),
    ("crypto_LUKS", "an encrypted volume (LUKS)"),
    ("zfs_member", "a part of a ZFS pool"),
    ("gpt", "a GPT"),
    ("dos", "an MBR partition table"),
    ("PMBR", "a GPT"),
    ("ext2", "ext4"),
    ("ext3", "ext4"),
    ("isw_raid_member", "a part of a RAID array (Intel)"),
    ("ddf_raid_member", "a part of a RAID array (DDF)"),
    ("DM_verity_hash", "dm-verity hashes"),
    ("DM_integrity", "dm-integrity"),
];

fn empty(size: u64) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(size).unwrap();
    file
}

fn ours(path: &Path) -> BTreeSet<String> {
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let found = find(&file, size).unwrap();
    found.into_iter().map(|one| one.what).collect()
}

/// What libblkid finds, by our names.
fn theirs(path: &Path) -> Option<BTreeSet<String>> {
    let mut wipefs = Command::new("wipefs");
    let told = judge::run(wipefs.args(["--noheadings", "--output", "TYPE"]).arg(path))?;
    let text = String::from_utf8(told.stdout).unwrap();
    let ours = |name: &str| {
        let known = NAMES.iter().find(|(theirs, _)| *theirs == name);
        known.map_or(name, |(_, ours)| *ours).to_owned()
    };
    Some(text.split_whitespace().map(ours).collect())
}

#[track_caller]
fn agree(path: &Path, what: &str) {
    let Some(theirs) = theirs(path) else { return };
    let ours = ours(path);
    assert!(ours.contains(what), "{what}: {ours:?}");
    // The boot sectors of these file systems end like an MBR, and are none.
    let is_boot_sector = ["vfat", "ntfs", "exfat"].contains(&what);
    let missed: Vec<_> = theirs
        .difference(&ours)
        .filter(|name| !(is_boot_sector && *name == "an MBR partition table"))
        .collect();
    assert!(
        missed.is_empty(),
        "{what}: {missed:?} of {theirs:?}, {ours:?}"
    );
    assert!(theirs.contains(what), "{what}: wipefs says {theirs:?}");
}

#[test]
fn volumes_of_real_tools_are_found() {
    for (program, words, megabytes, what, label) in [
        (
            "mke2fs",
            &["-q", "-F", "-t", "ext4", "-L", "data"][..],
            16,
            "ext4",
            Some("data"),
        ),
        ("mke2fs", &["-q", "-F", "-t", "ext2"], 16, "ext4", None),
        ("mkfs.vfat", &["-n", "BOOT"], 64, "vfat", Some("BOOT")),
        ("mkfs.xfs", &["-q", "-L", "data"], 512, "xfs", Some("data")),
        (
            "mkfs.btrfs",
            &["-q", "-L", "pool"],
            256,
            "btrfs",
            Some("pool"),
        ),
        ("mkfs.exfat", &[], 64, "exfat", None),
        ("mkfs.ntfs", &["-q", "-F", "-f"], 64, "ntfs", None),
        ("mkfs.f2fs", &["-q", "-f"], 128, "f2fs", None),
        ("mkswap", &["-L", "more"], 16, SWAP, Some("more")),
        ("mkswap", &["-p", "65536"], 16, SWAP, None),
    ] {
        let file = empty(megabytes << 20);
        let mut command = Command::new(program);
        let Some(told) = judge::run(command.args(words).arg(file.path())) else {
            continue;
        };
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{program}: {said}");
        agree(file.path(), what);
        let found = find(file.as_file(), megabytes << 20).unwrap();
        let found = found.iter().find(|one| one.what == what).unwrap();
        assert_eq!(found.label.as_deref(), label, "{program}");
        // Where a partition begins in a disk.
        let disk = empty((megabytes + 2) << 20);
        let bytes = std::fs::read(file.path()).unwrap();
        disk.as_file().write_all_at(&bytes, 1 << 20).unwrap();
        let inside = find_in(disk.as_file(), 1 << 20, megabytes << 20).unwrap();
        assert!(inside.iter().any(|one| one.what == what), "{program}");
    }
}

#[test]
fn encrypted_volumes_and_groups_of_real_tools_are_found() {
    for kind in ["luks1", "luks2"] {
        let file = empty(32 << 20);
        let mut command = Command::new("cryptsetup");
        command.args(["luksFormat", "-q", "--type", kind, "--pbkdf", "pbkdf2"]);
        command.args([
            "--pbkdf-force-iterations",
            "1000",
            "--key-file",
            "/proc/version",
        ]);
        let Some(told) = judge::run(command.arg(file.path())) else {
            return;
        };
        if !told.status.success() {
            judge::say("SKIPPED: cryptsetup cannot make a volume here");
            continue;
        }
        agree(file.path(), LUKS);
    }
}

#[test]
fn tables_of_real_tools_are_found() {
    for (label, what) in [("gpt", GPT), ("dos", "an MBR partition table")] {
        let file = empty(16 << 20);
        let script = NamedTempFile::new().unwrap();
        std::fs::write(script.path(), format!("label: {label}\n,8M\n")).unwrap();
        let mut command = Command::new("sfdisk");
        command.arg("-q").arg(file.path());
        command.stdin(File::open(script.path()).unwrap());
        let Some(told) = judge::run(&mut command) else {
            return;
        };
        assert!(told.status.success());
        agree(file.path(), what);
        if label == "gpt" {
            // What is left of a disk whose start was overwritten.
            file.as_file().write_all_at(&vec![0; 1 << 20], 0).unwrap();
            agree(file.path(), GPT);
        }
    }
}

/// Bytes at places of an empty volume of `size` bytes.
fn recorded(size: u64, pieces: &[(u64, &[u8])]) -> NamedTempFile {
    let file = empty(size);
    for (at, bytes) in pieces {
        file.as_file().write_all_at(bytes, *at).unwrap();
    }
    file
}

/// Superblocks whose makers need a kernel that has them: magic, version and sizes as the
/// formats say, which libblkid recognizes.
#[test]
fn recorded_members_are_found() {
    const SIZE: u64 = 64 << 20;
    // struct mdp_superblock_1: magic, major version 1; at 128, the data's offset and its own.
    let md1 = |at: u64| {
        let mut block = vec![0_u8; 256];
        block[..4].copy_from_slice(MD_MAGIC);
        block[4] = 1;
        block[16..32].fill(7);
        block[144..152].copy_from_slice(&(at / 512).to_le_bytes());
        block
    };
    // struct mdp_superblock_s: magic, major version 0, minor 90.
    let mut md0 = vec![0_u8; 64];
    md0[..4].copy_from_slice(MD_MAGIC);
    md0[8] = 90;
    let end = |before: u64| SIZE - before;
    for (name, at, bytes) in [
        ("1.0", end(8192), md1(end(8192))),
        ("1.1", 0, md1(0)),
        ("1.2", 4096, md1(4096)),
        ("0.90", end(65_536), md0),
    ] {
        let file = recorded(SIZE, &[(at, &bytes)]);
        assert!(ours(file.path()).contains(MD), "{name}");
        agree(file.path(), MD);
    }
    // A device whose size is not a multiple of what the formats round to.
    let odd = SIZE + 7 * 512;
    let file = recorded(odd, &[(SIZE - 8192, &md1(SIZE - 8192))]);
    assert!(ours(file.path()).contains(MD));

    // uberblock_t: magic, version 5000; libblkid wants some of them.
    let mut uberblock = vec![0_u8; 1024];
    uberblock[..8].copy_from_slice(&UBERBLOCK[0]);
    uberblock[8..16].copy_from_slice(&5000_u64.to_le_bytes());
    let ring = uberblock.repeat(16);
    for label in [0, ZFS_LABEL, SIZE - 2 * ZFS_LABEL, SIZE - ZFS_LABEL] {
        let file = recorded(SIZE, &[(label + ZFS_RING, &ring)]);
        assert!(
            ours(file.path()).contains("a part of a ZFS pool"),
            "{label}"
        );
    }
    let all: Vec<_> = [0, ZFS_LABEL, SIZE - 2 * ZFS_LABEL, SIZE - ZFS_LABEL]
        .map(|label| (label + ZFS_RING, ring.as_slice()))
        .into();
    agree(recorded(SIZE, &all).path(), "a part of a ZFS pool");

    // struct cache_sb: checksum, offset, version, magic; libblkid of 2.38 wants offset 8.
    let mut bcache = vec![0_u8; 512];
    bcache[8] = 8;
    bcache[24..40].copy_from_slice(BCACHE);
    assert!(ours(recorded(SIZE, &[(4096, &bcache)]).path()).contains("bcache"));

    // struct label_header and pv_header of LVM2, in each of the four sectors.
    for sector in 0..4_u64 {
        let mut label = b"LABELONE".to_vec();
        label.extend(sector.to_le_bytes());
        label.extend([0; 8]);
        label.extend(b"LVM2 001");
        let file = recorded(SIZE, &[(sector * 512, &label)]);
        assert!(ours(file.path()).contains(LVM), "{sector}");
    }
}

#[test]
fn nothing_is_found_where_nothing_is() {
    for size in [0, 511, 512, 4096, 1 << 20, (64 << 20) + 512] {
        let file = empty(size);
        assert_eq!(find(file.as_file(), size).unwrap(), [], "{size}");
    }
    // Other bytes than zeros are nothing that a program would find.
    let file = recorded(1 << 20, &[(0, &vec![0x5a; 1 << 20])]);
    assert_eq!(find(file.as_file(), 1 << 20).unwrap(), []);
}

//! `nodeimg verify` of a whole signed disk, in all its forms; others verify the same parts.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::disk::place;
use super::signed::{KEYS, built, sign};
use super::{HOST, images};
use nodeimg_test_support::disk::Disk;
use nodeimg_test_support::image::manifest;
use nodeimg_test_support::keys::Keys;
use nodeimg_test_support::run::{Ran, host_program, nodeimg, tool};

fn verify(image: &Path, keys: &Keys, more: &[&str]) -> Command {
    let mut command = nodeimg();
    command.arg("verify").arg(image);
    command.arg("--secure-boot").arg(keys.path("db.pem"));
    command.args(more);
    command
}

#[test]
fn a_signed_disk_is_verified_to_its_last_byte() {
    if images().is_none() {
        return;
    }
    let place = place("verified", HOST);
    let Some(keys) = Keys::make(&place.join("keys"), &["pk", "db"]) else {
        return;
    };
    keys.file("keys.toml", KEYS);
    let Some((ran, image)) = built(HOST, &place.join("out"), &["--output", "rootfs-tar"]) else {
        return;
    };
    ran.good();
    sign(&image, &keys);
    let release = keys.path("release.pub");
    let by_key = ["--key", release.to_str().unwrap()];
    let ran = Ran::of(&mut verify(&image, &keys, &by_key)).good();
    for step in ["5 disk", "6 boot", "7 verity", "8 root"] {
        let line = ran.out.lines().find(|line| line.contains(step)).unwrap();
        assert!(line.contains("passed"), "{line}");
    }
    // Others find the same of what they look at.
    let hash = fs::read_to_string(image.join("root.roothash")).unwrap();
    let mut veritysetup = host_program("veritysetup");
    veritysetup.arg("verify");
    veritysetup.arg(image.join("root.squashfs"));
    veritysetup.arg(image.join("root.verity")).arg(hash.trim());
    if let Some(ran) = tool(&mut veritysetup) {
        ran.good();
    }
    let alone = place.join("alone.raw");
    Disk::copy(&image.join("disk.raw"), &alone);
    Ran::of(&mut verify(&alone, &keys, &[])).good();
    // Of one flipped byte both say so.
    let disk = Disk::open(&alone);
    let partitions = manifest(&image)["disk"]["partitions"].clone();
    let label = partitions[2]["label"].as_str().unwrap();
    let (root, _) = disk.root();
    assert_eq!(partitions[2]["start"], root);
    disk.flip(root + 5000);
    Ran::of(&mut verify(&alone, &keys, &[]))
        .refused(1, &["step 7 (verity) failed", "block 1 of the data", label]);
    let damaged = place.join("damaged.squashfs");
    let mut bytes = fs::read(image.join("root.squashfs")).unwrap();
    bytes[5000] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let mut veritysetup = host_program("veritysetup");
    veritysetup.arg("verify").arg(&damaged);
    veritysetup.arg(image.join("root.verity")).arg(hash.trim());
    if let Some(ran) = tool(&mut veritysetup) {
        assert_ne!(ran.code, Some(0));
    }
    fs::remove_dir_all(&place).unwrap();
}

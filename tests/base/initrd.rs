//! The initrd, by those who will read it: cpio, depmod, modprobe.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::disk::{MIB, place, sections};
use super::{ARCHS, HOST, images};
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::debian::{verb_of, with_systemds_initrd};
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, host_program, tool};

/// Unpacked as the kernel would.
pub fn initrd(uki: &Path, place: &Path) -> Option<PathBuf> {
    let uki = fs::read(uki).unwrap();
    fs::write(place.join("packed"), sections(&uki)[".initrd"]).unwrap();
    let mut unpack = host_program("sh");
    unpack.current_dir(place).args([
        "-c",
        "set -e; zstd -dqf packed -o archive; mkdir root; cd root; cpio -idm --quiet -F ../archive",
    ]);
    tool(&mut unpack)?.good();
    Some(place.join("root"))
}

/// The only kernel's modules in it.
fn modules(root: &Path) -> PathBuf {
    let release = fs::read_dir(root.join("usr/lib/modules")).unwrap().next();
    release.unwrap().unwrap().path()
}

/// Whether modprobe would load `name` from files that are there.
fn loads(root: &Path, name: &str) -> Option<bool> {
    let mut modprobe = host_program("modprobe");
    let release = modules(root);
    modprobe.arg("-d").arg(root).arg("-S");
    modprobe.arg(release.file_name().unwrap());
    let told = tool(modprobe.args(["--show-depends", name]))?;
    let lines = told.out.lines().filter(|line| line.starts_with("insmod"));
    for line in lines {
        let path = line.split_whitespace().nth(1).unwrap();
        assert!(Path::new(path).is_file() && path.ends_with(".ko"), "{line}");
    }
    Some(told.code == Some(0))
}

const MOUNT_THE_ROOT: [&str; 5] = ["dm-verity", "squashfs", "overlay", "virtio_blk", "ext4"];

/// Without an index but kmod's texts: depmod makes the same index, and
/// with its own modprobe finds everything.
#[test]
fn the_initrd_has_what_mounts_the_root() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let place = place("initrd", arch);
        let Some(root) = initrd(&images.image(arch).join("uki.efi"), &place) else {
            return;
        };
        let init = fs::read(root.join("init")).unwrap();
        let binary = images.root(arch).join("usr/bin/nodeimg-firstboot");
        assert_eq!(sha256(&init), sha256(&fs::read(binary).unwrap()));
        let size = fs::metadata(place.join("packed")).unwrap().len();
        assert!(size < 4 * MIB, "{arch}: {size} bytes");
        let directory = modules(&root);
        let texts = ["modules.alias", "modules.dep", "modules.softdep"];
        let ours = texts.map(|name| words_of(&directory.join(name)));
        // What the kernel has built in is not in this initrd.
        let whole = images.root(arch).join("usr/lib/modules");
        let whole = whole.join(directory.file_name().unwrap());
        for name in ["modules.builtin", "modules.order"] {
            fs::copy(whole.join(name), directory.join(name)).unwrap();
        }
        // Where kmod of this machine looks.
        symlink("usr/lib", root.join("lib")).unwrap();
        let mut depmod = host_program("depmod");
        depmod
            .arg("-b")
            .arg(&root)
            .arg(directory.file_name().unwrap());
        let Some(told) = tool(&mut depmod) else {
            return;
        };
        told.good();
        assert_eq!(texts.map(|name| words_of(&directory.join(name))), ours);
        let text = fs::read_to_string(root.join("etc/nodeimg/initrd.json")).unwrap();
        let plan: Value = serde_json::from_str(&text).unwrap();
        let loaded = plan["modules"].as_array().unwrap();
        let loaded = loaded.iter().map(|name| name.as_str().unwrap());
        for name in MOUNT_THE_ROOT.into_iter().chain(loaded) {
            assert_eq!(loads(&root, name), Some(true), "{arch}: {name}");
        }
        for path in plan["read_ahead"].as_array().unwrap() {
            let path = path.as_str().unwrap().trim_start_matches('/');
            let found = fs::symlink_metadata(images.root(arch).join(path)).unwrap();
            assert!(found.is_file(), "{arch}: {path}");
        }
    }
}

/// The words of each line, in an order that is the same for every depmod.
fn words_of(file: &Path) -> BTreeSet<Vec<String>> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if let Some(rest) = words.get_mut(1..) {
            rest.sort();
        }
        words
    });
    lines
        .filter(|words| !words.iter().any(|word| word == "#"))
        .collect()
}

#[test]
fn systemds_initrd_has_what_mounts_the_root() {
    if images().is_none() {
        return;
    }
    let Some(binary) = real::firstboot(HOST) else {
        return;
    };
    let place = place("initrd-systemd", HOST);
    let mut build = verb_of(&with_systemds_initrd(&place), "build", &[HOST]);
    build.args(["--offline", "--output", "uki", "--out"]);
    build.arg(place.join("out")).arg("--firstboot");
    build.arg(format!("{HOST}={}", binary.display()));
    Ran::of(&mut build).good();
    let image = real::output_for(&place.join("out"), HOST);
    let Some(root) = initrd(&image.join("uki.efi"), &place) else {
        return;
    };
    assert!(root.join("usr/lib/systemd/systemd-udevd").exists());
    assert!(!root.join("etc/nodeimg").exists());
    let helper = fs::read(root.join("usr/lib/nodeimg/init")).unwrap();
    assert_eq!(sha256(&helper), sha256(&fs::read(&binary).unwrap()));
    for name in MOUNT_THE_ROOT {
        assert_eq!(loads(&root, name), Some(true), "{name}");
    }
}

//! The disk, by those who will read it: sfdisk, veritysetup, fsck.fat, mtools,
//! qemu-img.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{ARCHS, HOST, images, recipe, store};
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, host_program, nodeimg, tool};

pub const MIB: u64 = 1 << 20;

/// A place of its own for `what` of `arch`, empty.
pub fn place(what: &str, arch: &str) -> PathBuf {
    let place = real::directory("disk").join(format!("{what}-{arch}"));
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    place
}

fn root_hash(image: &Path) -> String {
    let text = fs::read_to_string(image.join("root.roothash")).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

/// (start, size) in bytes, the type and the PARTUUID of every partition.
fn partitions(disk: &Path) -> Option<Vec<(u64, u64, String, String)>> {
    let told = tool(host_program("sfdisk").arg("--json").arg(disk))?.good();
    let table: Value = serde_json::from_str(&told.out).unwrap();
    let found = table["partitiontable"]["partitions"].as_array().unwrap();
    let text = |part: &Value, key: &str| part[key].as_str().unwrap().to_lowercase();
    let bytes = |part: &Value, key: &str| part[key].as_u64().unwrap() * 512;
    let of = |part: &Value| {
        (
            bytes(part, "start"),
            bytes(part, "size"),
            text(part, "type"),
            text(part, "uuid"),
        )
    };
    Some(found.iter().map(of).collect())
}

/// What a root says of itself.
pub fn image_version(root: &Path) -> String {
    let text = fs::read_to_string(root.join("usr/lib/os-release")).unwrap();
    let mut lines = text.lines();
    let version = lines.find_map(|line| line.strip_prefix("IMAGE_VERSION="));
    version.unwrap().to_owned()
}

fn part(disk: &Path, start: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let disk = File::open(disk).unwrap();
    disk.read_exact_at(&mut bytes, start).unwrap();
    bytes
}

/// The sections of a PE program, by name.
pub fn sections(program: &[u8]) -> BTreeMap<String, &[u8]> {
    let number = |at: usize| u32::from_le_bytes(program[at..at + 4].try_into().unwrap()) as usize;
    let header = number(60);
    let count = number(header + 6) & 0xffff;
    let table = header + 24 + (number(header + 20) & 0xffff);
    (0..count)
        .map(|index| table + index * 40)
        .map(|at| {
            let name = program[at..at + 8].split(|byte| *byte == 0).next().unwrap();
            let bytes = &program[number(at + 20)..][..number(at + 8).min(number(at + 16))];
            (String::from_utf8(name.to_vec()).unwrap(), bytes)
        })
        .collect()
}

fn uuid(digits: &str) -> String {
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|range| &digits[range]).join("-")
}

#[test]
fn the_partitions_are_those_that_a_system_finds_by_itself() {
    let Some(images) = images() else { return };
    for (arch, root, hashes) in [
        (
            "amd64",
            "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
            "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
        ),
        (
            "arm64",
            "b921b045-1df0-41c3-af44-4c6f280d3fae",
            "df3300ce-d69f-4c92-978c-9bfb0f38d820",
        ),
    ] {
        let image = images.image(arch);
        let disk = image.join("disk.raw");
        let Some(found) = partitions(&disk) else {
            return;
        };
        let hash = root_hash(&image);
        let types: Vec<_> = found.iter().map(|part| part.2.as_str()).collect();
        let esp = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
        assert_eq!(types, [esp, hashes, root], "{arch}");
        assert_eq!(found[1].3, uuid(&hash[32..]), "{arch}");
        assert_eq!(found[2].3, uuid(&hash[..32]), "{arch}");
        assert_eq!((found[0].0, found[0].1), (MIB, 256 * MIB));
        assert!(found.iter().all(|part| part.0 % MIB == 0), "{found:?}");
        for (name, index) in [("root.squashfs", 2), ("root.verity", 1)] {
            let bytes = fs::read(image.join(name)).unwrap();
            let (start, size, ..) = found[index];
            assert!(bytes.len() as u64 <= size);
            let there = part(&disk, start, bytes.len());
            assert_eq!(sha256(&there), sha256(&bytes), "{arch} {name}");
        }
        let meta = fs::metadata(&disk).unwrap();
        assert!(meta.blocks() * 512 < meta.len() * 2 / 3, "{arch}: no holes");
    }
}

#[test]
fn veritysetup_notices_one_flipped_byte() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let image = images.image(arch);
        let place = place("verity", arch);
        let [data, tree] = ["root.squashfs", "root.verity"].map(|name| place.join(name));
        for file in [&data, &tree] {
            fs::copy(image.join(file.file_name().unwrap()), file).unwrap();
        }
        let hash = root_hash(&image);
        let verify = || {
            let mut verify = host_program("veritysetup");
            tool(verify.arg("verify").args([&data, &tree]).arg(&hash))
        };
        let Some(told) = verify() else { return };
        told.good();
        for (file, at) in [(&data, 12_345), (&tree, 2 * 4096 + 77)] {
            let open = File::options().read(true).write(true).open(file).unwrap();
            let mut byte = [0];
            open.read_exact_at(&mut byte, at).unwrap();
            open.write_all_at(&[byte[0] ^ 1], at).unwrap();
            assert_ne!(verify().unwrap().code, Some(0), "{arch} {}", file.display());
            open.write_all_at(&byte, at).unwrap();
        }
    }
}

#[test]
fn the_efi_partition_starts_this_kernel_with_this_root() {
    let Some(images) = images() else { return };
    for (arch, efi) in [("amd64", "X64"), ("arm64", "AA64")] {
        let image = images.image(arch);
        let disk = image.join("disk.raw");
        let Some(found) = partitions(&disk) else {
            return;
        };
        let place = place("esp", arch);
        let esp = place.join("esp.img");
        fs::write(&esp, part(&disk, found[0].0, found[0].1 as usize)).unwrap();
        let Some(told) = tool(host_program("fsck.fat").arg("-n").arg(&esp)) else {
            return;
        };
        told.good();
        let removable = format!("EFI/BOOT/BOOT{efi}.EFI");
        let file = |path: &str| {
            let to = place.join("file");
            let mut copy = host_program("mcopy");
            copy.args(["-n", "-o", "-i"])
                .arg(&esp)
                .arg(format!("::/{path}"));
            Ran::of(copy.arg(&to)).good();
            fs::read(to).unwrap()
        };
        assert!(file(&removable).starts_with(b"MZ"));
        let loader = String::from_utf8(file("loader/loader.conf")).unwrap();
        assert_eq!(loader, "timeout 0\neditor no\n");
        let uki = fs::read(image.join("uki.efi")).unwrap();
        let root = images.root(arch);
        let version = image_version(&root);
        // The recipe's, and the build number.
        assert!(version.starts_with("13.0-2"), "{version}");
        let name = format!("EFI/Linux/container-host_{version}+3.efi");
        assert_eq!(sha256(&file(&name)), sha256(&uki));

        let sections = sections(&uki);
        let text = |name: &str| String::from_utf8(sections[name].to_vec()).unwrap();
        let words = text(".cmdline");
        let hash = format!("roothash={} ", root_hash(&image));
        assert!(words.starts_with(&hash), "{words}");
        let release = root.join("usr/lib/os-release");
        assert_eq!(text(".osrel"), fs::read_to_string(release).unwrap());
        let said = format!("\nIMAGE_ID=container-host\nIMAGE_VERSION={version}\n");
        assert!(text(".osrel").contains(&said), "{}", text(".osrel"));
        let modules = root.join("usr/lib/modules").join(text(".uname"));
        assert!(modules.join("config").is_file(), "{}", modules.display());
        assert!(sections[".linux"].len() as u64 > MIB);
        assert!(!root.join("usr/lib/systemd/boot").exists());
        assert_eq!(fs::read_dir(root.join("boot")).unwrap().count(), 0);
    }
}

#[test]
fn every_form_of_the_disk_is_the_same_disk() {
    let Some(images) = images() else { return };
    let Some(binary) = real::firstboot(HOST) else {
        return;
    };
    let out = real::directory("disk").join("forms");
    let mut build = nodeimg();
    build.args(["build", "--quiet", "--offline", "--force", "--arch", HOST]);
    build.args(["--output", "disk-qcow2", "--output", "disk-zst"]);
    build
        .arg("--recipe")
        .arg(recipe())
        .arg("--store")
        .arg(store());
    build
        .arg("--firstboot")
        .arg(format!("{HOST}={}", binary.display()));
    Ran::of(build.arg("--out").arg(&out)).good();
    let raw = images.image(HOST).join("disk.raw");
    let made = out.join(raw.parent().unwrap().file_name().unwrap());
    assert!(!made.join("disk.raw").exists());
    let mut decoder = zstd::Decoder::new(File::open(made.join("disk.raw.zst")).unwrap()).unwrap();
    let mut whole = Vec::new();
    std::io::Read::read_to_end(&mut decoder, &mut whole).unwrap();
    assert_eq!(sha256(&whole), sha256(&fs::read(&raw).unwrap()));
    let mut compare = host_program("qemu-img");
    compare
        .args(["compare", "-f", "raw", "-F", "qcow2"])
        .arg(&raw);
    if let Some(told) = tool(compare.arg(made.join("disk.qcow2"))) {
        told.good();
    }
}

#[test]
fn what_the_recipe_gives_too_little_room_is_told() {
    // Its kernel is not compressed, and with systemd's initrd too large for a
    // small partition.
    const ARCH: &str = "arm64";
    if images().is_none() {
        return;
    }
    let Some(binary) = real::firstboot(ARCH) else {
        return;
    };
    let place = place("small", ARCH);
    let file = place.join("r.toml");
    fs::copy(recipe().with_extension("lock"), file.with_extension("lock")).unwrap();
    let from = fs::canonicalize(recipe()).unwrap();
    for (key, size, wants) in [
        ("size", "300 MiB", "but this image needs"),
        ("size", "1000000001 B", "whole number of sectors"),
        ("esp_size", "34 MiB", "but the kernel and boot loader need"),
    ] {
        let text = format!(
            "extends = \"{}\"\n[disk]\ninitrd = \"systemd\"\n{key} = \"{size}\"\n",
            from.display()
        );
        fs::write(&file, text).unwrap();
        let mut build = nodeimg();
        build.args(["build", "--quiet", "--offline", "--arch", ARCH]);
        build.arg("--recipe").arg(&file).arg("--store").arg(store());
        build
            .arg("--firstboot")
            .arg(format!("{ARCH}={}", binary.display()));
        build.arg("--out").arg(place.join("out"));
        Ran::of(&mut build).refused(1, &[&format!("disk.{key}"), wants]);
        let left = fs::read_dir(place.join("out")).unwrap().count();
        assert_eq!(left, 0, "{key}: something was left behind");
    }
}

#[test]
fn a_disk_for_a_large_machine_ends_with_its_content() {
    const SIZE: u64 = 4 << 40;
    if images().is_none() {
        return;
    }
    let Some(binary) = real::firstboot(HOST) else {
        return;
    };
    let place = place("large", HOST);
    let file = place.join("r.toml");
    fs::copy(recipe().with_extension("lock"), file.with_extension("lock")).unwrap();
    let from = fs::canonicalize(recipe()).unwrap();
    let text = format!(
        "extends = \"{}\"\n[disk]\nsize = \"4 TiB\"\n",
        from.display()
    );
    fs::write(&file, text).unwrap();
    let mut build = nodeimg();
    build.args(["build", "--quiet", "--offline", "--arch", HOST]);
    build.args(["--output", "disk", "--output", "disk-qcow2"]);
    build.arg("--recipe").arg(&file).arg("--store").arg(store());
    build
        .arg("--firstboot")
        .arg(format!("{HOST}={}", binary.display()));
    let out = place.join("out");
    Ran::of(build.arg("--out").arg(&out)).good();
    let image = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let raw = image.join("disk.raw");
    let size = fs::metadata(&raw).unwrap().len();
    assert!(size < 1 << 30, "{size}");
    let text = fs::read_to_string(image.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["disk"]["size"], size);
    assert_eq!(manifest["disk"]["machine_size"], SIZE);
    if let Some(found) = partitions(&raw) {
        assert_eq!(found.len(), 3);
        tool(host_program("sfdisk").arg("--verify").arg(&raw))
            .unwrap()
            .good();
        // On a machine's disk it reads the same; the first boot moves the second table.
        let grown = File::options().write(true).open(&raw).unwrap();
        grown.set_len(64 << 30).unwrap();
        assert_eq!(partitions(&raw).unwrap(), found);
    }
    let mut info = host_program("qemu-img");
    info.args(["info", "--output", "json"])
        .arg(image.join("disk.qcow2"));
    if let Some(told) = tool(&mut info) {
        let told: Value = serde_json::from_str(&told.good().out).unwrap();
        assert_eq!(told["virtual-size"], SIZE);
    }
    assert!(fs::metadata(image.join("disk.qcow2")).unwrap().len() < 1 << 30);
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn the_manifest_tells_what_can_be_written_to() {
    let Some(images) = images() else { return };
    let text = fs::read_to_string(images.image(HOST).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let mounts = manifest["image"]["mounts"].as_array().unwrap();
    let line = |mount: &Value| {
        let text = |key: &str| mount[key].as_str().unwrap().to_owned();
        format!("{} {}", text("path"), text("backing"))
    };
    let want = [
        "/etc overlay",
        "/opt/cni/bin overlay",
        "/run memory",
        "/tmp memory",
        "/var state",
    ];
    assert_eq!(mounts.iter().map(line).collect::<Vec<_>>(), want);
}

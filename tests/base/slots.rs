//! Slots of a node, by those who will make and fill them: the image's own systemd-repart and
//! systemd-sysupdate's rules for labels.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::disk::{MIB, image_version, place};
use super::initrd::initrd;
use super::{HOST, images};
use nodeimg_test_support::disk::Disk;
use nodeimg_test_support::run::{Ran, host_program, tool};

/// `(label, start, size)` of every partition, in bytes.
fn partitions(disk: &Path) -> Option<Vec<(String, u64, u64)>> {
    let told = tool(host_program("sfdisk").arg("--json").arg(disk))?.good();
    let table: Value = serde_json::from_str(&told.out).unwrap();
    let found = table["partitiontable"]["partitions"].as_array().unwrap();
    let bytes = |part: &Value, key: &str| part[key].as_u64().unwrap() * 512;
    let name = |part: &Value| part["name"].as_str().unwrap_or_default().to_owned();
    let of = |part: &Value| (name(part), bytes(part, "start"), bytes(part, "size"));
    Some(found.iter().map(of).collect())
}

/// The image's systemd-repart, run by the image's loader.
fn repart(root: &Path, definitions: &Path, disk: &Path) -> Ran {
    let (loader, libraries) = match HOST {
        "amd64" => ("lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
        _ => ("lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
    };
    let libraries = root.join(libraries);
    let systemd = libraries.join("systemd");
    let mut command = Command::new(root.join(loader));
    command
        .arg("--library-path")
        .arg(format!("{}:{}", systemd.display(), libraries.display()))
        .arg(root.join("usr/bin/systemd-repart"))
        .args(["--dry-run=no", "--pretty=no"])
        .arg(format!("--definitions={}", definitions.display()))
        .arg(disk);
    Ran::of(&mut command)
}

/// The initrd's definitions, with slots so many bytes larger, and without a file system in the
/// state: only the partitions are of interest.
fn definitions(from: &Path, to: &Path, more: u64) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let is_slot = |line: &str| line.starts_with("SizeM") && more > 0;
        let text = fs::read_to_string(entry.path()).unwrap();
        let of_slot = text.contains("SizeMaxBytes=");
        let lines = text.lines().filter(|line| !line.starts_with("Format="));
        let lines = lines.map(|line| match line.split_once('=') {
            Some((key, size)) if of_slot && is_slot(line) => {
                format!("{key}={}", size.parse::<u64>().unwrap() + more)
            }
            _ => line.to_owned(),
        });
        let lines: Vec<String> = lines.collect();
        fs::write(to.join(entry.file_name()), lines.join("\n") + "\n").unwrap();
    }
}

/// An update that wants larger slots than the node has must boot, and change nothing of them;
/// the state still grows with the disk.
#[test]
fn a_node_keeps_its_slots_whatever_the_next_image_wants() {
    let Some(images) = images() else { return };
    let place = place("slots", HOST);
    let (image, root) = (images.image(HOST), images.root(HOST));
    let Some(inside) = initrd(&image.join("uki.efi"), &place) else {
        return;
    };
    let ours = inside.join("usr/lib/repart.d");
    let [first, later] = ["first", "later"].map(|name| place.join(name));
    definitions(&ours, &first, 0);
    definitions(&ours, &later, 256 * MIB);
    let disk = place.join("disk.raw");
    let node = Disk::copy(&image.join("disk.raw"), &disk);
    node.file.set_len(8192 * MIB).unwrap();
    repart(&root, &first, &disk).good();
    let Some(made) = partitions(&disk) else {
        return;
    };
    let version = image_version(&root);
    let label = format!("container-host_{version}");
    let labels: Vec<&str> = made.iter().map(|part| part.0.as_str()).collect();
    assert_eq!(labels, ["esp", &label, &label, "_empty", "_empty", "state"]);
    assert_eq!((made[1].2, made[2].2), (made[3].2, made[4].2));
    node.file.set_len(9216 * MIB).unwrap();
    repart(&root, &later, &disk).good();
    let now = partitions(&disk).unwrap();
    assert_eq!(now[..5], made[..5]);
    assert!(now[5].2 > made[5].2 + 1000 * MIB, "{now:?}");
    // On a disk that is too small for everything there is no slot B, but a state.
    let small = place.join("small.raw");
    let node = Disk::copy(&image.join("disk.raw"), &small);
    node.file.set_len(1536 * MIB).unwrap();
    repart(&root, &first, &small).good();
    let labels: Vec<String> = partitions(&small)
        .unwrap()
        .into_iter()
        .map(|part| part.0)
        .collect();
    assert_eq!(labels, ["esp", &label, &label, "state"]);
    fs::remove_dir_all(&place).unwrap();
}

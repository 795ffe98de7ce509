//! `nodeimg flash` onto a loop device, which needs root, and what it says.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nodeimg_formats::fat;
use nodeimg_formats::gpt::{self, Extent, Partition};
use nodeimg_formats::guid::Guid;
use nodeimg_test_support::loop_device::LoopDevice;
use nodeimg_test_support::media::Seed;
use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;

use super::events;

const MIB: u64 = 1 << 20;
const ESP_SIZE: u64 = 40 * MIB;

/// An output directory with a disk of amd64 that has an empty ESP.
fn output(directory: &Path) -> PathBuf {
    let path = directory.join("disk.raw");
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    let esp = Extent::first(ESP_SIZE);
    let root = esp.then(2 * MIB);
    let kinds = [
        0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b,
        0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709,
    ];
    let partition = |kind, name, place| Partition {
        kind: Guid::known(kind),
        unique: Guid::derived(&[name]),
        name,
        flags: 0,
        place,
    };
    let partitions = [
        partition(kinds[0], "esp", esp),
        partition(kinds[1], "node_1", root),
    ];
    let size = gpt::disk_size(root);
    gpt::write(&file, size, Guid::derived(&["disk"]), &partitions).unwrap();
    let loader = b"default x\n".to_vec();
    let files = [fat::File {
        path: "loader/loader.conf".to_owned(),
        content: &loader,
    }];
    let options = fat::Options {
        size: ESP_SIZE,
        label: "ESP",
        volume_id: 7,
        epoch: Epoch(1_700_000_000),
    };
    let mut volume = tempfile::tempfile().unwrap();
    fat::write(&files, &options, &mut volume).unwrap();
    volume.set_len(ESP_SIZE).unwrap();
    let mut bytes = vec![0; ESP_SIZE as usize];
    volume.read_exact_at(&mut bytes, 0).unwrap();
    file.write_all_at(&bytes, esp.start).unwrap();
    let digest = Digest::sha256(&fs::read(&path).unwrap());
    let manifest = format!(
        r#"{{"image": {{"arch": "amd64", "name": "container-host"}},
            "outputs": [{{"file": "disk.raw", "size": {size}, "sha256": "{digest}"}}]}}"#
    );
    fs::write(directory.join("manifest.json"), manifest).unwrap();
    path
}

fn device(directory: &Path, name: &str) -> Option<LoopDevice> {
    LoopDevice::new(&directory.join(name), 64 * MIB)
}

fn flash(words: &[&str]) -> Command {
    let mut flash = nodeimg();
    flash.arg("flash").args(words);
    flash
}

#[test]
fn a_directory_is_flashed_with_its_seed() {
    let directory = tempfile::tempdir().unwrap();
    let image = output(directory.path());
    let Some(device) = device(directory.path(), "device") else {
        return;
    };
    let seed = Seed::no_cloud("i-1", "#cloud-config\nhostname: flashed\n");
    let seed = seed.write(&directory.path().join("seed"));
    let words = [
        "--json",
        directory.path().to_str().unwrap(),
        device.name(),
        "--seed",
        seed.to_str().unwrap(),
    ];
    let ran = Ran::of(&mut flash(&[&words[..], &["--dry-run"]].concat())).good();
    let told = events(&ran.out);
    let end = told
        .iter()
        .find(|event| event["event"] == "flashed")
        .unwrap();
    assert_eq!(
        (&end["dry_run"], &end["checked_by"]),
        (&true.into(), &"manifest.json".into())
    );
    let file = directory.path().join("device");
    assert!(fs::read(&file).unwrap().iter().all(|byte| *byte == 0));

    let ran = Ran::of(&mut flash(&words)).good();
    let told = events(&ran.out);
    let plan = told.iter().find(|event| event["event"] == "flash").unwrap();
    assert_eq!(plan["arch"], "amd64");
    assert_eq!(plan["node"], "flashed");
    assert_eq!(plan["device"]["path"], device.name());
    assert!(
        told.iter()
            .any(|event| event["event"] == "write" && event["state"] == "finished")
    );
    let volume = fat::read(&File::open(&file).unwrap(), MIB, ESP_SIZE).unwrap();
    assert_eq!(
        volume.files["cidata/user-data"],
        b"#cloud-config\nhostname: flashed\n"
    );

    // Once more only if the device is named twice.
    let raw = image.to_str().unwrap();
    Ran::of(&mut flash(&[raw, device.name()]))
        .refused(1, &["it is not empty", "vfat `ESP`", "--wipe"]);
    let ran = Ran::of(&mut flash(&[raw, device.name(), "--wipe", device.name()])).good();
    assert!(
        ran.err.contains("erases") && ran.err.contains("written and read back"),
        "{}",
        ran.err
    );
    let list = Ran::of(&mut flash(&["--list"])).good();
    assert!(
        list.out.contains(device.name()) && list.out.starts_with("DEVICE"),
        "{}",
        list.out
    );
    let list = Ran::of(&mut flash(&["--list", "--json"])).good();
    assert_eq!(events(&list.out)[0]["event"], "devices");
}

#[test]
fn standard_input_is_flashed_by_its_digest() {
    let directory = tempfile::tempdir().unwrap();
    let image = output(directory.path());
    let digest = Digest::sha256(&fs::read(&image).unwrap());
    let wrong = "0".repeat(64);
    for (name, sha256, code) in [
        ("one", digest.hex(), 0),
        ("two", wrong.as_str(), 1),
        ("three", "", 0),
    ] {
        let Some(device) = device(directory.path(), name) else {
            return;
        };
        let mut command = flash(&["-", device.name()]);
        if !sha256.is_empty() {
            command.args(["--sha256", sha256]);
        }
        let output = command
            .stdin(Stdio::from(File::open(&image).unwrap()))
            .output()
            .unwrap();
        let ran = Ran::from(output, name.to_owned());
        match code {
            0 => {
                let ran = ran.good();
                let warned = ran.err.contains("nothing says what standard input must be");
                assert_eq!(warned, sha256.is_empty(), "{}", ran.err);
            }
            _ => drop(ran.refused(
                1,
                &[
                    "is not the image that --sha256 names",
                    "holds a part of the image and does not boot",
                ],
            )),
        }
    }
}

#[test]
fn what_can_be_told_beforehand_is_told_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let image = output(directory.path());
    let raw = image.to_str().unwrap();
    for (words, wants) in [
        (&[raw, raw][..], &["is a regular file", "--list"][..]),
        (&[raw, "/dev/null"], &["is a character device"]),
        (&[raw, "/dev/sdzz9"], &["looking for the device"]),
        (
            &["/no-such-image", "/dev/null"],
            &["looking for the image /no-such-image"],
        ),
        (&["/proc", "/dev/null"], &["has no manifest.json"]),
    ] {
        Ran::of(&mut flash(words)).refused(1, wants);
    }
    fs::write(
        directory.path().join("SHA256SUMS"),
        format!("{}  disk.raw\n", "1".repeat(64)),
    )
    .unwrap();
    Ran::of(&mut flash(&[raw, "/dev/null"])).refused(1, &["name different digests"]);
    fs::remove_file(directory.path().join("SHA256SUMS")).unwrap();
    for words in [
        &[][..],
        &[raw],
        &[raw, "/dev/null", "--sha256", "12"],
        &["--list", raw],
    ] {
        assert_eq!(Ran::of(&mut flash(words)).code, Some(2), "{words:?}");
    }
    let Some(device) = device(directory.path(), "device") else {
        return;
    };
    // A seed that no node would take.
    let seed = Seed::no_cloud("i-1", "#cloud-config\nhostname: [no]\n");
    let seed = seed.write(&directory.path().join("seed"));
    let words = [raw, device.name(), "--seed", seed.to_str().unwrap()];
    let ran = Ran::of(&mut flash(&words));
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err
            .contains("this seed does not work with an image of recipe"),
        "{}",
        ran.err
    );
    let packed = directory.path().join("disk.raw.gz");
    fs::write(&packed, [0x1f, 0x8b, 8, 0]).unwrap();
    Ran::of(&mut flash(&[packed.to_str().unwrap(), device.name()])).refused(1, &["gzip -dc"]);
    let file = directory.path().join("device");
    assert!(fs::read(file).unwrap().iter().all(|byte| *byte == 0));
}

//! A disk that `nodeimg flash` has written to a device larger than the image, with the node's seed
//! on it: it boots, and first boot finds the seed on the disk's own EFI system partition.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{directory, image, seed};
use nodeimg_test_support::guest::Guest;
use nodeimg_test_support::judge;
use nodeimg_test_support::run::{Ran, host_program, nodeimg};

/// Of the device, in bytes: no multiple of the image's sizes.
const SIZE: u64 = (9 << 30) + 5 * 512;

/// A loop device, gone with this.
struct Device(PathBuf);

impl Device {
    fn over(file: &Path) -> Device {
        let mut losetup = host_program("losetup");
        let ran = Ran::of(losetup.args(["--find", "--show"]).arg(file)).good();
        Device(PathBuf::from(ran.out.trim()))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .arg("--detach")
            .arg(&self.0)
            .env("PATH", judge::path())
            .status();
    }
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_flashed_disk_boots_with_its_seed() {
    if !judge::is_root() {
        judge::say("SKIPPED: flashing a loop device needs root");
        return;
    }
    let Some(image) = image("amd64") else { return };
    let directory = directory("flash");
    let file = directory.join("device.img");
    File::create(&file).unwrap().set_len(SIZE).unwrap();
    let seed = seed(&directory, "flashed");
    {
        let device = Device::over(&file);
        let flash = || {
            let mut flash = nodeimg();
            flash.arg("flash").arg(&image).arg(&device.0);
            flash
        };
        let ran = Ran::of(flash().arg("--seed").arg(&seed)).good();
        assert!(ran.err.contains("written and read back"), "{}", ran.err);
        Ran::of(&mut flash()).refused(1, &["it is not empty", "esp", "--wipe"]);
        let mut verify = host_program("sfdisk");
        let ran = Ran::of(verify.arg("--verify").arg(&device.0)).good();
        assert!(ran.out.contains("No errors detected"), "{}", ran.out);
    }
    let guest = Guest::new("flash", &file)
        .with(&["--arch", "amd64"])
        .script("fact name cat /proc/sys/kernel/hostname\n");
    let Some(facts) = guest.facts() else { return };
    facts.expect("name", "flashed");
    facts.expect("state", "running");
    facts.expect_parts(
        "first-boot",
        &[
            r#""outcome": "applied""#,
            r#""instance_id": "i-flashed""#,
            "/cidata (boot partition)",
        ],
    );
    fs::remove_dir_all(directory).unwrap();
}

//! A disk that `nodeimg flash` has written to a device larger than the image, with the node's seed
//! on it: it boots, and first boot finds the seed on the disk's own EFI system partition.

use std::fs;

use super::{directory, image, seed};
use nodeimg_test_support::guest::Guest;
use nodeimg_test_support::loop_device::LoopDevice;
use nodeimg_test_support::run::{Ran, host_program, nodeimg};

/// Of the device, in bytes: no multiple of the image's sizes.
const SIZE: u64 = (9 << 30) + 5 * 512;

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_flashed_disk_boots_with_its_seed() {
    let directory = directory("flash");
    let file = directory.join("device.img");
    let Some(device) = LoopDevice::new(&file, SIZE) else {
        return;
    };
    let Some(image) = image("amd64") else { return };
    let seed = seed(&directory, "flashed");
    let flash = || {
        let mut flash = nodeimg();
        flash.arg("flash").arg(&image).arg(device.path());
        flash
    };
    let ran = Ran::of(flash().arg("--seed").arg(&seed)).good();
    assert!(ran.err.contains("written and read back"), "{}", ran.err);
    Ran::of(&mut flash()).refused(1, &["it is not empty", "esp", "--wipe"]);
    let mut verify = host_program("sfdisk");
    let ran = Ran::of(verify.arg("--verify").arg(device.path())).good();
    assert!(ran.out.contains("No errors detected"), "{}", ran.out);
    drop(device);
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

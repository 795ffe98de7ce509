//! The image's own first-boot binary makes a host of it.

use std::fs;
use std::process::Command;

use super::{HOST, images};
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, clean};
use tempfile::TempDir;

#[test]
fn a_seed_gives_the_host_its_name() {
    let Some(images) = images() else { return };
    // On the same file system: its files are links to those of the image,
    // which first boot never writes into.
    let directory = TempDir::new_in(real::directory("")).unwrap();
    let root = directory.path().join("root");
    let mut copy = clean(Command::new("cp"));
    Ran::of(copy.arg("-al").arg(images.root(HOST)).arg(&root)).good();
    assert!(!root.join("etc/hostname").exists());
    let seed = directory.path().join("seed");
    fs::create_dir(&seed).unwrap();
    let boot = |name: &str| {
        let user_data = format!("#cloud-config\nhostname: {name}\n");
        fs::write(seed.join("user-data"), user_data).unwrap();
        fs::write(seed.join("meta-data"), "instance-id: iid-0\n").unwrap();
        let mut command = clean(Command::new(root.join("usr/bin/nodeimg-firstboot")));
        command.arg("--root").arg(&root).arg("--seed").arg(&seed);
        Ran::of(command.args(["--assume-address", "192.168.10.101/24"]))
    };
    let ran = boot("not_a_name!");
    assert!(
        ran.code == Some(1) && ran.err.contains("not_a_name!"),
        "{}",
        ran.err
    );
    assert!(!root.join("etc/hostname").exists());
    boot("host-0").good();
    assert_eq!(
        fs::read_to_string(root.join("etc/hostname")).unwrap(),
        "host-0\n"
    );
    let text = fs::read_to_string(root.join("run/nodeimg/result.json")).unwrap();
    let result: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["outcome"], "applied", "{result}");
    assert_eq!(result["host_name"], "host-0", "{result}");
}

//! One image with every package whose scripts nodeimg knows (tests/known_packages/every.toml):
//! all of its units run or wait for hardware, so that systemd says `running`, and its programs
//! work.
//!
//! Only with `NODEIMG_TEST_FULL`.

use std::fs;
use std::path::PathBuf;

use super::{Images, build_container_host, directory, seed};
use nodeimg_test_support::debian::{every_known_package, locked};
use nodeimg_test_support::guest::Guest;
use nodeimg_test_support::{judge, real};

/// A daemon, or what it does at boot, of each package that has one.
const UNITS: [&str; 8] = [
    "auditd",
    "chrony",
    "iscsid.socket",
    "lvm2-monitor",
    "multipathd",
    "nfs-client.target",
    "qemu-guest-agent",
    "rpcbind.socket",
];
/// Daemons of other hypervisors than QEMU, whose units wait for them.
const ELSEWHERE: [&str; 4] = ["hv-kvp-daemon", "hv-vss-daemon", "open-vm-tools", "vgauth"];
const SCRIPT: &str = include_str!("every.sh");
/// A port for the agent of QEMU's guests, without which its unit waits.
const AGENT: [&str; 6] = [
    "-chardev",
    "null,id=agent",
    "-device",
    "virtio-serial-pci,id=agents",
    "-device",
    "virtserialport,bus=agents.0,chardev=agent,name=org.qemu.guest_agent.0",
];

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn every_known_package_runs_on_amd64() {
    every_known_package_runs("amd64");
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn every_known_package_runs_on_arm64() {
    every_known_package_runs("arm64");
}

fn every_known_package_runs(arch: &str) {
    if !judge::is_full("a node with every package that is known") {
        return;
    }
    let Some(image) = image(arch) else { return };
    let directory = directory(&format!("every-{arch}"));
    let names = [&UNITS[..], &ELSEWHERE[..]].concat().join(" ");
    let names = format!("UNITS='{names}'\n");
    let guest = Guest::new(&format!("every-{arch}"), &image).seed(&seed(&directory, "every"));
    let guest = guest.qemu(&AGENT).script(&names).script(SCRIPT);
    let Some(facts) = guest.facts() else { return };
    facts.expect("failed", "");
    facts.expect("state", "running");
    for unit in UNITS {
        facts.expect(&format!("is-{unit}"), "active");
    }
    for unit in ELSEWHERE {
        facts.expect(&format!("is-{unit}"), "inactive");
        facts.expect(&format!("has-{unit}"), "loaded");
    }
    facts.expect("programs", "");
    // Its own, from the node's first boot.
    facts.expect_parts("initiator", &["InitiatorName=iqn."]);
    facts.expect_parts("host-nqn", &["nqn.2014-08.org.nvmexpress:uuid:"]);
    fs::remove_dir_all(directory).unwrap();
}

fn image(arch: &str) -> Option<PathBuf> {
    let images = Images::build(&format!("boot-every-{arch}"), |directory| {
        let recipe = every_known_package(&directory.join("recipe"));
        locked(&recipe).then_some(())?;
        build_container_host(directory, &recipe, &[arch])
    })?;
    Some(real::output_for(&images.directory, arch))
}

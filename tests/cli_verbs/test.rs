//! `nodeimg test` with the stand-in for QEMU of `run`, which plays a node.

use std::fs;
use std::path::PathBuf;

use super::events;
use super::run::World;
use nodeimg_test_support::run::{Ran, listing, nodeimg};

/// `nodeimg test` of a node that says these facts beside the healthy ones.
fn tested(world: &World, facts: &str, arguments: &[&str]) -> Ran {
    let healthy = [
        "state=running",
        "failed=",
        "root=/dev/mapper/root squashfs ro,relatime",
        "verity=CRYPT-VERITY-0123-root",
        "host-name=nodeimg-test",
        "machine-id=0123",
        "address=ens3 UP 10.0.2.15/24",
        "first-boot={\"outcome\": \"applied\"}",
        "runtime=active",
    ];
    let facts = format!("{}\n{facts}", healthy.join("\n"));
    fs::write(world.path("bin/facts"), facts).unwrap();
    // The same but for the verb.
    let run = world.run(&[]);
    let mut command = nodeimg();
    for (name, value) in run.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.arg("test").args(run.get_args().skip(1));
    Ran::of(command.args(arguments))
}

#[test]
fn a_good_node_passes_its_test() {
    let world = World::new("node");
    let ran = tested(&world, "end=true\n", &["--case", "boot"]).good();
    let words: Vec<&str> = ran.out.split_whitespace().collect();
    assert_eq!(words[..2], ["boot", "passed"], "{}", ran.out);
    assert!(ran.out.contains("nodeimg-test is up"), "{}", ran.out);
    assert_eq!(
        listing(&world.path("tmp")),
        [""; 0],
        "no logs of cases that passed"
    );
    let arguments = world.arguments();
    for part in [
        "virtio-blk-pci,drive=seed",
        "systemd.default_timeout_start_sec",
    ] {
        assert!(arguments.contains(part), "{part}: {arguments}");
    }
    // Without a kubelet there is nothing to start: the outcome is what counts.
    let failed = "first-boot={\"outcome\": \"failed\"}\nend=true\n";
    let ran = tested(&world, failed, &["--case", "no-seed", "--json"]).good();
    let event = events(&ran.out).pop().unwrap();
    assert_eq!(
        (&event["event"], &event["result"]),
        (&"case".into(), &"passed".into())
    );
    assert!(!world.arguments().contains("drive=seed"));
}

#[test]
fn what_is_not_as_it_should_be_fails_its_case() {
    let world = World::new("node");
    for (facts, says) in [
        (
            "end=true\nstate=degraded\n",
            "the state of systemd is `degraded`",
        ),
        (
            "end=true\nfailed=a.service\n",
            "failed units is `a.service`",
        ),
        (
            "end=true\nroot=/dev/vda2 ext4 rw\n",
            "is not in the root: /dev/vda2",
        ),
        ("end=true\nverity=\n", "CRYPT-VERITY-"),
        (
            "end=true\naddress=ens3 DOWN\n",
            "`10.0.2.15` is not in the addresses",
        ),
        (
            "end=true\nfirst-boot={}\n",
            "the outcome of first boot is ``",
        ),
        ("", "did not report all of its facts"),
    ] {
        let ran = tested(&world, facts, &["--case", "boot"]);
        assert!(ran.out.contains(says), "{says}: {}", ran.out);
        let ran = ran.refused(1, &["boot failed; consoles and facts are in "]);
        let logs = ran.err.rsplit("are in ").next().unwrap().trim();
        assert!(PathBuf::from(logs).join("boot.console").is_file(), "{logs}");
        fs::remove_dir_all(logs).unwrap();
    }
    let logs = world.path("logs");
    let logs = logs.to_str().unwrap();
    // The report of the second boot is that of a first one.
    let ran = tested(&world, "end=true\n", &["--case", "reboot", "--logs", logs]);
    assert!(
        ran.out.contains("is `applied`, not `unchanged`"),
        "{}",
        ran.out
    );
    assert_eq!(ran.code, Some(1));
    let names = listing(&world.path("logs"));
    assert_eq!(
        names,
        [
            "boot.console",
            "boot.facts",
            "reboot.console",
            "reboot.facts"
        ]
    );
    let ran = tested(&world, "end=true\n", &["--case", "tampered-root"]);
    ran.refused(1, &["case tampered-root: looking for the root in"]);
    let ran = tested(&world, "", &["--case", "flood"]);
    ran.refused(1, &["--case flood", "power-cut"]);
}

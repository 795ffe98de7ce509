//! What a person does with the one program on a machine that has nothing else, from the first
//! command to a disk that boots. The transcript is kept in the build directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::debian::{mirror, with_network};
use nodeimg_test_support::guest::Guest;
use nodeimg_test_support::loop_device::LoopDevice;
use nodeimg_test_support::media::Seed;
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, host_program};
use serde_json::Value;
use tempfile::TempDir;

use super::packages::{VERSION, file, own};

/// Of the device, in bytes: larger than the image, and no multiple of its sizes.
const SIZE: u64 = (9 << 30) + 3 * 512;

/// The kernel's own file systems, which every machine has.
const MOUNT: &str = r#"for name in dev proc sys; do mount --rbind "/$name" "$0/$name"; done
exec chroot "$0" "$@""#;

/// A root with the program, the address of a name server, and what was typed and said in it.
struct Fresh {
    root: TempDir,
    transcript: String,
}

impl Fresh {
    fn new() -> Fresh {
        let root = TempDir::new().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::copy(
            file(&format!("nodeimg-{VERSION}-linux-{}", own().0)),
            at("nodeimg"),
        )
        .unwrap();
        for name in ["dev", "etc", "proc", "sys"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::copy("/etc/resolv.conf", at("etc/resolv.conf")).unwrap();
        Fresh {
            root,
            transcript: String::new(),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = host_program("unshare");
        with_network(&mut command);
        // There is no /tmp either.
        command.env("HOME", "/root").env_remove("TMPDIR");
        command.args(["--mount", "sh", "-c", MOUNT]);
        command.arg(self.root.path()).arg("/nodeimg").args(words);
        command
    }

    fn run(&mut self, words: &[&str]) -> Ran {
        let ran = Ran::of(&mut self.command(words));
        let said = format!("# nodeimg {}\n{}{}", words.join(" "), ran.err, ran.out);
        self.transcript.push_str(&said);
        let kept = real::directory("first-use").join("transcript.txt");
        fs::write(kept, &self.transcript).unwrap();
        ran
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.root.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

/// The checks of `doctor` that a build from Debian alone needs.
fn can_build(said: &str) {
    let event: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    for name in ["build", "store", "debian"] {
        let checks = event["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["ok"], true, "{check}");
    }
}

/// The one directory that was built, as the program names it.
fn built(root: &Path) -> String {
    let mut names = fs::read_dir(root.join("out")).unwrap();
    let name = names.next().unwrap().unwrap().file_name();
    assert!(names.next().is_none());
    format!("out/{}", name.to_str().unwrap())
}

#[test]
#[ignore = "needs what ci/release makes, root and a mirror of Debian; boots for minutes"]
fn from_one_file_to_a_disk_that_boots() {
    let work = real::directory("first-use");
    let disk = work.join("device.img");
    let Some(device) = LoopDevice::new(&disk, SIZE) else {
        return;
    };
    let mut fresh = Fresh::new();
    let mirror = mirror();
    let mirrors = ["--debian-mirror", &mirror];
    let words = ["init", "my-node", "--profile", "container-host"];
    fresh.run(&words).good();
    let said = fresh.run(&[&["--json", "doctor"][..], &mirrors].concat());
    can_build(&said.out);
    // A mirror keeps only the newest packages, and a release's lock is older.
    let lock = ["lock", "my-node", "--update", "base"];
    fresh.run(&[&lock[..], &mirrors].concat()).good();
    let ran = fresh.run(&[&["build", "my-node"][..], &mirrors].concat());
    let ran = ran.good();
    assert!(ran.err.lines().count() <= 20, "{}", ran.err);
    let image = built(fresh.root.path());
    let seed = Seed::no_cloud("i-first", "#cloud-config\nhostname: first-use\n");
    seed.write(&fresh.root.path().join("seed"));
    let flash = ["flash", &image, device.name(), "--seed", "seed"];
    let recipe = ["--recipe", "my-node/my-node.toml"];
    let ran = fresh.run(&[&flash[..], &recipe].concat()).good();
    assert!(ran.err.contains("written and read back"), "{}", ran.err);
    drop(device);
    let there = [
        "dev", "etc", "my-node", "nodeimg", "out", "proc", "root", "seed", "sys",
    ];
    assert_eq!(fresh.names(), there.map(str::to_owned).into());

    let guest = Guest::new("first-use", &disk)
        .with(&["--arch", own().0])
        .script("fact name cat /proc/sys/kernel/hostname\n");
    let Some(facts) = guest.facts() else { return };
    facts.expect("name", "first-use");
    facts.expect("state", "running");
    fs::remove_file(disk).unwrap();
}

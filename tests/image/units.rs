//! The units, by systemd's own checker.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{ARCHS, Copy, images};
use nodeimg_test_support::judge;
use nodeimg_test_support::run::{Ran, clean, tool};

const UNITS: [&str; 4] = [
    "nodeimg-firstboot.service",
    "containerd.service",
    "kubelet.service",
    "kube-proxy.service",
];

/// This machine's own units stand for those of the base system.
fn with_base_units(copy: &Copy) -> bool {
    let Some(base) = ["/usr/lib/systemd/system", "/lib/systemd/system"]
        .into_iter()
        .find(|path| Path::new(path).join("sysinit.target").exists())
    else {
        judge::missing("systemd's own units");
        return false;
    };
    let to = copy.path("/usr/lib/systemd/system");
    fs::create_dir_all(&to).unwrap();
    Ran::of(
        clean(Command::new("cp"))
            .arg("-a")
            .arg(format!("{base}/."))
            .arg(to),
    )
    .good();
    true
}

fn verify(copy: &Copy) -> Option<Ran> {
    let mut command = clean(Command::new("systemd-analyze"));
    command
        .arg("verify")
        .arg(format!("--root={}", copy.root().display()));
    command
        .args(["--man=no", "--recursive-errors=no"])
        .args(UNITS);
    tool(&mut command)
}

#[test]
fn systemd_finds_nothing_wrong_with_them() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let copy = Copy::of(&images.root(arch));
        if !with_base_units(&copy) {
            return;
        }
        let Some(ran) = verify(&copy) else { return };
        let ran = ran.good();
        let ours: Vec<_> = ran
            .err
            .lines()
            .filter(|line| UNITS.iter().any(|unit| line.contains(unit)))
            .collect();
        assert!(ours.is_empty(), "{arch}: {ours:?}");
    }
}

/// The checker would see a wrong one.
#[test]
fn systemd_would_find_what_is_wrong() {
    let Some(images) = images() else { return };
    for (from, to, says) in [
        (
            "/usr/local/bin/kubelet",
            "/usr/local/bin/kubelt",
            "not executable",
        ),
        ("RestartSec=5", "RestartSecs=5", "Unknown key"),
    ] {
        let copy = Copy::of(&images.root("amd64"));
        if !with_base_units(&copy) {
            return;
        }
        let path = copy.path("/etc/systemd/system/kubelet.service");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        // In its place: the file itself is the image's.
        fs::remove_file(&path).unwrap();
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let Some(ran) = verify(&copy) else { return };
        assert!(
            ran.err.contains("kubelet.service") && ran.err.contains(says),
            "{}",
            ran.err
        );
    }
}

/// What must hold between the units, whoever edits them.
#[test]
fn the_kubelet_waits_for_first_boot() {
    let Some(images) = images() else { return };
    let values = |unit: &str, key: &str| -> Vec<String> {
        let text = images.text("arm64", &format!("/etc/systemd/system/{unit}"));
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        lines
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    };
    for unit in ["kubelet.service", "kube-proxy.service"] {
        for key in ["Requires", "After"] {
            let found = values(unit, key);
            assert!(
                found.iter().any(|u| u == "nodeimg-firstboot.service"),
                "{unit} {key}: {found:?}"
            );
        }
    }
    // multi-user.target is reached without an API server.
    for unit in ["kubelet.service", "kube-proxy.service"] {
        assert_eq!(values(unit, "DefaultDependencies"), ["no"], "{unit}");
        for (key, target) in [
            ("Requires", "sysinit.target"),
            ("After", "sysinit.target"),
            ("After", "basic.target"),
            ("Conflicts", "shutdown.target"),
            ("Before", "shutdown.target"),
        ] {
            let found = values(unit, key);
            assert!(found.iter().any(|u| u == target), "{unit} {key}: {found:?}");
        }
    }
    // kube-proxy comes when the kubelet has said that it is up: it would wait 30 seconds
    // for its node, and say that there is none.
    assert_eq!(values("kubelet.service", "Type"), ["notify"]);
    let after = values("kube-proxy.service", "After");
    assert!(after.iter().any(|u| u == "kubelet.service"), "{after:?}");
    // So that it waits for a containerd that first boot has started again.
    let after = values("kubelet.service", "After");
    assert!(after.iter().any(|u| u == "containerd.service"), "{after:?}");
    // These two are beside each other.
    let runtime = [
        values("containerd.service", "Requires"),
        values("containerd.service", "After"),
        values("nodeimg-firstboot.service", "Before"),
    ]
    .concat();
    let each_other = ["nodeimg-firstboot.service", "containerd.service"];
    assert!(
        !runtime.iter().any(|u| each_other.contains(&u.as_str())),
        "{runtime:?}"
    );
    for unit in UNITS {
        assert_eq!(values(unit, "WantedBy"), ["multi-user.target"], "{unit}");
    }
}

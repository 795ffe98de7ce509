//! The script that has containerd hold the baked images, with a `ctr` of the test's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const SCRIPT: &str =
    include_str!("../../overlay/containerd-images/root/usr/lib/nodeimg/bin/import-images");
const DIGEST: &str = "sha256:0123";
const NAMES: [&str; 2] = ["r.example/pause:1", "r.example/pause@sha256:4567"];

/// A directory with one baked image, and a `ctr` that keeps a list of its calls.
fn node(directory: &Path, ctr: &str) {
    fs::create_dir(directory.join("images")).unwrap();
    let names = format!("{DIGEST}\n{}\n", NAMES.join("\n"));
    fs::write(directory.join("images/pause.names"), names).unwrap();
    fs::write(directory.join("images/pause.tar"), "").unwrap();
    set_ctr(directory, ctr);
    let here = directory.display();
    let script = SCRIPT
        .replace("/usr/bin/ctr", &format!("{here}/ctr"))
        .replace("/usr/lib/nodeimg/images", &format!("{here}/images"))
        .replace("/var/lib/containerd", &here.to_string());
    fs::write(directory.join("import-images"), script).unwrap();
}

fn set_ctr(directory: &Path, more: &str) {
    let ctr = directory.join("ctr");
    let log = directory.join("calls").display().to_string();
    fs::write(
        &ctr,
        format!("#!/bin/sh\nshift 3\necho \"$@\" >>{log}\n{more}\n"),
    )
    .unwrap();
    fs::set_permissions(&ctr, fs::Permissions::from_mode(0o755)).unwrap();
}

fn import_of(directory: &Path, image: &str) -> String {
    let label = "--label io.cri-containerd.pinned=pinned --label io.nodeimg.baked=true";
    format!("import {label} {}/images/{image}.tar", directory.display())
}

/// What it did, sorted, since images are imported beside each other.
fn run(directory: &Path) -> (Output, Vec<String>) {
    let log = directory.join("calls");
    let _nothing_yet = fs::remove_file(&log);
    let script = directory.join("import-images");
    let output = Command::new("sh").arg(script).output().unwrap();
    let calls = fs::read_to_string(log).unwrap_or_default();
    let mut calls: Vec<String> = calls.lines().map(str::to_owned).collect();
    calls.sort();
    (output, calls)
}

#[test]
fn a_first_boot_imports_and_does_not_look() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    node(here, "");
    let (output, calls) = run(here);
    assert!(output.status.success(), "{output:?}");
    let import = import_of(here, "pause");
    assert_eq!(calls, [import.as_str()]);
    // What it has and what it had, one without its pin.
    let pinned = "io.cri-containerd.pinned=pinned,io.nodeimg.baked=true";
    let list = |first: &str| {
        format!(
            "[ $1 != ls ] || cat <<END\nREF TYPE DIGEST SIZE PLATFORMS LABELS\n\
             {} t {DIGEST} 1 KiB p {first}\n{} t {DIGEST} 1 KiB p {pinned}\n\
             r.example/old:1 t sha256:89 1 KiB p {pinned}\nEND",
            NAMES[0], NAMES[1]
        )
    };
    let release = "label r.example/old:1 io.cri-containerd.pinned= io.nodeimg.baked=";
    set_ctr(here, &list(pinned));
    assert_eq!(run(here).1, [release, "ls"]);
    set_ctr(here, &list("-"));
    let expected = [&import, release, "ls"];
    assert_eq!(run(here).1, expected);
}

#[test]
fn what_fails_is_told_and_fails_the_unit() {
    let images = ["etcd", "pause", "scheduler"];
    for failing in images {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        node(here, &format!("case $* in *{failing}.tar) exit 1 ;; esac"));
        for other in ["etcd", "scheduler"] {
            let names = format!("sha256:45\nr.example/{other}:1\n");
            fs::write(here.join(format!("images/{other}.names")), names).unwrap();
        }
        let (output, calls) = run(here);
        assert!(!output.status.success(), "{failing}");
        let said = String::from_utf8_lossy(&output.stderr);
        let told = format!("{failing} could not be imported");
        assert!(said.contains(&told) && said.lines().count() == 1, "{said}");
        assert_eq!(calls, images.map(|image| import_of(here, image)));
        // The next boot looks before it tries again.
        assert!(run(here).1.contains(&"ls".to_owned()));
    }
}

//! The binary on disks that are really full or read-only: small tmpfs file
//! systems in a user and mount namespace of the test's own.
//!
//! Every point at which such a disk can run out is reached by giving it one inode, or
//! one block, more from try to try, until a run succeeds.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::Image;
use nodeimg_test_support::judge;
use nodeimg_test_support::seeds::{META_DATA, user_data};

/// For each try `KIND MORE` on standard input: a disk at ROOT that, with the image
/// on it, has only so many inodes or KiB left; a run, then room, and a second run.
const SCRIPT: &str = r#"
set -eu
binary=$1 image=$2 root=$3 out=$4
files() {
    find etc var -type f ! -path 'var/lib/nodeimg/seed/*' -printf '%m ' -exec sha256sum {} \; 2>/dev/null | sort
}
while read -r kind more; do
    name=$out/$kind-$more
    mount -t tmpfs -o size=16m,nr_inodes=10000 none "$root"
    cp -a "$image/." "$root"
    mkdir "$root/run" "$root/etc"
    mount -t tmpfs -o size=1m none "$root/run"
    used() { df --output="$1" "$root" | tail -n1; }
    case $kind in
        inodes) mount -o "remount,nr_inodes=$(($(used iused) + more))" "$root" ;;
        kib) mount -o "remount,size=$(($(used used) + more))k" "$root" ;;
        read-only) mount -o remount,ro "$root" ;;
    esac
    code=0
    "$binary" --root "$root" >"$name.out" 2>&1 </dev/null || code=$?
    echo "$code" >"$name.code"
    (cd "$root" && files) >"$name.left"
    cp "$root/run/nodeimg/result.json" "$name.json"
    mount -o remount,rw,size=16m,nr_inodes=10000 "$root"
    "$binary" --root "$root" >"$name.again" 2>&1 </dev/null
    (cd "$root" && files) >"$name.whole"
    umount "$root/run" "$root"
done
"#;

fn namespace() -> Option<Command> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--"]);
    let mut trial = Command::new("unshare");
    trial.args(["--user", "--map-root-user", "--mount", "--", "true"]);
    let works = trial
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        judge::missing("unshare with user namespaces (util-linux)");
    }
    works.then_some(command)
}

/// Runs the script over the tries and returns the place of its findings.
fn runs(tries: &[String]) -> Option<tempfile::TempDir> {
    let mut command = namespace()?;
    let image = Image::new();
    image.seed(user_data(), META_DATA);
    let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let list = out.path().join("tries");
    let lines = tries.iter().map(|name| {
        let (kind, more) = name.rsplit_once('-').unwrap();
        format!("{kind} {more}\n")
    });
    fs::write(&list, lines.collect::<String>()).unwrap();
    let status = command
        .args([
            "sh",
            "-c",
            SCRIPT,
            "sh",
            env!("CARGO_BIN_EXE_nodeimg-firstboot"),
        ])
        .args([image.path(), root.path(), out.path()])
        .stdin(fs::File::open(list).unwrap())
        .status()
        .unwrap();
    assert!(status.success(), "the script failed");
    Some(out)
}

struct Try<'a> {
    out: &'a Path,
    name: &'a str,
}

impl Try<'_> {
    fn text(&self, kind: &str) -> String {
        let path = self.out.join(format!("{}.{kind}", self.name));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// One clear problem, exit 1, nothing half written and nothing of a secret in between.
    fn assert_refused(&self, reason: &str, remedy: &str, whole: &str) {
        let name = self.name;
        assert_eq!(self.text("code"), "1\n", "{name}: {}", self.text("out"));
        let result: serde_json::Value = serde_json::from_str(&self.text("json")).unwrap();
        assert_eq!(result["outcome"], "failed", "{name}");
        let problems = result["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        let part = |key: &str| problems[0][key].as_str().unwrap_or_default().to_owned();
        assert!(part("reason").contains(reason), "{name}: {problems:?}");
        assert!(part("remedy").contains(remedy), "{name}: {problems:?}");
        assert!(
            part("file").contains("/etc/") || part("file").contains("/var/"),
            "{name}: {problems:?}"
        );
        for line in self.text("left").lines() {
            let state = line.contains(" var/lib/nodeimg/");
            let kept = whole.lines().any(|good| good == line);
            assert!(
                kept || (state && !line.contains(".nodeimg-tmp")),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn a_disk_that_runs_out_anywhere_is_told_and_a_run_with_room_succeeds() {
    let inodes = (0..40).map(|more| format!("inodes-{more}"));
    let pages = (0..40).map(|more| format!("kib-{}", more * 4));
    let others = ["read-only-0", "roomy-0"].map(str::to_owned);
    let tries: Vec<String> = inodes.chain(pages).chain(others).collect();
    let Some(out) = runs(&tries) else {
        return;
    };
    let found = |name| {
        let out = out.path();
        Try { out, name }
    };
    assert_eq!(found("roomy-0").text("code"), "0\n");
    let whole = found("roomy-0").text("whole");
    assert_eq!(whole.lines().count(), 12, "{whole}");
    for name in &tries {
        let run = found(name);
        assert_eq!(run.text("whole"), whole, "{name}: {}", run.text("again"));
        let kind = name.rsplit_once('-').unwrap().0;
        if kind == "read-only" {
            run.assert_refused("Read-only file system", "`writable` in the recipe", &whole);
        } else if run.text("code") != "0\n" {
            run.assert_refused("No space left on device", "free space", &whole);
        }
    }
    // From nothing left to just enough: the sweep met every file.
    for kind in ["inodes", "kib"] {
        let of_kind = tries.iter().filter(|name| name.starts_with(kind));
        let (full, enough): (Vec<_>, Vec<_>) =
            of_kind.partition(|name| found(name).text("code") == "1\n");
        assert!(full.len() > 8, "{kind}: only {full:?} were full");
        assert!(!enough.is_empty(), "{kind}: none was large enough");
    }
}

//! The same bytes from another user, directory, umask, locale, time zone and
//! number of CPUs: the build needs no root and has nothing of the machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{ARCHS, OUTPUTS, images, recipe, store};
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::run::{Ran, clean, first_cpu};
use nodeimg_test_support::{judge, real};

fn copied(from: &Path, to: PathBuf, mode: u32) -> PathBuf {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, &to).unwrap();
    fs::set_permissions(&to, Permissions::from_mode(mode)).unwrap();
    to
}

const FILES: [&str; 11] = [
    "disk.raw",
    "root.squashfs",
    "root.verity",
    "root.roothash",
    "uki.efi",
    "rootfs.tar.zst",
    "sbom.spdx.json",
    "sbom.cdx.json",
    "manifest.json",
    "provenance.json",
    "SHA256SUMS",
];

/// What runs a program as nobody and on one CPU.
fn as_nobody() -> Command {
    let mut shell = clean(Command::new("sh"));
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    shell.args(["taskset", "-c", &first_cpu()]);
    if judge::is_root() {
        shell.args([
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--no-new-privs",
        ]);
    }
    shell
}

#[test]
fn nobody_builds_the_same_bytes_elsewhere() {
    let Some(images) = images() else { return };
    let place = TempDir::new().unwrap();
    let at = |path: &str| place.path().join(path);
    let file = copied(&recipe(), at("a place/of its own/r.toml"), 0o600);
    let lock = recipe().with_extension("lock");
    copied(&lock, file.with_extension("lock"), 0o600);
    let program = copied(
        Path::new(env!("CARGO_BIN_EXE_nodeimg")),
        at("nodeimg"),
        0o755,
    );
    let mut copy = clean(Command::new("cp"));
    fs::create_dir(at("store")).unwrap();
    Ran::of(copy.arg("-R").arg(store().join("blobs")).arg(at("store"))).good();
    let mut build = as_nobody();
    build.arg(program);
    for (name, value) in [
        ("TZ", "Pacific/Kiritimati"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("SOURCE_DATE_EPOCH", "1"),
    ] {
        build.env(name, value);
    }
    build.args(["build", "--quiet", "--offline", "--out", "images"]);
    build.args(OUTPUTS);
    build.current_dir(place.path()).arg("--recipe").arg(&file);
    build.arg("--store").arg(at("store"));
    for arch in ARCHS {
        let Some(binary) = real::firstboot(arch) else {
            return;
        };
        let binary = copied(&binary, at(arch), 0o644);
        build.args(["--arch", arch, "--firstboot"]);
        build.arg(format!("{arch}={}", binary.display()));
        let Some(updater) = real::updater(arch) else {
            return;
        };
        let updater = copied(&updater, at(&format!("updater-{arch}")), 0o644);
        build.arg("--update");
        build.arg(format!("{arch}={}", updater.display()));
    }
    if judge::is_root() {
        let mut own = clean(Command::new("chown"));
        Ran::of(own.args(["-R", "65534:65534"]).arg(place.path())).good();
    }
    Ran::of(&mut build).good();
    for arch in ARCHS {
        let image = images.image(arch);
        let again = at("images").join(image.file_name().unwrap());
        for name in FILES {
            let digest = |image: &Path| sha256(&fs::read(image.join(name)).unwrap());
            assert_eq!(digest(&image), digest(&again), "{arch} {name}");
        }
    }
}

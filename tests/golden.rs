//! What nodeimg writes, byte for byte: the digests of a small recipe's outputs, pinned in
//! tests/golden.txt. The first-boot binary is a stand-in, so that only a change of what
//! nodeimg itself writes changes them.
//!
//! A change that is meant renews them:
//!
//! ```text
//! NODEIMG_TEST_RENEW=1 cargo test --locked --package nodeimg --test golden --test base golden
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use nodeimg_test_support::golden;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::{MACHINE_NAMES, World};

/// A file of every size that the writers treat in their own way: none, less than a block,
/// several blocks, zeroes; links, modes, and names that sort by bytes.
fn world() -> World {
    let mut world = World::new();
    world.edit(
        "profile =",
        "outputs = [\"overlay\", \"sysext\"]\nprofile =",
    );
    let root = world.path("overlay/root");
    let noise = nodeimg_test_support::archive::noise(300_000);
    for (path, bytes) in [
        ("etc/motd", &b"hello\n"[..]),
        ("etc/Zebra/b", b""),
        ("usr/local/share/noise", &noise),
        ("usr/local/share/zeroes", &[0; 400_000]),
        ("usr/local/share/\u{e9}t\u{e9}", b"summer\n"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    std::os::unix::fs::symlink("noise", root.join("usr/local/share/link")).unwrap();
    world.lock();
    world
}

#[test]
fn golden_bytes_of_a_small_recipe() {
    let world = world();
    let mut build = world.nodeimg("build");
    Ran::of(build.args(["--arch", "amd64", "--arch", "arm64"])).good();
    for arch in MACHINE_NAMES {
        golden::pinned(&format!("tiny {arch}"), &world.image(arch));
    }
}

//! Disks, byte for byte: recipes/container-host with its committed lock and stand-ins for first
//! boot and the updater. tests/golden.rs says what this is for, and how the digests are renewed.

use std::fs;

use nodeimg_formats::update::PROGRAM_MARKER;
use tempfile::TempDir;

use super::{ARCHS, images, recipe};
use nodeimg_test_support::debian::{fetched, verb};
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::{archive, golden, judge, place, real};

#[test]
fn disks_have_the_pinned_bytes() {
    // Most of the work is done once.
    if std::env::var_os("NODEIMG_TEST_RENEW").is_none() {
        let _ = images();
    }
    if !fetched() {
        return;
    }
    let committed = place::top().join("recipes/container-host.lock");
    let used = recipe().with_extension("lock");
    if fs::read(committed).unwrap() != fs::read(used).unwrap() {
        judge::say("golden disks: left out, the mirror no longer has what the committed lock pins");
        return;
    }
    // Several GiB of holes, which not every /tmp has.
    let place = TempDir::new_in(real::directory("")).unwrap();
    let mut build = verb("build", &ARCHS);
    build.args(["--output", "disk", "--output", "root", "--output", "uki"]);
    for arch in ARCHS {
        for (program, bytes) in [
            ("firstboot", archive::firstboot(arch)),
            ("update", archive::static_program(arch, PROGRAM_MARKER)),
        ] {
            let binary = place.path().join(format!("{program}-{arch}"));
            fs::write(&binary, bytes).unwrap();
            build
                .arg(format!("--{program}"))
                .arg(format!("{arch}={}", binary.display()));
        }
    }
    let out = place.path().join("out");
    Ran::of(build.args(["--offline", "--out"]).arg(&out)).good();
    for arch in ARCHS {
        golden::pinned(
            &format!("container-host {arch}"),
            &real::output_for(&out, arch),
        );
    }
}

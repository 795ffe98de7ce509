//! `nodeimg test` of a real image: tests/lab/recipes/hard-way.toml as a disk, as a user
//! would test it. One boot; what else the verb does is in its own tests,
//! and in tests/boot of the same images.

use std::fs;

use nodeimg_test_support::debian;
use nodeimg_test_support::guest::lacks_qemu;
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_test_support::slots;

/// An emulated machine beside others, on a busy host.
const PATIENCE: &str = "900";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_node_of_the_hard_way_proves_itself() {
    let (Some(mirror), Some(firstboot)) = (real::mirror(), real::firstboot("amd64")) else {
        return;
    };
    let out = real::directory("verb-test");
    let mut build = nodeimg();
    build.args(["build", "--force", "--output", "disk", "--arch", "amd64"]);
    build
        .args(["--mirror", &mirror, "--recipe"])
        .arg(real::recipe("hard-way"));
    build.arg("--store").arg(debian::store());
    build
        .arg("--firstboot")
        .arg(format!("amd64={}", firstboot.display()));
    debian::with_network(&mut build);
    Ran::of(build.arg("--out").arg(&out)).good();
    let image = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let logs = out.with_file_name("verb-test-logs");
    let _slot = slots::take(1, 2);
    let mut test = nodeimg();
    test.arg("test")
        .arg(&image)
        .arg("--recipe")
        .arg(real::recipe("hard-way"));
    test.args(["--case", "boot", "--json", "--cpus", "1"]);
    test.args(["--timeout", PATIENCE, "--logs"]).arg(&logs);
    let ran = Ran::of(&mut test);
    if lacks_qemu(&ran.err) {
        return;
    }
    let ran = ran.good();
    let mut lines = ran.out.lines();
    let found = lines.find(|line| line.contains("\"case\":\"boot\""));
    let line = found.unwrap_or_else(|| panic!("no case boot: {}", ran.out));
    let registered = line.contains("registered nodeimg-test, 10.0.2.15");
    assert!(
        line.contains("\"result\":\"passed\"") && registered,
        "{line}"
    );
    fs::remove_dir_all(out).unwrap();
}

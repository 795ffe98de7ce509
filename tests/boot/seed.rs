//! A node without a seed, and with one that comes late.

use super::support::guest::Guest;
use super::{directory, image, seed};

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn without_a_seed_it_says_so_and_takes_the_next_one() {
    let Some(image) = image("amd64") else { return };
    let directory = directory("no-seed");
    let keep = directory.join("keep");
    let Some(bare) = Guest::new("no-seed", &image).keep(&keep).facts() else {
        return;
    };
    // It is up, so that one can look at it.
    bare.is("multi-user", "active");
    bare.is("unit-containerd", "active");
    bare.is("state", "degraded");
    bare.has("failed", &["nodeimg-firstboot.service"]);
    bare.is("first-boot-unit", "failed");
    bare.has(
        "first-boot",
        &[r#""outcome": "failed""#, "label `cidata`", "waited 60 s"],
    );
    bare.console_has(&["THIS NODE IS NOT SET UP"]);

    let seed = seed(&directory, "node-late");
    let guest = Guest::new("late-seed", &image).keep(&keep).seed(&seed);
    let late = guest.facts().unwrap();
    late.is("state", "running");
    late.is("host-name", "node-late");
    late.has("first-boot", &[r#""outcome": "applied""#]);
    late.is("machine-id", &bare["machine-id"]);
    std::fs::remove_dir_all(directory).unwrap();
}

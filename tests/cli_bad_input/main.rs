//! Bad input to every verb: one clear error each, exit 1 (usage 2), no panic,
//! nothing left in the output directory and nothing bad in the store.
//!
//! `usage`: the command line and the recipe; `locks`; `sign`: keys and directories that are not signed; `network` and `tls`: what
//! servers do; `archives`: what is in them; `disks`: disks that cannot be written, and
//! more builds at once; `tree`: files that no node could use; `programs`: what goes inside nodeimg;
//! `verify`: what is not what somebody signed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod archives;
mod disks;
mod locks;
mod network;
mod programs;
mod sign;
mod tls;
mod tree;
mod usage;
mod verify;

use std::process::Command;

use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;

/// One bad input: how the world differs from a good one, and the message.
struct Case {
    name: &'static str,
    /// Changes the world and gives the command that must fail.
    given: fn(&mut World) -> Command,
    code: i32,
    /// Where, why, and what to do.
    says: &'static [&'static str],
}

/// Tries all of a table and reports every case that is not as it should be.
#[track_caller]
fn try_all(cases: &[Case]) {
    let problems: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let mut world = World::locked();
            let mut command = (case.given)(&mut world);
            let ran = Ran::of(&mut command);
            let result = ran
                .is_refused(case.code, case.says)
                .and_then(|()| world.is_clean());
            result
                .err()
                .map(|problem| format!("=== {}: {problem}", case.name))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Nothing in the table would be refused but for its fault.
#[test]
fn the_world_without_a_fault_builds() {
    let world = World::warm();
    let ran = Ran::of(&mut world.build()).good();
    assert!(
        nodeimg_test_support::synthetic::is_image(&world.image("amd64")),
        "{}",
        ran.err
    );
    nodeimg_test_support::image::sums_hold(&world.image("amd64"));
    assert_eq!(world.blobs().len(), 10, "all of both architectures");
    world.store_is_sound().unwrap();
    assert!(
        world.is_clean().is_err(),
        "an image in out/ is what is_clean must see"
    );
}

//! `nodeimg doctor`: what is there, what is not, and how it ends.

use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;

fn doctor(world: &World) -> std::process::Command {
    let mut doctor = world.bare("doctor");
    doctor.env(
        "NODEIMG_MIRROR",
        format!("https://={}", world.server.url("/")),
    );
    doctor
}

#[test]
fn a_machine_that_can_build_is_told_from_one_that_cannot() {
    let world = World::new();
    // Whoever says that there is no such file answers too.
    let ran = Ran::of(&mut doctor(&world)).good();
    assert!((9..=12).contains(&ran.out.lines().count()), "{}", ran.out);
    for line in [
        "build      ok  for amd64 and arm64",
        "store      ok  ",
        "kubernetes ok  http://127",
    ] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    let events = super::events(&Ran::of(doctor(&world).arg("--json")).good().out);
    assert_eq!(events[0]["can_build"], true);

    let mut alone = doctor(&world);
    alone
        .env("NODEIMG_MIRROR", "https://=http://127.0.0.1:9/")
        .env("PATH", "/nonexistent");
    let ran = Ran::of(&mut alone);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    for text in [
        "kubernetes --  ",
        "127.0.0.1:9",
        "help mirrors-and-offline",
        "run amd64  --  qemu-system-x86_64",
        "see kubernetes",
    ] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
    let mut elsewhere = doctor(&world);
    elsewhere.args(["--store", "/proc/1/nodeimg"]);
    let ran = Ran::of(&mut elsewhere);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(
        ran.out.contains("store      --  /proc/1/nodeimg"),
        "{}",
        ran.out
    );
}

use std::fs;

use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;

fn sums(world: &World, arch: &str) -> String {
    fs::read_to_string(world.image(arch).join("SHA256SUMS")).unwrap()
}

/// A machine without a network: an empty store and nobody that answers.
fn island() -> World {
    World::locked()
}

const NOBODY: (&str, &str) = ("NODEIMG_MIRROR", "https://=http://127.0.0.1:9/");

#[test]
fn a_bundle_takes_a_build_to_a_machine_without_a_network() {
    let world = World::locked();
    let bundle = |name: &str| {
        let mut fetch = world.nodeimg("fetch");
        fetch.args(["--arch", "arm64", "--arch", "amd64", "--bundle", name]);
        let ran = Ran::of(&mut fetch).good();
        assert!(ran.err.contains(&format!("wrote {name}")), "{}", ran.err);
        fs::read(world.path(name)).unwrap()
    };
    let bytes = bundle("one.tar");
    assert_eq!(
        bundle("two.tar"),
        bytes,
        "the same blobs give the same bundle"
    );
    Ran::of(world.build().args(["--arch", "arm64"])).good();

    let island = island();
    fs::write(island.path("b.tar"), &bytes).unwrap();
    let mut build = island.build();
    build
        .args(["--arch", "arm64", "--bundle", "b.tar"])
        .env(NOBODY.0, NOBODY.1);
    Ran::of(&mut build).good();
    assert!(island.server.seen().is_empty());
    for arch in ["amd64", "arm64"] {
        assert_eq!(sums(&island, arch), sums(&world, arch), "{arch}");
    }
    island.store_is_sound().unwrap();
}

#[test]
fn a_bundle_is_trusted_no_more_than_a_mirror() {
    let world = World::locked();
    let mut fetch = world.nodeimg("fetch");
    Ran::of(fetch.args(["--arch", "amd64", "--bundle", "b.tar"])).good();
    let whole = fs::read(world.path("b.tar")).unwrap();
    // In the bytes of the last blob, before the two end blocks.
    let mut flipped = whole.clone();
    let at = whole.iter().rposition(|&byte| byte != 0).unwrap();
    flipped[at] ^= 1;
    for (name, bytes) in [
        ("flipped", flipped),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("no bundle", b"hello".to_vec()),
        ("empty", Vec::new()),
    ] {
        let island = island();
        fs::write(island.path("b.tar"), &bytes).unwrap();
        let mut build = island.build();
        build.args(["--bundle", "b.tar"]).env(NOBODY.0, NOBODY.1);
        let ran = Ran::of(&mut build);
        let result = ran
            .is_refused(1, &["b.tar"])
            .and_then(|()| island.is_clean());
        assert!(result.is_ok(), "{name}: {result:?}");
    }
    // A bundle that lacks something: the missing file is named.
    let island = island();
    fs::write(island.path("b.tar"), &whole).unwrap();
    let mut build = island.nodeimg("build");
    build
        .args(["--arch", "arm64", "--bundle", "b.tar"])
        .env(NOBODY.0, NOBODY.1);
    Ran::of(&mut build).refused(1, &["lacks 5 of 5 artifacts", "runc 1.4.3 (arm64)"]);
    island.is_clean().unwrap();
}

#[test]
fn offline_and_warm_asks_nobody() {
    let world = World::warm();
    let requests = world.server.seen().len();
    for verb in ["fetch", "build"] {
        let mut command = world.nodeimg(verb);
        Ran::of(command.args(["--arch", "amd64", "--offline"])).good();
    }
    // Without the flag a warm store needs no network either.
    let mut build = world.nodeimg("build");
    Ran::of(build.args(["--arch", "arm64"]).env(NOBODY.0, NOBODY.1)).good();
    assert_eq!(world.server.seen().len(), requests);
}

#[test]
fn a_directory_serves_as_a_mirror() {
    let world = World::locked();
    for (name, version) in nodeimg_test_support::synthetic::ARTIFACTS {
        let file = world.path(&format!("srv{}", World::target(name, version, "amd64")));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, nodeimg_test_support::synthetic::body(name, "amd64")).unwrap();
    }
    let rule = format!("https://=file://{}/", world.path("srv").display());
    Ran::of(world.build().args(["--offline", "--mirror", &rule])).good();
    assert!(world.server.seen().is_empty());
}

/// A recipe's mirror is asked first, the publisher after it.
#[test]
fn the_mirrors_of_a_recipe_are_tried_before_the_url() {
    let mut world = World::locked();
    let rule = format!(
        "[mirrors]\n\"https://up.test/\" = \"{}\"\n\n[cluster]",
        world.server.url("/up.test/")
    );
    world.edit("[cluster]", &rule);
    Ran::of(world.build().env_remove("NODEIMG_MIRROR")).good();
    assert_eq!(world.asked("runc").len(), 1);
}

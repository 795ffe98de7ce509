//! A store that several machines share, in a registry.

use std::fs;
use std::path::Path;

use nodeimg_test_support::keys::Keys;
use nodeimg_test_support::layout;
use nodeimg_test_support::push_registry::{Fault, Kind, Pushed};
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;

use super::publish::contents;

fn address(registry: &Pushed) -> String {
    format!("oci://{}/team/store", registry.address())
}

fn fetch(world: &World, registry: &Pushed, more: &[&str]) -> Ran {
    let mut fetch = world.nodeimg("fetch");
    fetch.args(["--arch", "amd64", "--retries", "1", "--store-remote"]);
    Ran::of(fetch.arg(address(registry)).args(more))
}

/// A registry that has what the lock pins.
fn filled() -> Pushed {
    let (world, registry) = (World::locked(), Pushed::start(Kind::default()));
    fetch(&world, &registry, &["--store-remote-write"]).good();
    registry
}

fn same(one: &Path, other: &Path) {
    for name in ["overlay.tar.zst", "manifest.json", "SHA256SUMS"] {
        let [one, other] = [one, other].map(|at| fs::read(at.join(name)).unwrap());
        assert!(one == other, "{name}");
    }
}

#[test]
fn a_new_machine_needs_nobody_else() {
    let registry = filled();
    let tags = registry.tags("team/store");
    assert!(
        tags.len() == 1 && tags[0].starts_with("lock-") && tags[0].ends_with("-amd64"),
        "{tags:?}"
    );
    // Five artifacts; the empty configuration.
    assert_eq!(registry.blobs("team/store"), 6);
    let (world, usual) = (World::locked(), World::locked());
    let mut build = world.build();
    Ran::of(build.args(["--store-remote", &address(&registry)])).good();
    assert_eq!(
        world.server.seen().len(),
        0,
        "one of them has a SHA-512 only"
    );
    Ran::of(&mut usual.build()).good();
    same(&world.image("amd64"), &usual.image("amd64"));
    world.store_is_sound().unwrap();
}

#[test]
fn what_is_kept_is_kept_once() {
    let (world, registry) = (World::locked(), Pushed::start(Kind::default()));
    let ran = fetch(&world, &registry, &["--store-remote-write"]).good();
    assert!(ran.err.contains("6 files sent"), "{}", ran.err);
    let ran = fetch(&world, &registry, &["--store-remote-write"]).good();
    assert!(ran.err.contains("has what the lock pins"), "{}", ran.err);
    // Without the flag nothing is written.
    let other = Pushed::start(Kind::default());
    fetch(&World::locked(), &other, &[]).good();
    let asked = other.asked();
    assert!(asked.iter().all(|asked| asked.method == "GET"), "{asked:?}");
    let mut fetch = world.nodeimg("fetch");
    Ran::of(fetch.arg("--store-remote-write")).refused(2, &["--store-remote"]);
    let mut fetch = world.nodeimg("fetch");
    let tagged = format!("{}:1", address(&registry));
    Ran::of(fetch.args(["--store-remote", &tagged])).refused(2, &["the repository alone"]);
}

#[test]
fn a_shared_store_that_fails_costs_nothing_but_time() {
    // Nobody there.
    let world = World::locked();
    let mut build = world.build();
    build.args(["--retries", "1", "--store-remote", "oci://127.0.0.1:1/x"]);
    let ran = Ran::of(&mut build).good();
    assert!(
        ran.err.contains("the shared store is not used"),
        "{}",
        ran.err
    );
    // One that lies, and one that has lost some.
    for fault in [
        Fault::Lie,
        Fault::Status(404, "BLOB_UNKNOWN"),
        Fault::Status(403, "DENIED"),
    ] {
        let registry = filled();
        registry.faults("GET /v2/team/store/blobs/", vec![fault.clone(); 3]);
        let world = World::locked();
        fetch(&world, &registry, &[]).good();
        assert!(!world.server.seen().is_empty(), "{fault:?}");
        world.store_is_sound().unwrap();
    }
    // One that nobody may write to is told.
    let registry = Pushed::start(Kind::default());
    registry.faults("POST ", vec![Fault::Status(403, "DENIED"); 9]);
    let world = World::locked();
    fetch(&world, &registry, &["--store-remote-write"])
        .refused(1, &["says DENIED", "write to `team/store`"]);
}

#[test]
fn offline_asks_nobody() {
    let (world, registry) = (World::warm(), filled());
    registry.forget();
    fetch(&world, &registry, &["--offline"]).good();
    assert_eq!(registry.asked(), []);
}

/// Signs the amd64 image with the release key of `keys`.
fn sign(world: &World, keys: &Keys) {
    let file = keys.file("keys.toml", "[checksums]\nkey = \"release.key\"\n");
    let mut sign = world.bare("sign");
    Ran::of(sign.arg(world.image("amd64")).arg("--keys").arg(file)).good();
}

/// Builds what may be published, trusting `keys`.
fn build(world: &World, registry: &Pushed, keys: &Keys) -> Ran {
    let mut build = world.build();
    build.args(["--published", &address(registry), "--published-key"]);
    Ran::of(build.arg(keys.path("release.pub"))).good()
}

#[test]
fn a_signed_image_of_the_same_build_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let places = ["ours", "others"].map(|name| directory.path().join(name));
    let [Some(ours), Some(others)] = places.map(|place| Keys::make(&place, &[])) else {
        return;
    };
    let (maker, registry) = (World::locked(), Pushed::start(Kind::default()));
    build(&maker, &registry, &ours);
    assert!(!maker.server.seen().is_empty(), "nobody has published it");
    let publish = |world: &World| {
        let mut publish = world.bare("publish");
        Ran::of(publish.arg(world.image("amd64")).arg(address(&registry))).good()
    };
    // Unsigned, and signed by somebody else: not taken, and told.
    for keys in [None, Some(&others)] {
        if let Some(keys) = keys {
            sign(&maker, keys);
        }
        publish(&maker);
        let world = World::locked();
        let ran = build(&world, &registry, &ours);
        assert!(ran.err.contains("is not used"), "{}", ran.err);
        assert!(!world.server.seen().is_empty());
    }
    sign(&maker, &ours);
    publish(&maker);
    let world = World::locked();
    build(&world, &registry, &ours);
    assert_eq!(world.server.seen().len(), 0, "nothing was fetched");
    let [one, other] = [&world, &maker].map(|world| contents(&world.image("amd64")));
    assert!(one == other);
    let ran = Ran::of(&mut world.build()).good();
    assert!(ran.err.contains("up to date"), "{}", ran.err);
    // Another recipe has another key.
    let mut world = World::locked();
    world.edit("max_pods = 16", "max_pods = 17");
    world.lock();
    build(&world, &registry, &ours);
    assert!(!world.server.seen().is_empty());
    let index = registry.tags("team/store");
    let key = index.iter().find(|tag| tag.starts_with("key-")).unwrap();
    // An image that is signed, under the key of another.
    let tag = registry.document("team/store", key).unwrap().to_string();
    let statement = fs::read_to_string(world.image("amd64").join("provenance.json")).unwrap();
    let statement: serde_json::Value = serde_json::from_str(&statement).unwrap();
    let inside = &statement["predicate"]["buildDefinition"]["internalParameters"];
    let wanted = format!("key-{}", inside["buildKey"].as_str().unwrap());
    assert_ne!(*key, wanted);
    registry.put_document("team/store", &wanted, layout::INDEX, tag.as_bytes());
    fs::remove_dir_all(world.image("amd64")).unwrap();
    let ran = build(&world, &registry, &ours);
    assert!(ran.err.contains("another build key"), "{}", ran.err);
}

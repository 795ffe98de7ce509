use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::events;
use nodeimg_test_support::faulty_server::{Fault, faulty};
use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_test_support::synthetic::{World, body};

#[test]
fn path_says_where_the_store_is() {
    let path = |name: &str, value: &str| {
        let ran = Ran::of(nodeimg().env(name, value).args(["store", "path"])).good();
        ran.out.trim().to_owned()
    };
    assert_eq!(path("NODEIMG_STORE", "/x/store"), "/x/store");
    assert_eq!(path("XDG_CACHE_HOME", "/x/cache"), "/x/cache/nodeimg");
    assert_eq!(path("HOME", "/home/me"), "/home/me/.cache/nodeimg");
    let mut flag = nodeimg();
    flag.env("NODEIMG_STORE", "/x")
        .args(["store", "path", "--store", "/flag"]);
    assert_eq!(Ran::of(&mut flag).good().out, "/flag\n");
}

fn gc(world: &World, words: &[&str]) -> serde_json::Value {
    let mut command = world.nodeimg("store");
    let ran = Ran::of(command.args(["gc", "--json"]).args(words)).good();
    events(&ran.out)[0]["report"].clone()
}

#[test]
fn gc_removes_what_was_not_used_for_so_long() {
    let world = World::warm();
    Ran::of(&mut world.build()).good();
    let blobs = world.blobs();
    let removed = |report: &serde_json::Value| report["removed"].as_array().unwrap().len();
    assert_eq!(removed(&gc(&world, &[])), 0, "all of it was used today");
    // Two months from now, by the files' own times.
    for entry in walkdir::WalkDir::new(world.path("store")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let old = std::time::SystemTime::now() - Duration::from_secs(60 * 86_400);
            std::fs::File::open(entry.path())
                .unwrap()
                .set_modified(old)
                .unwrap();
        }
    }
    assert_eq!(removed(&gc(&world, &["--unused-for", "61"])), 0);
    let dry = gc(&world, &["--dry-run"]);
    assert!(removed(&dry) > blobs.len(), "{dry}");
    assert_eq!(world.blobs(), blobs, "--dry-run removes nothing");
    // What a build uses, it marks as used.
    Ran::of(world.build().args(["--force", "--offline"])).good();
    gc(&world, &[]);
    assert_eq!(world.blobs().len(), 5, "those of arm64 are gone");
    Ran::of(world.build().args(["--force", "--offline"])).good();
    // And what is gone is fetched again.
    Ran::of(world.build().args(["--arch", "arm64"])).good();
    assert_eq!(world.blobs().len(), 10);
    world.store_is_sound().unwrap();
}

/// Bytes in files of the store.
fn store_size(world: &World) -> u64 {
    let files = walkdir::WalkDir::new(world.path("store")).into_iter();
    let sizes = files.map(|entry| {
        let meta = entry.unwrap().metadata().unwrap();
        if meta.is_file() { meta.len() } else { 0 }
    });
    sizes.sum()
}

#[test]
fn a_budget_holds_over_many_images_and_keeps_what_locks_name() {
    let mut world = World::warm();
    let recipe = std::fs::read_to_string(world.path("recipe.toml")).unwrap();
    Ran::of(world.build().arg("--offline")).good();
    let blobs = world.blobs();
    let blob_size = || {
        let names = world.blobs();
        let sizes = names.iter().map(|name| {
            let path = format!("store/blobs/{}/{name}", &name[..2]);
            std::fs::metadata(world.path(&path)).unwrap().len()
        });
        sizes.sum::<u64>()
    };
    let budget = blob_size() + 20_000;
    for number in 0..10 {
        let more = format!(
            "{recipe}\n[[file]]\npath = \"/usr/share/n\"\ncontent = \"{}\"\n",
            format!("{number} ").repeat(3000)
        );
        world.write_recipe(&more);
        Ran::of(&mut world.nodeimg("lock")).good();
        Ran::of(world.build().arg("--offline")).good();
        let report = gc(&world, &["--keep", &format!("{budget} B")]);
        assert!(report["kept"].as_u64().unwrap() <= budget, "{report}");
        assert!(
            store_size(&world) <= budget + 10_000,
            "{}",
            store_size(&world)
        );
        assert_eq!(world.blobs(), blobs, "what the lock names stays");
        world.store_is_sound().unwrap();
    }
    // Nothing is left but that, and a warning says why it is more.
    let mut all = world.nodeimg("store");
    let ran = Ran::of(all.args(["gc", "--keep", "1 B"])).good();
    assert!(ran.err.contains("recipe.lock"), "{}", ran.err);
    assert_eq!(world.blobs(), blobs);
    Ran::of(world.build().args(["--offline", "--force"])).good();
    // Without its lock, a blob is one like others; a lock that is named counts as well.
    std::fs::rename(world.path("recipe.lock"), world.path("kept.lock")).unwrap();
    gc(&world, &["--keep", "1 B", "--lock", "kept.lock"]);
    assert_eq!(world.blobs(), blobs);
    let dry = gc(&world, &["--keep", "1 B", "--dry-run"]);
    assert!(!dry["removed"].as_array().unwrap().is_empty(), "{dry}");
    assert_eq!(world.blobs(), blobs, "--dry-run removes nothing");
    gc(&world, &["--keep", "1 B"]);
    assert!(world.blobs().is_empty());
}

#[test]
fn gc_waits_for_no_build_and_takes_nothing_from_one() {
    let world = World::locked();
    let whole = body("containerd", "amd64");
    world.script("containerd", vec![faulty(&whole, Fault::Stall(10))]);
    let mut child = world.build().stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..400 {
        if !world.asked("containerd").is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(25));
    }
    let ran = Ran::of(world.nodeimg("store").args(["gc", "--unused-for", "0"]));
    child.kill().unwrap();
    child.wait().unwrap();
    ran.refused(1, &["in use by a running nodeimg", "try again"]);
    Ran::of(world.nodeimg("store").args(["gc", "--unused-for", "0"])).good();
}

#[test]
fn verify_counts_what_it_hashed() {
    let world = World::warm();
    let ran = Ran::of(world.nodeimg("store").args(["verify", "--json"])).good();
    let report = &events(&ran.out)[0]["report"];
    assert_eq!(report["checked"], 10, "{report}");
    assert_eq!(report["dropped"].as_array().unwrap().len(), 0);
}

#[test]
fn a_directory_that_is_no_store_loses_nothing() {
    let world = World::new();
    let photos = world.path("photos");
    std::fs::create_dir_all(photos.join("blobs")).unwrap();
    let photo = photos.join("blobs/photo.jpg");
    std::fs::write(&photo, "x").unwrap();
    for verb in [&["verify"][..], &["gc", "--unused-for", "0"]] {
        let mut command = nodeimg();
        command
            .args(["store"])
            .args(verb)
            .arg("--store")
            .arg(&photos);
        Ran::of(&mut command).refused(1, &["is not a store of nodeimg", "it holds `blobs`"]);
    }
    assert_eq!(std::fs::read(&photo).unwrap(), b"x");
    assert_eq!(std::fs::read_dir(&photos).unwrap().count(), 1);
}

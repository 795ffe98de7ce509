//! `build` of several images by one command, and its trace.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use nodeimg_test_support::image::sums_hold;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;

/// Beside the recipe, others that extend it, each with its lock.
fn with_others(names: &[&str]) -> World {
    let world = World::warm();
    for name in names {
        let text = format!("extends = \"recipe.toml\"\nname = \"{name}\"\n");
        fs::write(world.path(&format!("{name}.toml")), text).unwrap();
        let mut lock = world.bare("lock");
        Ran::of(lock.args(["--recipe", &format!("./{name}.toml")])).good();
    }
    world
}

#[test]
fn recipes_and_architectures_are_built_by_one_command() {
    let world = with_others(&["one", "two"]);
    let mut build = world.nodeimg("build");
    build.args([
        "-r",
        "./one.toml",
        "-r",
        "./two.toml",
        "--arch",
        "amd64,arm64",
        "--offline",
    ]);
    let ran = Ran::of(&mut build).good();
    assert_eq!(ran.err.matches("built out/").count(), 6, "{}", ran.err);
    for name in ["tiny", "one", "two"] {
        for arch in ["amd64", "arm64"] {
            let image = world.path(&format!("out/{name}-1.0.0-{arch}"));
            sums_hold(&image);
            // Alone it is the same.
            let mut alone = world.bare("build");
            let file = match name {
                "tiny" => "./recipe.toml".to_owned(),
                other => format!("./{other}.toml"),
            };
            alone.args(["-r", &file, "--arch", arch, "--offline", "--out", "alone"]);
            Ran::of(&mut alone).good();
            let sums = |place: &str| {
                fs::read(world.path(&format!("{place}/{name}-1.0.0-{arch}/SHA256SUMS"))).unwrap()
            };
            assert_eq!(sums("out"), sums("alone"), "{name} {arch}");
        }
    }
}

#[test]
fn two_images_of_one_name_are_refused_before_one_is_built() {
    let world = with_others(&["one"]);
    fs::copy(world.path("one.toml"), world.path("same.toml")).unwrap();
    let mut build = world.build();
    build.args(["-r", "./one.toml", "-r", "./same.toml"]);
    let says = ["./one.toml and ./same.toml", "out/one-1.0.0-amd64", "--out"];
    Ran::of(&mut build).refused(1, &says);
    assert!(!world.path("out").exists());
    let mut build = world.build();
    build.args(["-r", "./one.toml", "--lock", "one.lock"]);
    Ran::of(&mut build).refused(1, &["--lock one.lock", "one recipe"]);
}

/// A build of several names the one that fails.
#[test]
fn the_recipe_that_fails_is_named() {
    let world = with_others(&["one"]);
    fs::remove_file(world.path("one.lock")).unwrap();
    let mut build = world.build();
    let build = build.args(["-r", "./one.toml", "--offline"]);
    Ran::of(build).refused(1, &["./one.toml: ", "nodeimg lock --recipe ./one.toml"]);
}

/// By the rules of the trace event format: what every viewer needs of an event.
fn check(trace: &Value) -> BTreeMap<u64, Vec<(f64, f64)>> {
    let mut rows: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    let mut named = Vec::new();
    assert_eq!(trace["displayTimeUnit"], "ms");
    for event in trace["traceEvents"].as_array().unwrap() {
        assert!(!event["name"].as_str().unwrap().is_empty(), "{event}");
        assert_eq!(event["pid"], 1, "{event}");
        let row = event["tid"].as_u64().unwrap();
        match event["ph"].as_str().unwrap() {
            "M" => {
                assert!(
                    !event["args"]["name"].as_str().unwrap().is_empty(),
                    "{event}"
                );
                if event["name"] == "thread_name" {
                    named.push(row);
                }
            }
            "X" => {
                assert!(!event["cat"].as_str().unwrap().is_empty(), "{event}");
                let number = |key: &str| event[key].as_f64().unwrap();
                let (start, took) = (number("ts"), number("dur"));
                assert!(start >= 0.0 && took >= 0.0, "{event}");
                rows.entry(row).or_default().push((start, start + took));
            }
            other => panic!("an event of the kind {other}"),
        }
    }
    for (row, spans) in &rows {
        assert!(named.contains(row), "row {row} has no name");
        // One in another, or apart: viewers draw stacks.
        let mut open: Vec<f64> = Vec::new();
        for (start, end) in spans {
            open.retain(|until| *until > start + 0.001);
            let fits = open.iter().all(|until| *end <= until + 0.001);
            assert!(fits, "row {row}: {start} to {end} crosses {open:?}");
            open.push(*end);
        }
    }
    rows
}

#[test]
fn a_trace_is_of_all_that_was_done_and_changes_nothing() {
    let world = World::warm();
    let trace = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(world.path(name)).unwrap()).unwrap()
    };
    let mut build = world.build();
    Ran::of(build.args(["--offline", "--trace", "trace.json", "--threads", "3"])).good();
    let found = trace("trace.json");
    assert!(!check(&found).is_empty());
    let names: Vec<&str> = found["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect();
    for wanted in [
        "nodeimg build",
        "reading the lock",
        "bringing what the lock pins",
        "unpacking the artifacts",
        "unpack containerd",
        "putting the outputs in their place",
    ] {
        assert!(names.contains(&wanted), "{wanted}: {names:?}");
    }
    let sums = || fs::read(world.image("amd64").join("SHA256SUMS")).unwrap();
    let traced = sums();
    Ran::of(world.build().args(["--offline", "--force"])).good();
    assert_eq!(sums(), traced);
    // Of a build that fails, too.
    let mut build = world.build();
    build.args([
        "--offline",
        "--trace",
        "failed.json",
        "--firstboot",
        "amd64=nothing",
    ]);
    Ran::of(&mut build).refused(1, &["nothing"]);
    check(&trace("failed.json"));
    // And what cannot be written is told before the work.
    let mut build = world.build();
    Ran::of(build.args(["--trace", "nowhere/trace.json"])).refused(1, &["nowhere"]);
}

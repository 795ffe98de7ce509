//! The events of `--json` against their schema.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use nodeimg_test_support::faulty_server::{Fault, faulty, good};
use nodeimg_test_support::judge::python_with;
use nodeimg_test_support::place::top;
use nodeimg_test_support::run::{Ran, clean};
use nodeimg_test_support::synthetic::{World, body};
use regex::Regex;
use walkdir::WalkDir;

const JUDGE: &str = r#"
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
judge = Draft202012Validator(schema)
for line in open(sys.argv[2]):
    if not judge.is_valid(json.loads(line)):
        print(line.strip())
"#;

fn refused(python: &str, world: &World, lines: &str) -> String {
    fs::write(world.path("events"), lines).unwrap();
    let mut judge = clean(Command::new(python));
    judge
        .args(["-c", JUDGE])
        .arg(top().join("docs/reference/events.schema.json"))
        .arg(world.path("events"));
    Ran::of(&mut judge).good().out
}

#[test]
fn every_event_of_a_build_is_as_the_schema_says() {
    let Some(python) = python_with("jsonschema") else {
        return;
    };
    let world = World::locked();
    let runc = body("runc", "amd64");
    world.script(
        "runc",
        vec![
            faulty(&runc, Fault::Cut(10)),
            faulty(&[], Fault::Status(503)),
            good(&runc),
        ],
    );
    let mut lines = String::new();
    let mut run = |words: &[&str]| {
        let mut command = world.nodeimg(words[0]);
        lines += &Ran::of(command.args(&words[1..]).arg("--json")).good().out;
    };
    run(&["build", "--arch", "amd64"]);
    run(&["build", "--arch", "amd64"]);
    run(&["fetch", "--arch", "arm64", "--bundle", "b.tar"]);
    run(&["lock"]);
    run(&["lock", "--check"]);
    run(&["recipe", "check", "-r", "./recipe.toml"]);
    run(&["store", "gc", "--dry-run"]);
    run(&["init", "mine"]);
    assert_eq!(refused(python, &world, &lines), "");
    let seen: BTreeSet<String> = super::events(&lines)
        .iter()
        .map(|event| {
            let state = event["state"].as_str().unwrap_or_default();
            format!("{} {state}", event["event"].as_str().unwrap())
                .trim_end()
                .to_owned()
        })
        .collect();
    for name in [
        "step",
        "download started",
        "download retry",
        "download finished",
        "built",
        "fetched",
    ] {
        assert!(seen.contains(name), "{name}: {seen:?}");
    }
    // The judge can refuse.
    let other = "{\"event\":\"step\"}\n{\"event\":\"step\",\"name\":\"x\",\"more\":1}\n";
    assert_eq!(refused(python, &world, other).lines().count(), 2);
}

/// Whatever any verb tells is in the schema and on its page.
#[test]
fn every_event_of_the_sources_is_described() {
    let named = Regex::new(r#""event": *"([a-z-]+)""#).unwrap();
    let read = |path: &str| fs::read_to_string(top().join(path)).unwrap();
    let schema: serde_json::Value =
        serde_json::from_str(&read("docs/reference/events.schema.json")).unwrap();
    let known = schema["oneOf"].as_array().unwrap().iter();
    let known: BTreeSet<&str> = known
        .map(|event| event["properties"]["event"]["const"].as_str().unwrap())
        .collect();
    let page = read("docs/reference/events.md");
    let mut told = BTreeSet::new();
    for folder in ["src", "flash/src", "machine/src", "values/src"] {
        for entry in WalkDir::new(top().join("builder").join(folder)) {
            let path = entry.unwrap().into_path();
            if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                told.extend(named.captures_iter(&text).map(|found| found[1].to_owned()));
            }
        }
    }
    assert!(told.len() > 30, "{told:?}");
    for event in &told {
        assert!(
            known.contains(event.as_str()),
            "{event} is not in the schema"
        );
        assert!(
            page.contains(&format!("| `{event}")),
            "{event} is not on the page"
        );
    }
}

/// A log of a cold build fits a screen, however many files are fetched.
#[test]
fn a_cold_build_in_a_log_is_short() {
    let world = World::locked();
    let ran = Ran::of(&mut world.build()).good();
    assert!(ran.err.lines().count() <= 10, "{}", ran.err);
    assert!(ran.err.contains("fetched 5 files, "), "{}", ran.err);
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
}

#[test]
fn colours_are_for_terminals_and_for_who_forces_them() {
    let world = World::locked();
    for (variable, coloured) in [("CI", false), ("NO_COLOR", false), ("CLICOLOR_FORCE", true)] {
        let mut show = world.bare("recipe");
        let ran = Ran::of(show.args(["show", "-r", "no-such"]).env(variable, "1"));
        assert_eq!(
            ran.err.contains("\u{1b}[1;31merror:"),
            coloured,
            "{}",
            ran.err
        );
        let help = Ran::of(world.bare("build").arg("-h").env(variable, "1")).good();
        assert_eq!(help.out.contains('\u{1b}'), coloured, "{variable}");
    }
}

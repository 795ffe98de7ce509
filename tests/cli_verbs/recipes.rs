use std::fs;
use std::path::Path;
use std::process::Command;

use super::events;
use nodeimg_test_support::judge::python_with;
use nodeimg_test_support::place::top;
use nodeimg_test_support::run::{Ran, clean, nodeimg};
use nodeimg_test_support::synthetic::{RECIPE, World};

const BUILT_IN: [&str; 7] = [
    "bootstrap",
    "container-host",
    "hard-way",
    "hard-way-1.36",
    "hard-way-crio",
    "kubeadm",
    "kubeadm-crio",
];

fn recipe(words: &[&str]) -> Ran {
    Ran::of(nodeimg().arg("recipe").args(words)).good()
}

#[test]
fn list_names_the_built_in_recipes() {
    let out = recipe(&["list"]).out;
    let names: Vec<_> = out
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(names, BUILT_IN);
    let all = events(&recipe(&["list", "--json"]).out);
    let names: Vec<_> = all
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, BUILT_IN);
    assert!(
        all.iter()
            .all(|one| one["version"].is_string() && one["description"].is_string())
    );
}

#[test]
fn built_in_recipes_are_good_and_their_locks_fit() {
    for name in BUILT_IN {
        let ran = recipe(&["check", "--recipe", name]);
        assert!(
            ran.err.contains("valid") && ran.err.contains("its lock matches"),
            "{}",
            ran.err
        );
        Ran::of(nodeimg().args(["lock", "--check", "--recipe", name])).good();
    }
}

#[test]
fn a_part_of_recipes_is_extended_and_not_built() {
    for words in [
        &["recipe", "show", "--recipe", "base-trixie"][..],
        &["build", "--arch", "amd64", "--recipe", "base-trixie"],
        &["init", "new", "--from", "base-trixie"],
    ] {
        Ran::of(nodeimg().args(words))
            .refused(1, &["part for other recipes", "extends = \"base-trixie\""]);
    }
    let mut world = World::new();
    world.write_recipe("extends = \"base-trixie\"\n[base]\npackages = [\"strace\"]\n");
    let mut show = world.nodeimg("recipe");
    let refused = Ran::of(show.args(["show", "--recipe", "./recipe.toml"]));
    refused.refused(1, &["profile: missing"]);
}

#[test]
fn a_new_lock_of_a_built_in_recipe_needs_a_place() {
    let mut fetch = nodeimg();
    fetch.args([
        "fetch",
        "--relock-base",
        "--recipe",
        "hard-way",
        "--arch",
        "amd64",
    ]);
    Ran::of(&mut fetch).refused(1, &["`hard-way` is built in", "--lock FILE"]);
}

#[test]
fn show_prints_the_whole_recipe_as_one_that_can_be_used() {
    let world = World::new();
    let text = recipe(&["show", "--recipe", "hard-way-1.36"]).out;
    let table: toml::Table = text.parse().unwrap();
    assert!(!table.contains_key("extends"));
    assert_eq!(
        table["cluster"]["cluster_cidr"].as_str(),
        Some("10.200.0.0/16")
    );
    let json: serde_json::Value =
        serde_json::from_str(&recipe(&["show", "--json", "--recipe", "hard-way-1.36"]).out)
            .unwrap();
    assert_eq!(serde_json::to_value(&table).unwrap(), json);
    let file = world.path("shown.toml");
    fs::write(&file, &text).unwrap();
    assert_eq!(
        recipe(&["show", "--recipe", file.to_str().unwrap()]).out,
        text
    );
}

/// A file that extends another says only what differs.
#[test]
fn a_recipe_extends_another_file() {
    let mut world = World::warm();
    fs::create_dir(world.path("base")).unwrap();
    fs::rename(world.path("recipe.toml"), world.path("base/base.toml")).unwrap();
    fs::rename(world.path("overlay"), world.path("base/overlay")).unwrap();
    fs::create_dir_all(world.path("base/overlay/root/etc")).unwrap();
    fs::write(world.path("base/overlay/root/etc/motd"), "from the base\n").unwrap();
    world.write_recipe("extends = \"base/base.toml\"\nname = \"mine\"\n[kubelet]\nmax_pods = 64\n");
    Ran::of(&mut world.build()).good();
    let image = nodeimg_test_support::image::Extracted::of(&world.path("out/mine-1.0.0-amd64"));
    assert_eq!(image.text("/etc/motd"), "from the base\n");
    let kubelet = image.text("/usr/lib/nodeimg/kubelet-config.yaml");
    assert!(
        kubelet.contains("maxPods: 64") && kubelet.contains("10.32.0.10"),
        "{kubelet}"
    );
}

/// Reads a schema and documents, says which of them fit.
const JUDGE: &str = r#"
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
for path in sys.argv[2:]:
    errors = [e.json_path + ": " + e.message for e in Draft202012Validator(schema).iter_errors(json.load(open(path)))]
    print(json.dumps({"path": path, "errors": errors}))
"#;

#[test]
fn the_schema_judges_recipes_as_nodeimg_does() {
    let Some(python) = python_with("jsonschema") else {
        return;
    };
    let world = World::new();
    fs::write(world.path("schema.json"), recipe(&["schema"]).out).unwrap();
    let mut documents: Vec<(String, String, bool)> = BUILT_IN
        .iter()
        .map(|name| {
            let file = top().join(format!("recipes/{name}.toml"));
            ((*name).to_owned(), fs::read_to_string(file).unwrap(), true)
        })
        .collect();
    documents.push(("tiny".to_owned(), RECIPE.to_owned(), true));
    let bad = [
        ("max_pods = 16", "max_pods = \"many\""),
        ("max_pods = 16", "max_podz = 16"),
        ("10.200.0.0/16", "10.200.0.0"),
        ("kind = \"archive\"", "kind = \"arhcive\""),
        ("profile = \"hard-way\"", "profile = \"easy-way\""),
        ("\"/opt/cni/bin/\"", "\"opt/cni/bin/\""),
        ("1 MiB", "1 megabyte"),
    ];
    for (n, (from, to)) in bad.iter().enumerate() {
        assert!(RECIPE.contains(from));
        documents.push((format!("bad-{n}"), RECIPE.replacen(from, to, 1), false));
    }
    let mut judge = clean(Command::new(python));
    judge.args(["-c", JUDGE]).arg(world.path("schema.json"));
    for (name, text, _) in &documents {
        let value: toml::Table = text.parse().unwrap();
        let file = world.path(&format!("{name}.json"));
        fs::write(&file, serde_json::to_vec(&value).unwrap()).unwrap();
        judge.arg(file);
    }
    let verdicts = events(&Ran::of(&mut judge).good().out);
    assert_eq!(verdicts.len(), documents.len());
    for ((name, text, good), verdict) in documents.iter().zip(&verdicts) {
        let errors = verdict["errors"].as_array().unwrap();
        assert_eq!(errors.is_empty(), *good, "{name}: {errors:?}");
        // And nodeimg itself agrees.
        let file = world.path(&format!("{name}.toml"));
        fs::write(&file, text).unwrap();
        let ran = Ran::of(
            nodeimg()
                .args(["recipe", "show", "--recipe"])
                .arg(Path::new(&file)),
        );
        assert_eq!(ran.code, Some(i32::from(!good)), "{name}: {}", ran.err);
    }
}

/// Each pattern of the shipped configuration of Renovate finds what it is for.
#[test]
fn renovate_finds_the_versions_of_recipes() {
    let text = fs::read_to_string(top().join("docs/renovate.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    let read = |name: &str| fs::read_to_string(top().join("recipes").join(name)).unwrap();
    let recipes = read("parts/kubernetes-node.toml") + "\n" + &read("kubeadm-crio.toml");
    let managers = config["customManagers"].as_array().unwrap();
    for (manager, wanted) in managers.iter().zip([
        "kubernetes = ",
        "containerd/containerd",
        "cri-o",
        "registry.k8s.io/pause",
    ]) {
        let pattern = manager["matchStrings"][0].as_str().unwrap();
        let pattern = regex::Regex::new(pattern).unwrap();
        let mut found = pattern.captures_iter(&recipes);
        let first = found
            .next()
            .unwrap_or_else(|| panic!("{pattern} finds nothing"));
        assert!(first[0].contains(wanted), "{pattern}: {}", &first[0]);
        let version = &first["currentValue"];
        assert!(
            version.starts_with(|c: char| c.is_ascii_digit()),
            "{version}"
        );
    }
    assert_eq!(managers.len(), 4);
}

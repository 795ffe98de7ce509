//! No leaf of a network document is without effect: whatever value is changed, the
//! rendered files change, or the document is refused by the value's key, or a warning
//! names that key. A message about another key does not count.
//!
//! The documents are the generated ones of [`documents`], which cover every key, and the
//! fixtures that `NODEIMG_FIXTURES` names.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod documents;
mod mutate;

use std::path::Path;

use mutate::{Leaf, changes, leaves, tree, with};
use nodeimg_seed::read::network::{read, render};
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::{Problem, Problems};
use serde_json::Value;

/// What a document becomes.
struct Outcome {
    files: Vec<(String, String)>,
    problems: Vec<Problem>,
    good: bool,
}

fn outcome(make: &dyn Fn(&str) -> Seed, document: &Value) -> Outcome {
    let seed = make(&document.to_string());
    let mut problems = Problems::new();
    let network = read(&seed, &mut problems);
    Outcome {
        good: !problems.has_errors(),
        files: network.map(|network| render(&network)).unwrap_or_default(),
        problems: problems.into_vec(),
    }
}

/// Identifiers of the cloud and of MAAS, which ask for nothing: `docs/reference` lists them.
const IDENTIFIERS: [&str; 3] = ["vif_id", "network_id", "id"];

/// Whether a message is about the leaf: its key ends in the leaf's, or the message quotes
/// the key, the new value, or the old one that something else still refers to.
fn names(problem: &Problem, leaf: &Leaf, values: [&str; 2]) -> bool {
    let folded = |text: &str| text.replace('_', "-");
    let key = folded(problem.key.as_deref().unwrap_or_default());
    let said = format!("{} {}", problem.reason, problem.remedy);
    // A list's items have the key of the list; a link of version 2 has its name as a key.
    let near = leaf.keys.iter().rev().take(2).any(|own| {
        let own = folded(own);
        key == own || key.ends_with(&format!(".{own}"))
    });
    let quoted = |text: &str| said.contains(&format!("`{text}`"));
    near || values
        .iter()
        .any(|value| quoted(value) || said.contains(&format!("`version: {value}`")))
        || leaf.keys.last().is_some_and(|own| quoted(own))
}

/// Leaves that have no effect, each with its change.
fn idle(name: &str, make: &dyn Fn(&str) -> Seed, document: &Value) -> Vec<String> {
    let before = outcome(make, document);
    let mut found = Vec::new();
    for leaf in leaves(document) {
        let key = leaf.keys.last().map(String::as_str).unwrap_or_default();
        // A VLAN's number is an `id` too, and one of version 2 is not an identifier.
        let identifier = IDENTIFIERS.contains(&key) && !leaf.keys.iter().any(|key| key == "vlans");
        let links = leaf.keys.first().is_some_and(|key| key == "links");
        if identifier && !(links && key == "id") {
            continue;
        }
        for value in changes(key, leaf.value(document)) {
            let changed = with(document, &leaf, value.clone());
            let after = outcome(make, &changed);
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let old = leaf.value(document).as_str().unwrap_or_default();
            let told = |problem: &Problem| names(problem, &leaf, [&text, old]);
            let told = after.problems.iter().any(told);
            if !told && (after.files == before.files || !after.good) {
                let said: Vec<String> = after.problems.iter().map(ToString::to_string).collect();
                found.push(format!("{name}: {leaf} = {value}: {said:?}"));
            }
        }
    }
    found
}

fn no_cloud(network: &str) -> Seed {
    let mut seed = Seed::new(Layout::NoCloud, SeedFile::new("meta-data", ""));
    seed.network = Some(SeedFile::new("network-config", network));
    seed
}

fn in_meta_data(meta: &str) -> Seed {
    Seed::new(Layout::NoCloud, SeedFile::new("meta-data", meta))
}

/// The older form of a config drive.
fn interfaces(text: &str) -> Seed {
    let meta = r#"{"network_config": {"content_path": "/content/0000"}}"#;
    let mut seed = Seed::new(Layout::ConfigDrive, SeedFile::new("meta_data.json", meta));
    seed.interfaces = Some(SeedFile::new("openstack/content/0000", text));
    seed
}

fn drive(network: &str) -> Seed {
    let meta = SeedFile::new("openstack/latest/meta_data.json", "{}");
    let mut seed = Seed::new(Layout::ConfigDrive, meta);
    seed.network = Some(SeedFile::new("openstack/latest/network_data.json", network));
    seed
}

#[test]
fn every_leaf_of_the_generated_documents_counts() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, text) in documents::ALL {
        let make: &dyn Fn(&str) -> Seed = match *name {
            name if name.starts_with("meta") => &in_meta_data,
            name if name.starts_with("openstack") => &drive,
            _ => &no_cloud,
        };
        let document = tree(text);
        let before = outcome(make, &document);
        assert!(before.good, "{name}: {:?}", before.problems);
        assert!(!before.files.is_empty(), "{name}");
        count += leaves(&document).len();
        wrong.extend(idle(name, make, &document));
    }
    assert!(count > 250, "{count}");
    assert!(
        wrong.is_empty(),
        "{} leaves:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Every word of a file of the form of /etc/network/interfaces counts as well.
#[test]
fn every_word_of_interfaces_counts() {
    let read = |text: &str| {
        let mut problems = Problems::new();
        let network = read(&interfaces(text), &mut problems);
        let files = network.map(|network| render(&network)).unwrap_or_default();
        (files, problems.into_vec())
    };
    let (before, problems) = read(documents::INTERFACES);
    assert!(problems.is_empty() && before.len() > 4, "{problems:?}");
    let mut wrong = Vec::new();
    let mut count = 0;
    for (at, line) in documents::INTERFACES.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        for index in 0..words.len() {
            count += 1;
            let mut changed: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            changed[index].push('x');
            let mut lines: Vec<String> = documents::INTERFACES.lines().map(str::to_owned).collect();
            lines[at] = changed.join(" ");
            let (after, told) = read(&lines.join("\n"));
            let named = told.iter().any(|problem| {
                let said = problem.to_string();
                problem.line == Some(at + 1) || said.contains(words[index])
            });
            if !named && (after.is_empty() || after == before) {
                wrong.push(format!("{}: {told:?}", lines[at]));
            }
        }
    }
    assert!(count > 60, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An unknown key in any mapping is named.
#[test]
fn every_key_that_is_not_known_is_named() {
    let mut wrong = Vec::new();
    for (name, text) in documents::ALL {
        let make: &dyn Fn(&str) -> Seed = match *name {
            name if name.starts_with("meta") => continue,
            name if name.starts_with("openstack") => &drive,
            _ => &no_cloud,
        };
        let document = tree(text);
        for place in mutate::mappings(&document) {
            let changed = mutate::with_key(&document, &place, "frobnicate");
            let told = outcome(make, &changed).problems;
            // An interface of that name is described, not an option.
            let named = told
                .iter()
                .any(|problem| problem.to_string().contains("frobnicate"));
            let device = matches!(
                place.last().map(String::as_str),
                Some("ethernets" | "bonds" | "bridges")
            );
            if !named && !device {
                wrong.push(format!("{name}: {}", place.join(".")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_leaf_of_the_fixtures_counts() {
    let Some(base) = std::env::var_os("NODEIMG_FIXTURES") else {
        println!("skipped: NODEIMG_FIXTURES does not name the directory of the fixtures");
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(&base).join("first-boot")).unwrap() {
        let case = entry.unwrap().path();
        for (file, make) in [
            ("cidata/network-config", &no_cloud as &dyn Fn(&str) -> Seed),
            ("config-2/openstack/latest/network_data.json", &drive),
        ] {
            let Ok(text) = std::fs::read_to_string(case.join(file)) else {
                continue;
            };
            let Some(document) = mutate::parse(&text) else {
                continue;
            };
            // What is refused as it is has no leaf with an effect.
            if !outcome(make, &document).good {
                continue;
            }
            count += leaves(&document).len();
            wrong.extend(idle(
                &case.join(file).display().to_string(),
                make,
                &document,
            ));
        }
    }
    assert!(count > 250, "{count}");
    assert!(
        wrong.is_empty(),
        "{} leaves:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#![allow(clippy::unwrap_used)]
pub mod mirrored;

use std::fs;
use std::path::Path;

use nodeimg_seed::contract::runtime as shared;
use toml::{Table, Value};

use super::RUNTIMES;
use crate::input::recipe::tests::{recipe, refusal};

/// Every value of `ours` at the same place of `theirs`.
pub fn in_force(ours: &Table, theirs: &Table, at: &str, missing: &mut Vec<String>) {
    for (key, value) in ours {
        let here = format!("{at}.{key}");
        match (value, theirs.get(key)) {
            (Value::Table(ours), Some(Value::Table(theirs))) => {
                in_force(ours, theirs, &here, missing)
            }
            (ours, Some(theirs)) if ours == theirs => {}
            (ours, theirs) => missing.push(format!("{here} is {theirs:?}, not {ours}")),
        }
    }
}

#[test]
fn every_runtime_that_a_node_knows_can_be_built() {
    for runtime in shared::RUNTIMES {
        let of = RUNTIMES.iter().filter(|one| one.shared == *runtime);
        assert_eq!(of.count(), 1, "{}", runtime.name);
    }
}

#[test]
fn an_image_has_one_runtime_and_nothing_of_the_other() {
    let crio = "runtime = \"crio\"\n";
    let names = |more: &str| -> Vec<String> {
        let all = recipe(more).artifacts;
        all.iter().map(|a| a.name.to_string()).collect()
    };
    let (with, without) = (names(crio), names(""));
    assert!(with.contains(&"cri-o".to_owned()) && without.contains(&"containerd".to_owned()));
    for (names, other) in [(&with, "containerd"), (&with, "runc"), (&without, "cri-o")] {
        assert!(!names.contains(&other.to_owned()), "{names:?}");
    }
    let mine = recipe(crio);
    let paths: Vec<&str> = mine.writable.iter().map(|path| path.as_str()).collect();
    assert!(paths.contains(&"/var/lib/containers") && paths.contains(&"/var/lib/crio"));
    assert!(!paths.contains(&"/var/lib/containerd"), "{paths:?}");
    let units: Vec<&str> = mine.enable.iter().map(|unit| unit.as_str()).collect();
    assert!(units.contains(&"crio.service"), "{units:?}");
    assert!(!units.contains(&"containerd.service"), "{units:?}");
    assert!(!units.contains(&"nodeimg-images.service"), "{units:?}");
}

#[test]
fn a_table_of_a_runtime_that_the_image_does_not_have_is_refused() {
    for (more, wants) in [
        (
            "[crio]\ndefault_runtime = \"runc\"\n",
            vec![
                "mine.toml:2:1",
                "this image has containerd",
                "runtime = \"crio\"",
            ],
        ),
        (
            "runtime = \"crio\"\n[crio]\n[containerd]\n",
            vec!["mine.toml:4:1", "this image has crio"],
        ),
        (
            "runtime = \"docker\"\n",
            vec!["mine.toml:2:11", "`containerd` or `crio`"],
        ),
    ] {
        let text = refusal(more);
        for want in wants {
            assert!(text.contains(want), "{more:?} should say {want:?}:\n{text}");
        }
    }
}

/// Text of code that would ask which runtime it is, outside the runtimes' own files: those of
/// this folder and its like, and what a handler or a list of registries is for each of them.
#[test]
fn nothing_else_asks_which_runtime_it_is() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for folder in [
        "builder/src",
        "builder/machine/src",
        "firstboot/seed/src",
        "firstboot/program/src",
        "overlay/common",
        "overlay/hard-way",
        "overlay/bootstrap",
        "overlay/kubeadm",
    ] {
        walk(&top, &top.join(folder), &mut found);
    }
    assert_eq!(found, [""; 0]);
}

fn walk(top: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let shown = path.strip_prefix(top).unwrap().display().to_string();
        let own = [
            "/recipe/runtime",
            "/run/runtime",
            "/contract/runtime",
            "/check/runtime.rs",
            "/containerd.rs",
            "/crio.rs",
            "/recipe/handler",
            "/init/runtime.rs",
            // Where the versions of what is pinned are listed.
            "/lock/outdated/index.rs",
            "/contract/registries.rs",
            "/check/registries",
            "/plan/registries",
        ];
        if shown.contains("tests") || own.iter().any(|part| shown.contains(part)) {
            continue;
        }
        if path.is_dir() {
            walk(top, &path, found);
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (line, number) in code.lines().zip(1..) {
            if names_a_runtime(line) {
                found.push(format!("{shown}:{number}: {}", line.trim()));
            }
        }
    }
}

/// Comments may; so may the lines that make a runtime's table a part of a recipe, and the
/// annotation of an image's name, which is containerd's by its specification alone.
fn names_a_runtime(line: &str) -> bool {
    const GOOD: [&str; 3] = ["io.containerd.image.name", "ContainerdPart", "CrioPart"];
    let comment = ["//", "#"]
        .iter()
        .any(|mark| line.trim_start().starts_with(mark));
    // A disk for KubeVirt, whatever runs it.
    let code = line.to_lowercase().replace("containerdisk", "");
    let mut names = ["containerd", "crio", "cri-o"].iter();
    let is_good = comment || GOOD.iter().any(|good| line.contains(good));
    !is_good && names.any(|name| code.contains(name))
}

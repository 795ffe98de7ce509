//! Whatever an image is made of is in its key.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use super::*;
use crate::input::recipe::file::RecipeFile;
use crate::input::recipe::tests::recipe;
use crate::tree::key::changed;
use crate::tree::overlay::Overlay;
use crate::tree::{Node, Origin};

const MORE: &str = r#"
description = "all kinds of values"
[disk]
kernel_args = ["a=1", "b", "a=1"]
[sysctl]
"vm.x" = 1
"vm.y" = "2"
[kubelet.config]
failSwapOn = true
memoryThrottlingFactor = 0.5
registerWithTaints = [{ key = "d", effect = "NoSchedule" }]
[units]
enable = ["x.service"]
[registries."x.example"]
mirrors = ["https://y.example"]
"#;

/// The key, with one of the inputs another if `change` makes it so.
fn key(change: impl FnOnce(&mut Parts)) -> Digest {
    let mut parts = Parts::new();
    change(&mut parts);
    parts.key()
}

struct Parts {
    recipe: Recipe,
    brought: Brought,
    lock: Digest,
    arch: Arch,
    firstboot: Content,
    program: Digest,
}

fn node() -> Node {
    let mut node = Node::file(
        Content::inline(*b"text"),
        0o644,
        Origin::Overlay("one".into()),
    );
    node.stat.xattrs.insert("user.y".into(), b"1".to_vec());
    node
}

impl Parts {
    fn new() -> Parts {
        let path = |text: &str| text.parse().unwrap();
        let overlay = |at: &str| Overlay {
            root: vec![(path(at), node()), (path("/usr/z"), node())],
            templates: vec![(path("/etc/t"), "{{ a }}".to_owned())],
        };
        Parts {
            recipe: recipe(MORE),
            brought: Brought {
                overlays: vec![
                    ("one".to_owned(), overlay("/usr/a")),
                    ("two".to_owned(), overlay("/usr/b")),
                ],
                files: vec![(path("/etc/f"), node())],
            },
            lock: Digest::sha256(b"lock"),
            arch: Arch::Amd64,
            firstboot: Content::inline(*b"program"),
            program: Digest::sha256(b"nodeimg"),
        }
    }

    fn key(&self) -> Digest {
        let Key(digest) = Key::of(&self.inputs(), &self.program).unwrap();
        digest
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            recipe: &self.recipe,
            brought: &self.brought,
            locked: &self.lock,
            arch: self.arch,
            firstboot: &self.firstboot,
        }
    }
}

/// Refuses two keys that are equal.
fn all_differ(keys: Vec<(String, Digest)>) {
    let mut known: BTreeMap<Digest, String> = BTreeMap::new();
    for (what, key) in keys {
        if let Some(other) = known.insert(key, what.clone()) {
            panic!("one key: {other}, {what}");
        }
    }
}

#[test]
fn the_same_inputs_have_the_same_key() {
    assert_eq!(key(|_| {}), key(|_| {}));
}

#[test]
fn another_node_file_or_place_of_either_is_another_key() {
    let mut keys = vec![("as it is".to_owned(), key(|_| {}))];
    let mut add = |what: &str, change: &dyn Fn(&mut Parts)| {
        keys.push((what.to_owned(), key(|parts| change(parts))));
    };
    for (what, node) in changed(&node()) {
        add(&format!("overlay: {what}"), &|parts| {
            parts.brought.overlays[0].1.root[0].1 = node.clone();
        });
        add(&format!("file: {what}"), &|parts| {
            parts.brought.files[0].1 = node.clone();
        });
    }
    add("path", &|parts| {
        parts.brought.overlays[0].1.root[0].0 = "/usr/c".parse().unwrap();
    });
    add("path of a file", &|parts| {
        parts.brought.files[0].0 = "/etc/g".parse().unwrap();
    });
    add("removed", &|parts| {
        drop(parts.brought.overlays[0].1.root.remove(0))
    });
    add("moved to the other overlay", &|parts| {
        let node = parts.brought.overlays[0].1.root.remove(0);
        parts.brought.overlays[1].1.root.insert(0, node);
    });
    add("moved to the files", &|parts| {
        let node = parts.brought.overlays[1].1.root.pop().unwrap();
        parts.brought.files.insert(0, node);
    });
    add("a template as a file", &|parts| {
        let (path, text) = parts.brought.overlays[1].1.templates.remove(0);
        let node = Node::file(Content::inline(text.into_bytes()), 0o644, Origin::Implied);
        parts.brought.overlays[1].1.root.push((path, node));
    });
    add("name of an overlay", &|parts| {
        parts.brought.overlays[0].0 = "1".into()
    });
    add("order of overlays", &|parts| {
        parts.brought.overlays.reverse()
    });
    add("an empty overlay", &|parts| {
        parts
            .brought
            .overlays
            .push(("three".into(), Overlay::default()));
    });
    add("path of a template", &|parts| {
        parts.brought.overlays[0].1.templates[0].0 = "/etc/u".parse().unwrap();
    });
    add("text of a template", &|parts| {
        parts.brought.overlays[0].1.templates[0].1 = "{{ b }}".into();
    });
    all_differ(keys);
}

#[test]
fn all_builders_of_a_release_share_a_key() {
    let (parts, mut other) = (Parts::new(), Parts::new());
    other.program = Digest::sha256(b"built elsewhere");
    assert_ne!(parts.key(), other.key());
    let shared = |parts: &Parts| Key::shared(&parts.inputs()).unwrap();
    assert_eq!(shared(&parts), shared(&other));
    assert_ne!(shared(&parts).0, parts.key());
    assert_eq!(shared(&parts).short().len(), 32);
    other.lock = Digest::sha256(b"x");
    assert_ne!(shared(&parts), shared(&other));
}

#[test]
fn another_lock_program_or_architecture_is_another_key() {
    let of =
        |what: &str, change: &dyn Fn(&mut Parts)| (what.to_owned(), key(|parts| change(parts)));
    all_differ(vec![
        of("as it is", &|_| {}),
        of("lock", &|parts| parts.lock = Digest::sha256(b"x")),
        of("program", &|parts| parts.program = Digest::sha256(b"x")),
        of("both", &|parts| {
            std::mem::swap(&mut parts.lock, &mut parts.program)
        }),
        of("architecture", &|parts| parts.arch = Arch::Arm64),
        of("first boot", &|parts| {
            parts.firstboot = Content::inline(*b"x")
        }),
    ]);
}

/// Every change of one value in `value`, each with its place.
fn changes(value: &toml::Value, at: &str) -> Vec<(String, Option<toml::Value>)> {
    let mut all = vec![(at.to_owned(), None)];
    match value {
        toml::Value::Table(table) => {
            for (key, inner) in table {
                for (place, change) in changes(inner, &format!("{at}.{key}")) {
                    let mut table = table.clone();
                    match change {
                        Some(inner) => drop(table.insert(key.clone(), inner)),
                        None => drop(table.remove(key)),
                    }
                    all.push((place, Some(table.into())));
                }
            }
        }
        toml::Value::Array(list) => {
            for (number, inner) in list.iter().enumerate() {
                for (place, change) in changes(inner, &format!("{at}[{number}]")) {
                    let mut list = list.clone();
                    match change {
                        Some(inner) => list[number] = inner,
                        None => drop(list.remove(number)),
                    }
                    all.push((place, Some(list.into())));
                }
            }
        }
        toml::Value::String(text) => {
            all.push((format!("{at} longer"), Some(format!("{text}1").into())));
        }
        toml::Value::Integer(number) => all.push((format!("{at} + 1"), Some((number + 1).into()))),
        toml::Value::Float(number) => all.push((format!("{at} + 1"), Some((number + 1.0).into()))),
        toml::Value::Boolean(is) => all.push((format!("not {at}"), Some((!is).into()))),
        toml::Value::Datetime(_) => {}
    }
    all
}

#[test]
fn another_value_of_the_recipe_is_another_key() {
    let mut parts = Parts::new();
    let whole = toml::Value::try_from(&parts.recipe.effective).unwrap();
    let (mut told, mut seen) = (0, Vec::new());
    let same = parts.key();
    for (place, change) in changes(&whole, "") {
        let Some(change) = change else { continue };
        if change == whole || seen.contains(&change) {
            continue;
        }
        // What the types refuse is not a recipe.
        let Ok(file) = change.clone().try_into::<RecipeFile>() else {
            continue;
        };
        if toml::Value::try_from(&file).unwrap() == whole {
            continue;
        }
        parts.recipe.effective = file;
        assert_ne!(parts.key(), same, "{place}");
        told += 1;
        seen.push(change);
    }
    assert!(told > 100, "{told} changes");
    let mut parts = Parts::new();
    parts.recipe.registries.clear();
    assert_ne!(parts.key(), same, "registries");
}

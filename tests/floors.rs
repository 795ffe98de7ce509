//! The order of floors: in every package the rooms use those below them, and none
//! above. A room is a file or a folder of the sources, at the place that its name says.
//!
//! [`HOUSES`] has the rooms of a folder from the top down. To add a package: a row.
//! Tests of a room are not part of it; neither is what its comments link to.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use nodeimg_test_support::place::top;
use regex::Regex;

const HOUSES: &[(&str, &[&str])] = &[
    (
        "builder/src",
        &[
            "cmd", "cli", "verify", "publish", "output", "image", "input", "tree", "store",
            "programs",
        ],
    ),
    (
        "builder/src/image",
        &[
            "rootfs",
            "accepted",
            "not_free",
            "lint",
            "absent",
            "brought",
            "consistency",
            "layers",
            "boot",
            "base",
            "config",
            "firstboot",
            "told",
            "kubeadm",
            "modules",
            "libraries",
            "units",
        ],
    ),
    (
        "builder/src/input",
        &[
            "resolve",
            "bring",
            "chosen",
            "debian",
            "vouch",
            "lock",
            "recipe",
            "published",
            "artifact",
            "fetch",
        ],
    ),
    (
        "builder/machine/src",
        &["test", "inventory", "seed", "qemu", "pki"],
    ),
    (
        "builder/flash/src",
        &[
            "flash",
            "list",
            "judge",
            "lay",
            "write",
            "image",
            "target",
            "signatures",
            "device",
        ],
    ),
    (
        "builder/trust/src",
        &[
            "tuf", "verify", "collect", "known", "roots", "sigstore", "openpgp", "sources",
            "demand", "proof", "refusal", "vouched",
        ],
    ),
    (
        "builder/signing/src",
        &[
            "efi",
            "authenticode",
            "dsse",
            "pkcs7",
            "signer",
            "certificate",
            "der",
        ],
    ),
    (
        "builder/src/output/sign",
        &[
            "apply",
            "signatures",
            "keys",
            "extension",
            "esp",
            "update",
            "statement",
            "target",
        ],
    ),
    (
        "builder/inspect/src",
        &[
            "page",
            "difference",
            "treemap",
            "text",
            "report",
            "configuration",
            "image",
            "boot",
            "root",
            "directories",
            "medium",
        ],
    ),
    (
        "builder/formats/src",
        &[
            "update",
            "update",
            "squashfs",
            "fat",
            "qcow2",
            "oci",
            "pe",
            "cpio",
            "tar",
            "ar",
            "go_buildinfo",
            "elf",
            "packing",
            "gpt",
            "verity",
            "guid",
            "blocks",
            "guarded",
            "sparse",
            "region",
            "readable",
        ],
    ),
    (
        "builder/values/src",
        &[
            "atomic",
            "progress",
            "trace",
            "terminal",
            "stdin",
            "parallel",
            "temporary",
            "regular",
            "size",
            "full",
            "epoch",
            "date",
            "key",
            "digest",
            "system",
            "signals",
            "arch",
        ],
    ),
    (
        "firstboot/seed/src",
        &[
            "examine", "plan", "check", "write", "read", "contract", "text", "volume",
        ],
    ),
    (
        "firstboot/seed/src/read",
        &[
            "meta_data",
            "cloud_config",
            "node_config",
            "network",
            "user_data",
            "near",
            "seed",
            "budget",
        ],
    ),
    (
        "firstboot/program/src",
        &[
            "health", "run", "initrd", "search", "source", "media", "machine", "apply", "root",
            "cli",
        ],
    ),
    (
        "firstboot/update/src",
        &[
            "verbs", "cli", "engine", "refusal", "source", "esp", "slots", "node",
        ],
    ),
    ("firstboot/update/src/engine", &["local", "fetch", "switch"]),
    (
        "firstboot/program/src/run",
        &[
            "commands",
            "reprovision",
            "scrub",
            "early",
            "kept",
            "renewed",
            "here",
            "prepare",
            "steady",
            "runtime",
            "outstanding",
            "versions",
            "result",
        ],
    ),
];

/// Compiled once, since there are thousands of lines.
type Pattern = LazyLock<Regex>;

macro_rules! pattern {
    ($text:expr $(,)?) => {
        LazyLock::new(|| Regex::new($text).unwrap())
    };
}

/// The sources that touch nothing outside of themselves.
const PURE: &str = "firstboot/seed/src";

#[test]
fn arrows_go_down() {
    let mut wrong = Vec::new();
    for (folder, rooms) in HOUSES {
        let house = House::read(folder);
        let prefix = house.module_of(&top().join(folder).join("mod.rs"));
        let listed: BTreeSet<String> = rooms.iter().map(|room| (*room).to_owned()).collect();
        let found = house.rooms(&prefix);
        for room in found.symmetric_difference(&listed) {
            wrong.push(format!("{folder} and its row differ by {room}"));
        }
        let floor = |path: &[String]| {
            let inside = path.strip_prefix(prefix.as_slice())?;
            let room = inside.first()?;
            rooms.iter().position(|known| known == room)
        };
        for (file, module, text) in &house.sources {
            let Some(own) = floor(module) else { continue };
            for target in references(module, text) {
                let shown = file.strip_prefix(top()).unwrap().display();
                let path = target.join("::");
                match floor(&target) {
                    Some(other) if other < own => {
                        wrong.push(format!("{shown} uses {path}, which is above it"));
                    }
                    None if prefix.is_empty() => {
                        wrong.push(format!("{shown} uses {path} of the package's root"));
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_are_where_their_names_say() {
    let folders = ["builder", "firstboot", "tests"];
    let files = folders
        .iter()
        .flat_map(|name| rust_files(&top().join(name)));
    let mut read = 0;
    for file in files {
        // What ci/fuzz builds.
        if file.iter().any(|part| part == "target") {
            continue;
        }
        read += 1;
        let text = fs::read_to_string(&file).unwrap();
        let found = text
            .lines()
            .any(|line| line.trim_start().starts_with("#[path"));
        assert!(
            !found,
            "{}: has a #[path]; use tests/support",
            file.display()
        );
    }
    assert!(read > 400, "read only {read} files");
}

#[test]
fn the_library_of_seeds_asks_the_machine_for_nothing() {
    static ASKS: Pattern = pattern!(
        r"std::(env|fs|process|thread|os)\b|std::net::(Tcp|Udp|ToSocket)|SystemTime|Instant\b|^use (nix|rustix)\b",
    );
    for (file, _, text) in House::read(PURE).sources {
        let found: Vec<&str> = text.lines().filter(|line| ASKS.is_match(line)).collect();
        assert!(found.is_empty(), "{}: {found:?}", file.display());
    }
}

#[test]
fn references_are_found_as_they_are_written() {
    let module = ["read", "seed"].map(str::to_owned);
    let text = "use crate::text::yaml::{self, Kind};\n\
                use crate::{check::Inputs, plan::{self, Plan}};\n\
                use super::Layout;\n\
                pub(super) fn f(x: &super::super::volume::Volume) { crate::examine::examine(x) }\n";
    let found: Vec<String> = references(&module, text)
        .iter()
        .map(|path| path.join("::"))
        .collect();
    let expected = [
        "text::yaml",
        "check::Inputs",
        "plan",
        "read::Layout",
        "volume::Volume",
        "examine::examine",
    ];
    assert_eq!(found, expected);
}

#[test]
fn tests_and_comments_are_not_looked_at() {
    let text = "//! See [`crate::plan`].\n#[cfg(test)]\nmod judge;\nuse crate::a; // crate::b\n\
                #[cfg(test)]\n#[allow(x)]\nmod tests {\n    use crate::c;\n}\n";
    assert_eq!(without_tests(text).trim(), "mod judge;\nuse crate::a;");
}

/// The sources of a package, tests left out.
struct House {
    /// The folder of the package's `lib.rs` or `main.rs`.
    root: PathBuf,
    /// File, path of its module, text.
    sources: Vec<(PathBuf, Vec<String>, String)>,
}

impl House {
    /// The package that a folder belongs to.
    fn read(folder: &str) -> Self {
        let root = folder.split_inclusive("src").next().unwrap();
        let mut house = Self {
            root: top().join(root),
            sources: Vec::new(),
        };
        let files = rust_files(&house.root);
        let texts: Vec<String> = files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        let tests: Vec<PathBuf> = files
            .iter()
            .zip(&texts)
            .flat_map(|(file, text)| test_modules(file, text))
            .collect();
        for (file, text) in files.iter().zip(&texts) {
            if !tests.iter().any(|test| file.starts_with(test)) {
                let module = house.module_of(file);
                house
                    .sources
                    .push((file.clone(), module, without_tests(text)));
            }
        }
        assert!(!house.sources.is_empty(), "{folder} has no sources");
        house
    }

    fn module_of(&self, file: &Path) -> Vec<String> {
        let inside = file.strip_prefix(&self.root).unwrap().with_extension("");
        let mut path: Vec<String> = inside
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if is_root(file) {
            path.pop();
        }
        path
    }

    fn rooms(&self, prefix: &[String]) -> BTreeSet<String> {
        let paths = self.sources.iter().map(|(_, module, _)| module);
        paths
            .filter_map(|path| path.strip_prefix(prefix)?.first().cloned())
            .collect()
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter();
    entries
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Whether a file stands for the folder that it is in.
fn is_root(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    matches!(name, Some("mod.rs" | "lib.rs" | "main.rs"))
}

/// Files of the modules that a file has for tests alone, and folders of such.
fn test_modules(file: &Path, text: &str) -> Vec<PathBuf> {
    static DECLARED: Pattern =
        pattern!(r"(?m)^#\[cfg\(test\)\]\n((?:#\[.*\]\n)*)(?:pub(?:\(\w+\))? )?mod (\w+);");
    static PATH: Pattern = pattern!(r#"#\[path = "(.*)"\]"#);
    let beside = file.parent().unwrap();
    let below = match is_root(file) {
        true => beside.to_owned(),
        false => file.with_extension(""),
    };
    let mut found = Vec::new();
    for module in DECLARED.captures_iter(text) {
        if let Some(named) = PATH.captures(&module[1]) {
            let named = beside.join(&named[1]);
            match is_root(&named) {
                true => found.push(named.parent().unwrap().to_owned()),
                false => found.push(named),
            }
        } else {
            found.push(below.join(format!("{}.rs", &module[2])));
            found.push(below.join(&module[2]));
        }
    }
    found
}

/// Without comments, and without a module of tests at the end.
fn without_tests(text: &str) -> String {
    static COMMENT: Pattern = pattern!(r"(?m)(^|\s)//.*$");
    static TESTS: Pattern = pattern!(r"(?s)#\[cfg\(test\)\]\n(#\[[^\n]*\]\n)*mod \w+ \{.*");
    let text = COMMENT.replace_all(text, "");
    let text = TESTS.replace(&text, "");
    text.replace("#[cfg(test)]\n", "")
}

/// Paths in the package that a module names, each from the package's root, as far
/// as a room in a room.
fn references(module: &[String], text: &str) -> Vec<Vec<String>> {
    static NAMED: Pattern = pattern!(r"\b(crate|(?:super::)*super)::");
    let mut found = Vec::new();
    for start in NAMED.captures_iter(text) {
        let base = match &start[1] {
            "crate" => &[],
            supers => {
                let up = supers.split("::").count();
                &module[..module.len().saturating_sub(up)]
            }
        };
        let rest = &text[start.get(0).unwrap().end()..];
        for path in paths(rest) {
            let mut target = base.to_vec();
            target.extend(path);
            found.push(target);
        }
    }
    found
}

/// The paths that begin here: one, or those of a list in braces. Two names of each
/// at most.
fn paths(text: &str) -> Vec<Vec<String>> {
    static NAMES: Pattern = pattern!(r"^(\w+)(?:::(\w+))?");
    let Some(list) = text.strip_prefix('{') else {
        let names = NAMES.captures(text);
        let names = names
            .iter()
            .flat_map(|names| names.iter().skip(1).flatten());
        let path = names.map(|name| name.as_str().to_owned()).collect();
        return vec![path];
    };
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let item = list[start..at].trim();
                if !item.is_empty() && item != "self" {
                    found.extend(paths(item));
                }
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

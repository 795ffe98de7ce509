//! Every library that a program of the tree asks its loader for is in the tree.
//!
//! A package that the recipe leaves out shows here, before a node finds out.
//! No ldconfig cache is built: the loader's own directories suffice, and the
//! lint holds the tree to just these. Libraries that a program opens by
//! itself (`dlopen`) are not seen.

use anyhow::{Context, Result, bail};

use super::Base;
use crate::arch::Arch;
use crate::format::elf;
use crate::tree::{ImagePath, Kind, Tree};

/// As the loader looks, after the file's own run path.
fn directories(arch: Arch) -> [String; 3] {
    let triplet = arch.triplet();
    [
        format!("/usr/lib/{triplet}"),
        "/usr/lib".to_owned(),
        "/usr/lib64".to_owned(),
    ]
}

pub fn check(base: &mut Base<'_>) -> Result<()> {
    let defaults = directories(base.facts.arch);
    let mut problems = Vec::new();
    for (path, node) in base.tree.iter() {
        let Kind::File(content) = &node.kind else {
            continue;
        };
        let read = |offset, len| content.read_at(offset, len);
        let Some(dynamic) = elf::dynamic(read).with_context(|| format!("reading {path}"))? else {
            continue;
        };
        let mut run_path = run_path(path, dynamic.run_path.as_deref());
        // A private library may rest on its neighbours: the program that has
        // the run path loads them first (libsystemd-core, libsystemd-shared).
        run_path.extend(path.parent().map(String::from));
        for library in &dynamic.needed {
            let places = run_path.iter().chain(&defaults);
            if !found(base.tree, library, places) {
                problems.push(format!(
                    "`{path}` (from {}) needs the library `{library}`, which is not in the image",
                    node.origin
                ));
            }
        }
        if let Some(loader) = &dynamic.interpreter
            && !exists(base.tree, loader)
        {
            problems.push(format!(
                "`{path}` (from {}) needs the loader `{loader}`, which is not in the image",
                node.origin
            ));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    problems.push("add the packages that hold them to `base.packages`".to_owned());
    bail!("{}", problems.join("\n"))
}

/// `$ORIGIN` is the directory of the file itself.
fn run_path(path: &ImagePath, text: Option<&str>) -> Vec<String> {
    let parent = path.parent();
    let origin = parent.as_ref().map_or("/", ImagePath::as_str);
    text.unwrap_or_default()
        .split(':')
        .filter(|part| !part.is_empty())
        .map(|part| part.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))
        .collect()
}

fn found<'a>(tree: &Tree, library: &str, mut places: impl Iterator<Item = &'a String>) -> bool {
    if library.starts_with('/') {
        return exists(tree, library);
    }
    places.any(|place| exists(tree, &format!("{place}/{library}")))
}

/// Whether a file is at `path`, through links where there are some.
fn exists(tree: &Tree, path: &str) -> bool {
    let mut next = normal(path);
    for _ in 0..16 {
        let Ok(path) = next.parse::<ImagePath>() else {
            return false;
        };
        match tree.get(&path).map(|node| &node.kind) {
            Some(Kind::File(_)) => return true,
            Some(Kind::Symlink(target)) if target.starts_with('/') => next = normal(target),
            Some(Kind::Symlink(target)) => {
                let parent = path.parent().unwrap_or_else(ImagePath::root);
                next = normal(&format!("{parent}/{target}"));
            }
            _ => return false,
        }
    }
    false
}

/// Without `.`, `..` and empty parts.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

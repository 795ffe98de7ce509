//! Which libraries a program of a tree asks its loader for, and what they are
//! in the tree.
//!
//! Looked for as the loader does that has no cache: the program's own run path,
//! then the directories that every loader knows. Libraries that a program opens
//! by itself (`dlopen`) are not seen.

use anyhow::{Context, Result};
use nodeimg_formats::elf::dynamic;
use nodeimg_values::arch::Arch;

use crate::tree::{Content, ImagePath, Kind, Tree};

/// More links than this in a row are a loop.
const MAX_LINKS: usize = 16;

/// A library or a loader.
pub struct NeededLibrary {
    /// As the program names it.
    pub name: String,
    /// Every link on the way and last the file; `None` if it is not there.
    pub way: Option<Vec<ImagePath>>,
}

/// What one program wants.
pub struct Wants {
    pub libraries: Vec<NeededLibrary>,
    pub interpreter: Option<NeededLibrary>,
}

/// What the file at `path`, of `content`, wants; `None` if it is not a dynamic
/// 64-bit ELF file.
pub fn wants(
    tree: &Tree,
    arch: Arch,
    path: &ImagePath,
    content: &Content,
) -> Result<Option<Wants>> {
    let read = |offset, len| content.read_at(offset, len);
    let Some(dynamic) = dynamic::read(read).with_context(|| format!("reading {path}"))? else {
        return Ok(None);
    };
    let mut places = run_path(path, dynamic.run_path.as_deref());
    // A private library may rest on its neighbours: the program that has the
    // run path loads them first (libsystemd-core, libsystemd-shared).
    places.extend(path.parent().map(String::from));
    places.extend(directories(arch));
    let libraries = dynamic.needed.into_iter().map(|name| NeededLibrary {
        way: found(tree, &name, &places),
        name,
    });
    let libraries = libraries.collect();
    let interpreter = dynamic.interpreter.map(|name| NeededLibrary {
        way: follow(tree, &name),
        name,
    });
    Ok(Some(Wants {
        libraries,
        interpreter,
    }))
}

/// As the loader looks, after the file's own run path.
fn directories(arch: Arch) -> [String; 3] {
    let triplet = arch.triplet();
    [
        format!("/usr/lib/{triplet}"),
        "/usr/lib".to_owned(),
        "/usr/lib64".to_owned(),
    ]
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

fn found(tree: &Tree, library: &str, places: &[String]) -> Option<Vec<ImagePath>> {
    if library.starts_with('/') {
        return follow(tree, library);
    }
    let mut places = places.iter();
    places.find_map(|place| follow(tree, &format!("{place}/{library}")))
}

/// Every link from `path` on and the file that they lead to; `None` if there
/// is none. Links of directories are not followed.
pub fn follow(tree: &Tree, path: &str) -> Option<Vec<ImagePath>> {
    let mut way = Vec::new();
    let mut next = normal(path);
    while way.len() < MAX_LINKS {
        let path: ImagePath = next.parse().ok()?;
        next = match &tree.get(&path)?.kind {
            Kind::File(_) => {
                way.push(path);
                return Some(way);
            }
            Kind::Symlink(target) if target.starts_with('/') => normal(target),
            Kind::Symlink(target) => {
                let parent = path.parent().unwrap_or_else(ImagePath::root);
                normal(&format!("{parent}/{target}"))
            }
            Kind::Directory => return None,
        };
        way.push(path);
    }
    None
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

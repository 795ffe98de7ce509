//! What one part of a tree says of another: what a node would find out at boot, or never.
//!
//! ```text
//! kubernetes documents of kubeadm and kubelet, flags of programs
//! lines      lines of tmpfiles.d and the like that systemd would pass over
//! modules    every name of a kernel module is one that the image's kernel knows
//! programs   scripts and ELF files that a kernel can start
//! units      units whose programs, users and other units are there
//! runtime    files of the container runtime's configuration
//! secrets    keys and tokens, which every node would share
//! ```
//! What people lay in is judged: overlays, `[[file]]` and artifacts. What an artifact
//! brings along and nobody may ever use is a warning. Debian's packages are not judged,
//! but for the modules that they load.
//!
//! # Invariants
//! - Whether something is missing is asked only of an image with a base system: an overlay
//!   lies over one that is not known here.
//! - What may come at boot (below `/run`, `/var` or a directory of `writable`) is not
//!   missing.

mod kubernetes;
mod lines;
mod modules;
mod programs;
mod runtime;
mod secrets;
#[cfg(test)]
mod tests;
mod units;

use anyhow::{Result, bail};
use nodeimg_seed::contract::paths::TEMPLATE_DIR;
use nodeimg_values::arch::Arch;

use super::modules::Modules;
use crate::input::artifact::oci_image::store;
use crate::input::recipe::Recipe;
use crate::input::recipe::value::Version;
use crate::tree::{ImagePath, Node, Origin, Tree};

/// Where things come to be only at boot.
const LATER: [&str; 10] = [
    "/dev", "/home", "/media", "/mnt", "/proc", "/root", "/run", "/srv", "/sys", "/tmp",
];
const VAR: &str = "/var";

/// What is compared.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    pub recipe: &'a Recipe,
    pub arch: Arch,
    /// Before it is sealed: every path is where its author put it.
    pub tree: &'a Tree,
    /// Each kernel of the tree with what it knows.
    pub kernels: &'a [Modules],
    /// The version of the image's container runtime, if it is known.
    pub runtime: Option<&'a Version>,
    /// The version of the image's Kubernetes, if it is known.
    pub kubernetes: Option<&'a Version>,
}

/// What was found, each at its place.
#[derive(Default)]
struct Findings {
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Judged<'_> {
    /// The warnings.
    ///
    /// # Errors
    /// With every problem at once, each with its file, line and source.
    pub fn judge(&self) -> Result<Vec<String>> {
        let mut found = Findings::default();
        modules::judge(self, &mut found)?;
        for (path, node) in self.own() {
            programs::judge(self, path, node, &mut found)?;
            secrets::judge(path, node, &mut found)?;
        }
        units::judge(self, &mut found)?;
        kubernetes::judge(self, &mut found)?;
        runtime::judge(self, &mut found)?;
        lines::judge(self, &mut found)?;
        if found.problems.is_empty() {
            return Ok(found.warnings);
        }
        bail!("{}", found.problems.join("\n"))
    }

    /// What the recipe's author laid in, and artifacts.
    fn own(&self) -> impl Iterator<Item = (&ImagePath, &Node)> {
        let all = self.tree.iter();
        all.filter(|(path, node)| is_own(&node.origin) && !store::holds(path))
    }

    fn has_base(&self) -> bool {
        self.recipe.needs_base()
    }

    /// Whether `path` may come to be on the node, though it is not in the image.
    fn comes_later(&self, path: &ImagePath) -> bool {
        let below = |top: &str| top.parse().is_ok_and(|top| path.is_within(&top));
        let template = format!("{TEMPLATE_DIR}{path}").parse();
        LATER.into_iter().chain([VAR]).any(below)
            || self.recipe.writable.iter().any(|top| path.is_within(top))
            || template.is_ok_and(|path| self.tree.get(&path).is_some())
    }
}

fn is_own(origin: &Origin) -> bool {
    is_given(origin) || matches!(origin, Origin::Artifact(_))
}

/// Whether it is the author's own file.
fn is_given(origin: &Origin) -> bool {
    match origin {
        Origin::Overlay(_) => true,
        Origin::Recipe(key) => key == "file",
        _ => false,
    }
}

impl Findings {
    /// A problem of what the author wrote; of an artifact a warning, since its publisher's
    /// files are as they are.
    fn add(&mut self, origin: &Origin, text: String) {
        match origin {
            Origin::Artifact(_) => self.warnings.push(text),
            _ => self.problems.push(text),
        }
    }
}

/// A line of a file, as messages name it.
fn at(path: &ImagePath, line: usize, origin: &Origin) -> String {
    format!("`{path}:{line}` (from {origin})")
}

/// The candidate that a slip of the pen makes `word` of, or another ending.
fn near<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = if word.len() < 5 { 1 } else { 2 };
    candidates
        .filter(|name| name.len().abs_diff(word.len()) <= most)
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, _)| (1..=most).contains(distance))
        .min()
        .map(|(_, name)| name)
}

//! Kernel modules: what a tree has of them, and the index that finds them.
//!
//! What [depmod(8)](https://manpages.debian.org/trixie/kmod/depmod.8.en.html)
//! writes into a kernel's directory is written here from the [`Tree`], byte for
//! byte as kmod 34 does, without a root, a chroot or that program:
//!
//! ```text
//! /usr/lib/modules/<release>/
//!   kernel/**/*.ko{,.xz,.zst,.gz}   read      .modinfo, symbols
//!   modules.order                   read      the order of everything below
//!   modules.builtin{,.modinfo}      read      what the kernel has in itself
//!   modules.dep{,.bin}              written   which others a module needs
//!   modules.alias{,.bin}            written   which module a device asks for
//!   modules.symbols{,.bin}          written   who exports a symbol
//!   modules.{softdep,weakdep}       written   who is better loaded before or after
//!   modules.devname                 written   device nodes that load a module
//!   modules.builtin{,.alias}.bin    written   names and aliases of the built-in ones
//! /usr/lib/tmpfiles.d/nodeimg-static-nodes.conf
//!                                   written   the same nodes, made at boot
//! ```
//!
//! A module has the name of its file with `_` for `-`. An alias is a pattern
//! ([fnmatch(3)](https://manpages.debian.org/trixie/manpages-dev/fnmatch.3.en.html))
//! that a module answers to.
//!
//! # Invariants
//! - [`Modules::modules`] is in the order of modules.order, what that does not
//!   list after it by path; so every file is the same on every host.
//! - Names, aliases and the dependencies' lines are printable ASCII: the index
//!   knows nothing else.
//! - No module needs itself, through whichever others.
//!
//! Left out: depmod.d (which of two modules of one name wins: here they are an
//! error, except that `updates/` wins over the rest), symbolic links to
//! modules, modules of other than 64-bit little-endian machines.

mod closure;
mod firmware;
mod index;
mod needs;
mod object;
mod read;
mod trie;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::store::Store;
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

pub use index::Stored;
pub use read::uncompressed;

/// Name of the step of a build that makes the index.
pub const STEP: &str = "indexing the kernel modules";
/// For systemd-tmpfiles: what kmod-static-nodes.service would write at every boot. That unit is
/// skipped if this is there.
pub const STATIC_NODES: &str = "/usr/lib/tmpfiles.d/nodeimg-static-nodes.conf";
/// Where kernels have their modules, a directory each.
const MODULES: &str = "/usr/lib/modules";
/// What the names of modules end in, packed and not.
const SUFFIXES: [&str; 4] = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"];

/// Facts about one kernel's modules, from the tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Modules {
    /// As `uname -r` says it.
    pub release: String,
    modules: Vec<Module>,
    built_in: BuiltIn,
}

#[cfg(test)]
impl Modules {
    /// A kernel with nothing but names.
    pub fn of_names(release: &str, loadable: &[&str], built_in: &[&str]) -> Modules {
        let mut modules = Modules::of_paths(release, loadable);
        let built_in = built_in.iter().map(|name| (*name).to_owned());
        modules.built_in.names = Some(built_in.collect());
        modules
    }

    /// The same, with what its module `name` says of firmware.
    pub fn with_firmware(mut self, name: &str, files: &[&str]) -> Modules {
        for module in self.modules.iter_mut().filter(|module| module.name == name) {
            module.facts.firmware = files.iter().map(|file| (*file).to_owned()).collect();
        }
        self
    }

    /// The same of modules at these paths (`drivers/ata/ahci`) below `kernel`.
    pub fn of_paths(release: &str, paths: &[&str]) -> Modules {
        let module = |(rank, path): (usize, &&str)| Module {
            path: format!("{MODULES}/{release}/kernel/{path}.ko")
                .parse()
                .unwrap_or_else(|_| ImagePath::root()),
            name: module_name(path),
            facts: ModuleFacts::default(),
            needs: Vec::new(),
            rank,
        };
        Modules {
            release: release.to_owned(),
            modules: paths.iter().enumerate().map(module).collect(),
            built_in: BuiltIn::default(),
        }
    }
}

/// One module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Module {
    path: ImagePath,
    name: String,
    facts: ModuleFacts,
    /// The modules whose symbols it uses, by place in [`Modules::modules`], in
    /// order of first use.
    needs: Vec<usize>,
    /// Place in an order where every module comes before those it needs.
    rank: usize,
}

/// What a module says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct ModuleFacts {
    aliases: Vec<String>,
    soft: Vec<String>,
    weak: Vec<String>,
    /// Files below /usr/lib/firmware that it may ask for, or patterns of them.
    firmware: Vec<String>,
    /// Symbols that others may use.
    exports: Vec<String>,
}

/// What the kernel has in itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct BuiltIn {
    /// Names of modules; `None` if the kernel does not tell.
    names: Option<Vec<String>>,
    /// (alias, module); `None` if the kernel does not tell.
    aliases: Option<Vec<(String, String)>>,
}

impl Module {
    /// `kernel/fs/fuse/fuse.ko.xz`: within the directory of its kernel.
    fn relative(&self, release: &str) -> &str {
        let path = self.path.as_str();
        let below = path
            .strip_prefix(MODULES)
            .and_then(|rest| rest.strip_prefix('/'));
        below
            .and_then(|rest| rest.strip_prefix(release)?.strip_prefix('/'))
            .unwrap_or(path)
    }
}

/// `snd_hda_intel` of `kernel/sound/snd-hda-intel.ko.xz`.
fn module_name(path: &str) -> String {
    let file = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let name = file.split_once('.').map_or(file, |(name, _)| name);
    name.replace('-', "_")
}

fn is_module(path: &ImagePath) -> bool {
    SUFFIXES
        .iter()
        .any(|suffix| path.as_str().ends_with(suffix))
}

/// Where kernel `release` has its modules and their index.
pub fn directory(release: &str) -> Result<ImagePath> {
    MODULES.parse::<ImagePath>()?.join(release)
}

/// Lays the index of every kernel's modules into `tree`: how many kernels an
/// image may have is for its outputs to say. What was read of each comes back.
pub fn index_all(tree: &mut Tree, store: &Store) -> Result<Vec<Modules>> {
    let mut all = Vec::new();
    for release in releases(tree) {
        let modules = Modules::read(tree, &release, Some(store))?;
        for (name, bytes) in modules.index(None, Stored::AsTheyAre)? {
            let origin = Origin::Base(STEP.to_owned());
            let node = Node::file(Content::inline(bytes), 0o644, origin);
            tree.replace(directory(&release)?.join(&name)?, node)?;
        }
        all.push(modules);
    }
    // Of several kernels it would take the one that runs.
    if let [only] = &all[..] {
        let nodes = index::static_nodes(only);
        if !nodes.is_empty() {
            let text = format!("# Device nodes that load a module when they are opened.\n{nodes}");
            let origin = Origin::Base(STEP.to_owned());
            let node = Node::file(Content::inline(text.into_bytes()), 0o644, origin);
            tree.replace(STATIC_NODES.parse()?, node)?;
        }
    }
    Ok(all)
}

/// The kernels that have modules in `tree`, in order of their names.
pub fn releases(tree: &Tree) -> Vec<String> {
    let modules = tree
        .iter()
        .filter(|(path, node)| is_module(path) && matches!(node.kind, Kind::File(_)));
    let releases = modules.filter_map(|(path, _)| {
        let below = path.as_str().strip_prefix(MODULES)?.strip_prefix('/')?;
        below.split_once('/').map(|(release, _)| release)
    });
    let releases: BTreeSet<&str> = releases.collect();
    releases.into_iter().map(str::to_owned).collect()
}

/// The kernel of an image that is booted: exactly one.
pub fn the_one_release(tree: &Tree) -> Result<String> {
    let mut found = releases(tree);
    match (found.pop(), found.as_slice()) {
        (Some(release), []) => Ok(release),
        (None, _) => bail!(
            "no kernel: nothing below {MODULES} holds modules; add one to `base.packages` or `base.arch_packages`, such as linux-image-cloud-amd64 or linux-image-arm64"
        ),
        (Some(last), others) => bail!(
            "{} kernels ({}, {last}), but an image boots only one: leave all but one out of \
             `base.packages` and `base.arch_packages`",
            others.len() + 1,
            others.join(", ")
        ),
    }
}

#[cfg(test)]
pub mod tests;

//! The initrd: what runs until the root is mounted.
//!
//! An initrd is a small tree of its own, taken from the root's. There are two
//! kinds, and the recipe's `disk.initrd` says which ([`of`]); both have the same
//! kernel modules and partitions to come, mount the same, and are packed alike:
//!
//! | kind | made of |
//! |---|---|
//! | `nodeimg` ([`own()`]) | the first-boot binary and a plan for it: seconds less of every boot |
//! | `systemd` ([`systemd()`]) | systemd, udev and what they need, with units written here, and the first-boot binary to choose the disk |
//!
//! Packed, it is a cpio archive in one zstd frame, which the kernel unpacks
//! into memory. It depends neither on the root hash nor on most of the root, so
//! the store keeps it: a build that changes the kubelet alone packs nothing.
//!
//! # Invariants
//! - A module is stored as it is loaded: a compressed one in an archive that is
//!   compressed as a whole would only be larger.
//! - The bytes depend on the tree and the epoch alone.

mod booted;
mod drivers;
mod kernel_mounts;
mod own;
mod pack;
mod read_ahead;
mod repart;
mod systemd;
#[cfg(test)]
mod tests;
mod units;

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use nodeimg_seed::contract::paths::BINARY_PATH;
use nodeimg_values::arch::Arch;

use crate::image::boot::name::OS_RELEASE;
use crate::image::libraries;
use crate::image::units::text_at;
use crate::input::recipe::Recipe;
use crate::input::recipe::file::InitrdKind;
use crate::store::Store;
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

use own::own;
pub use repart::Slot;
use systemd::systemd;

/// The initrd of the kind that the recipe asks for.
pub fn of(inputs: &InitrdInputs<'_>) -> Result<Initrd> {
    match kind(inputs.recipe) {
        InitrdKind::Nodeimg => own(inputs),
        InitrdKind::Systemd => systemd(inputs),
    }
}

/// Which kind a recipe asks for.
pub fn kind(recipe: &Recipe) -> InitrdKind {
    recipe.disk.initrd.unwrap_or_default()
}

/// Programs that a root must have for an initrd of `kind`, with the package that
/// has each.
pub fn programs(kind: InitrdKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        InitrdKind::Nodeimg => &own::PROGRAMS,
        InitrdKind::Systemd => &systemd::PROGRAMS,
    }
}

/// What an initrd is made of.
pub struct InitrdInputs<'a> {
    /// The root.
    pub tree: &'a Tree,
    pub recipe: &'a Recipe,
    pub arch: Arch,
    /// The kernel's.
    pub release: &'a str,
    pub slot: Slot,
    pub store: &'a Store,
}

impl InitrdInputs<'_> {
    /// Refuses a root without the program at `path`.
    fn has(&self, path: &str, package: &str) -> Result<()> {
        if libraries::follow(self.tree, path).is_none() {
            bail!(
                "`{path}` is not in the image, but the initrd needs it: add the package \
                 `{package}` to `base.packages`"
            );
        }
        Ok(())
    }

    /// The first-boot binary, as a program of the initrd.
    fn binary(&self) -> Result<Node> {
        let node = self.tree.get(&BINARY_PATH.parse()?);
        let binary = node.filter(|node| matches!(node.kind, Kind::File(_)));
        let mut binary = binary.cloned().with_context(|| {
            format!("`{BINARY_PATH}` is not in the image, but the initrd runs it")
        })?;
        binary.stat.mode = 0o755;
        Ok(binary)
    }
}

/// An initrd's files.
pub struct Initrd {
    tree: Tree,
    /// Files that are compressed and will not be.
    compressed: BTreeSet<ImagePath>,
}

impl Initrd {
    fn new() -> Initrd {
        Initrd {
            tree: Tree::default(),
            compressed: BTreeSet::new(),
        }
    }

    /// Every file, for tests and errors.
    #[cfg(test)]
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn put(&mut self, path: &str, node: Node) -> Result<()> {
        self.tree.replace(path.parse()?, node)
    }

    fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        self.tree
            .insert(path.parse()?, Node::directory(mode, origin()))
    }

    /// A text file, 0644.
    fn text(&mut self, path: &str, text: impl Into<Vec<u8>>) -> Result<()> {
        self.put(
            path,
            Node::file(Content::inline(text.into()), 0o644, origin()),
        )
    }

    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.put(path, Node::symlink(target, origin()))
    }

    /// Takes a file of the root with the links on the way to it and every
    /// library that it needs; false if there is none.
    fn take(&mut self, from: &InitrdInputs<'_>, path: &str) -> Result<bool> {
        let Some(way) = libraries::follow(from.tree, path) else {
            return Ok(false);
        };
        self.take_all(from, way)?;
        Ok(true)
    }

    fn take_all(&mut self, from: &InitrdInputs<'_>, way: Vec<ImagePath>) -> Result<()> {
        for path in way {
            if self.tree.get(&path).is_some() {
                continue;
            }
            let Some(node) = from.tree.get(&path) else {
                continue;
            };
            self.tree.insert(path.clone(), node.clone())?;
            if let Kind::File(content) = &node.kind {
                self.take_libraries(from, &path, content)?;
            }
        }
        Ok(())
    }

    fn take_libraries(
        &mut self,
        from: &InitrdInputs<'_>,
        path: &ImagePath,
        content: &Content,
    ) -> Result<()> {
        let Some(wants) = libraries::wants(from.tree, from.arch, path, content)? else {
            return Ok(());
        };
        for needed in wants.libraries.into_iter().chain(wants.interpreter) {
            let Some(way) = needed.way else {
                bail!(
                    "`{path}` needs `{}`, which is not in the image",
                    needed.name
                );
            };
            self.take_all(from, way)?;
        }
        Ok(())
    }

    /// The same, if there must be one.
    fn demand(&mut self, from: &InitrdInputs<'_>, path: &str, package: &str) -> Result<()> {
        from.has(path, package)?;
        self.take(from, path)?;
        Ok(())
    }

    /// The file by which systemd's programs know that they are in an initrd.
    fn release(&mut self, from: &InitrdInputs<'_>) -> Result<()> {
        let release = text_at(from.tree, &OS_RELEASE.parse()?)?.unwrap_or_default();
        self.text("/usr/lib/initrd-release", release)?;
        self.link("/etc/initrd-release", "../usr/lib/initrd-release")
    }

    /// A module of the root, to be stored uncompressed at its own path less the
    /// ending that says how it is compressed.
    fn module(&mut self, from: &InitrdInputs<'_>, path: &ImagePath) -> Result<()> {
        let node = from
            .tree
            .get(path)
            .with_context(|| format!("the module `{path}` is not in the image"))?;
        let text = path.as_str();
        let end = text.rfind(".ko").map_or(text.len(), |at| at + ".ko".len());
        let place: ImagePath = text[..end].parse()?;
        if place != *path {
            self.compressed.insert(place.clone());
        }
        self.tree.insert(place, node.clone())
    }

    /// Files of firmware, where the kernel looks for them, with the links on the way.
    fn firmware(&mut self, from: &InitrdInputs<'_>, paths: &BTreeSet<ImagePath>) -> Result<()> {
        let ways = paths
            .iter()
            .filter_map(|path| libraries::follow(from.tree, path.as_str()));
        for path in ways.flatten() {
            if let (None, Some(node)) = (self.tree.get(&path), from.tree.get(&path)) {
                self.tree.insert(path, node.clone())?;
            }
        }
        // The kernel knows it as `/lib/firmware` alone.
        let lib = ImagePath::merged_usr(false);
        for (path, target) in lib.filter(|(_, target)| *target == "usr/lib") {
            if !paths.is_empty() && self.tree.get(&path).is_none() {
                self.tree.insert(path, Node::symlink(target, origin()))?;
            }
        }
        Ok(())
    }
}

fn origin() -> Origin {
    Origin::Base("making the initrd".to_owned())
}

//! The base system: what Debian's maintainer scripts would do, declared.
//!
//! The packages of the base are unpacked as they are; their scripts are never
//! run (no root, no chroot, no other architecture's programs). What those would
//! have written is written by the steps here, one after the other, each a
//! function of the tree alone.
//!
//! ```text
//! configure   after the packages are unpacked, before artifacts and overlays
//! seal        after everything is laid in: what must see the whole tree
//! ```
//!
//! The result is a root for a read-only `/`: `/usr` and `/etc` hold everything,
//! `/var` is empty and filled by systemd-tmpfiles at boot
//! ([tmpfiles.d(5)](https://manpages.debian.org/trixie/systemd/tmpfiles.d.5.en.html)).
//!
//! # Invariants
//! - A step reads the tree and [`BaseFacts`], nothing else.
//! - Numeric ids of accounts do not depend on which other packages there are.
//! - A step does nothing for a package that is not in the tree.

mod accounts;
mod alternatives;
mod certificates;
mod closure;
mod dpkg;
mod files;
mod hygiene;
mod known;
mod layout;
mod machine_id;
mod names;
mod pam;
mod presets;
mod services;
mod state;
mod sysusers;
#[cfg(test)]
mod tests;

pub use state::made_at_boot;

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;

use crate::image::units;
use crate::input::recipe::runtime::Runtime;
use crate::input::recipe::value::{Version, Word};
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

/// An unpacked package, as the package database needs it.
#[derive(Clone, Debug)]
pub struct Package {
    pub name: String,
    /// The control file of the `.deb`, as it stands.
    pub control: String,
    /// `md5sums` of the `.deb`; empty if it has none.
    pub md5sums: String,
}

impl Package {
    /// A field of the control file, of those with one line.
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.control.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    }

    /// `1.7.24` of `1.7.24~ds1-6+b2`: without epoch, revision and Debian's marks.
    pub fn upstream_version(&self) -> Result<Version> {
        let whole = self.field("Version").unwrap_or_default();
        let version = whole.split_once(':').map_or(whole, |(_, rest)| rest);
        let end = version.find(['-', '~', '+']).unwrap_or(version.len());
        version[..end]
            .parse()
            .with_context(|| format!("version `{whole}` of the package `{}`", self.name))
    }
}

/// What the steps know.
#[derive(Clone, Copy)]
pub struct BaseFacts<'a> {
    pub arch: Arch,
    pub epoch: Epoch,
    pub packages: &'a [Package],
    /// Units that the recipe enables, for the preset.
    pub enable: &'a [Word],
    pub runtime: &'static Runtime,
    /// The directory that the build runs in: no file may name it. `None` if it is too short to tell.
    pub build_directory: Option<&'a str>,
}

type Step = fn(&mut Base<'_>) -> Result<()>;

/// In order: accounts first, since later steps own files by their ids.
const CONFIGURE: [(&str, Step); 16] = [
    ("removing what this image does differently", layout::remove),
    ("removing AppArmor's profiles of desktops", layout::profiles),
    ("making the top of the tree", layout::top),
    ("linking the CNI plugins", layout::cni_plugins),
    ("making the accounts", accounts::make),
    ("choosing alternatives", alternatives::choose),
    ("making what known packages make", known::make),
    ("collecting the CA certificates", certificates::bundle),
    ("writing the PAM stacks", pam::stacks),
    ("writing the name services", names::write),
    ("writing the system's own files", files::write),
    ("setting locale and time zone", files::locale),
    ("configuring ssh", services::ssh),
    ("configuring systemd", services::systemd),
    ("masking units", services::mask),
    ("sparing units their work", services::drop_ins),
];

/// In order: the package database lists what is left, the lints see it all.
const SEAL: [(&str, Step); 8] = [
    ("making the accounts of overlays", accounts::complete),
    ("joining the audit rules", known::audit_rules),
    ("applying the presets", presets::apply),
    (
        "setting up the detection of a first boot",
        machine_id::settle,
    ),
    ("emptying /var", state::empty_var),
    ("writing the package database", dpkg::database),
    ("looking for missing libraries", closure::check),
    ("checking for files that no image may hold", hygiene::check),
];

/// Configures freshly unpacked packages.
pub fn configure(tree: &mut Tree, facts: BaseFacts<'_>) -> Result<()> {
    run(&CONFIGURE, tree, facts)
}

/// Finishes a tree that has everything in it.
pub fn seal(tree: &mut Tree, facts: BaseFacts<'_>) -> Result<()> {
    run(&SEAL, tree, facts)
}

fn run(steps: &[(&'static str, Step)], tree: &mut Tree, facts: BaseFacts<'_>) -> Result<()> {
    for (name, step) in steps {
        let mut base = Base {
            tree: &mut *tree,
            facts,
            step: name,
        };
        step(&mut base).context(*name)?;
    }
    Ok(())
}

/// The tree in a step's hands.
struct Base<'a> {
    tree: &'a mut Tree,
    facts: BaseFacts<'a>,
    step: &'static str,
}

impl Base<'_> {
    fn origin(&self) -> Origin {
        Origin::Base(self.step.to_owned())
    }

    fn has(&self, path: &str) -> Result<bool> {
        Ok(self.tree.get(&path.parse()?).is_some())
    }

    /// A file's text; `None` if there is no file.
    fn text(&self, path: &str) -> Result<Option<String>> {
        units::text_at(self.tree, &path.parse()?)
    }

    /// Adds a node, or replaces a file of a package.
    fn put(&mut self, path: &str, node: Node) -> Result<()> {
        self.tree.replace(path.parse()?, node)
    }

    /// `0644 root:root`.
    fn file(&mut self, path: &str, text: impl Into<Vec<u8>>) -> Result<()> {
        let node = Node::file(Content::inline(text.into()), 0o644, self.origin());
        self.put(path, node)
    }

    fn file_of(&mut self, path: &str, text: String, mode: u32, gid: u32) -> Result<()> {
        let mut node = Node::file(Content::inline(text.into_bytes()), mode, self.origin());
        node.stat.gid = gid;
        self.put(path, node)
    }

    /// A copy of one of the tree's files, `0644 root:root`; false if there is none.
    fn copy(&mut self, from: &str, to: &str) -> Result<bool> {
        let Some(Kind::File(content)) = self.tree.get(&from.parse()?).map(|node| &node.kind) else {
            return Ok(false);
        };
        let node = Node::file(content.clone(), 0o644, self.origin());
        self.put(to, node)?;
        Ok(true)
    }

    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let node = Node::symlink(target, self.origin());
        self.put(path, node)
    }

    fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        let path: ImagePath = path.parse()?;
        if let Some(stat) = self.tree.stat_mut(&path) {
            stat.mode = mode;
            return Ok(());
        }
        let node = Node::directory(mode, self.origin());
        self.tree.insert(path, node)
    }

    /// Takes a path and all below it out; false if there was nothing.
    fn remove(&mut self, path: &str) -> Result<bool> {
        Ok(!self.tree.take(&path.parse()?).is_empty())
    }

    /// Paths of the files and links right in `directory` whose name ends in `suffix`.
    fn list(&self, directory: &str, suffix: &str) -> Result<Vec<ImagePath>> {
        let directory: ImagePath = directory.parse()?;
        Ok(self
            .tree
            .iter()
            .filter(|(path, node)| {
                path.parent().as_ref() == Some(&directory)
                    && path.name().ends_with(suffix)
                    && !matches!(node.kind, Kind::Directory)
            })
            .map(|(path, _)| path.clone())
            .collect())
    }
}

//! The file tree of an image, in memory.
//!
//! A tree is what every step of the build adds to and every output is written
//! from. There is no mtime: an image has one
//! [`Epoch`](nodeimg_values::epoch::Epoch).
//!
//! # Invariants
//! - Every node's parent is in the tree and is a directory.
//! - No path has two owners: [`Tree::insert`] refuses a second one.
//! - Iteration is in path order, parents first, on every host.

mod content;
pub mod key;
mod node;
pub mod overlay;
mod path;
pub mod squashfs;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Result, bail};

pub use content::{Content, check_unchanged, keep_digests};
pub use node::{Kind, Node, Origin, Stat};
pub use path::{ImagePath, climbs_above};

/// The files of an image.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: BTreeMap<ImagePath, Node>,
}

impl Default for Tree {
    fn default() -> Tree {
        let root = Node::directory(0o755, Origin::Implied);
        Tree {
            nodes: BTreeMap::from([(ImagePath::root(), root)]),
        }
    }
}

impl Tree {
    /// Puts `node` at `path`; missing parents become `0755 root:root`.
    ///
    /// Two directories of one path are one directory if owner and mode
    /// agree; anything else that is there already is an error naming both
    /// owners.
    pub fn insert(&mut self, path: ImagePath, node: Node) -> Result<()> {
        self.imply_parents(&path)?;
        match self.nodes.entry(path) {
            Entry::Vacant(slot) => {
                slot.insert(node);
            }
            Entry::Occupied(mut slot) => {
                let there = slot.get();
                let both = matches!(
                    (&there.kind, &node.kind),
                    (Kind::Directory, Kind::Directory)
                );
                if both && there.origin == Origin::Implied {
                    slot.insert(node);
                } else if !both || there.stat != node.stat {
                    bail!(
                        "`{}` comes from {} and from {}: a path can have only one source, so \
                         remove it from one of them",
                        slot.key(),
                        there.origin,
                        node.origin
                    );
                }
            }
        }
        Ok(())
    }

    /// Puts `node` in the place of one that must be there: a wanted
    /// replacement, as of a shipped file by the user's own overlay.
    pub fn replace(&mut self, path: ImagePath, node: Node) -> Result<()> {
        match self.nodes.get(&path) {
            Some(there) if matches!(there.kind, Kind::Directory) => {
                bail!(
                    "`{path}` is a directory (from {}) and cannot be replaced",
                    there.origin
                )
            }
            Some(_) => {
                self.nodes.insert(path, node);
                Ok(())
            }
            None => self.insert(path, node),
        }
    }

    pub fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Owner and mode of the node at `path`, to change in place.
    pub fn stat_mut(&mut self, path: &ImagePath) -> Option<&mut Stat> {
        self.nodes.get_mut(path).map(|node| &mut node.stat)
    }

    /// Takes `path` and all below it out, in path order; the root stays, empty.
    pub fn take(&mut self, path: &ImagePath) -> Vec<(ImagePath, Node)> {
        let inside: Vec<ImagePath> = self
            .nodes
            .range(path.clone()..)
            .map(|(there, _)| there)
            .take_while(|there| there.as_str().starts_with(path.as_str()))
            .filter(|there| there.is_within(path) && **there != ImagePath::root())
            .cloned()
            .collect();
        inside
            .into_iter()
            .filter_map(|path| self.nodes.remove_entry(&path))
            .collect()
    }

    /// Every node in path order, the root first.
    pub fn iter(&self) -> impl Iterator<Item = (&ImagePath, &Node)> {
        self.nodes.iter()
    }

    /// See [`check_unchanged`].
    pub fn check_unchanged(&self) -> Result<()> {
        let contents = self.nodes.values().filter_map(|node| match &node.kind {
            Kind::File(content) => Some(content),
            Kind::Directory | Kind::Symlink(_) => None,
        });
        check_unchanged(contents)
    }

    /// `directory` and every node below it, in path order.
    pub fn below<'a>(
        &'a self,
        directory: &'a ImagePath,
    ) -> impl Iterator<Item = (&'a ImagePath, &'a Node)> {
        self.nodes
            .range(directory.clone()..)
            .take_while(|(there, _)| there.as_str().starts_with(directory.as_str()))
            .filter(|(there, _)| there.is_within(directory))
    }

    /// What lies over the base system: everything but the base's own files, and
    /// of its directories only those that something else is in.
    pub fn above_base(&self) -> Tree {
        let is_base = |node: &Node| {
            matches!(
                node.origin,
                Origin::Package(_) | Origin::Base(_) | Origin::Implied
            )
        };
        let kept = |path: &ImagePath| {
            let below = self.nodes.range(path.clone()..);
            below
                .take_while(|(there, _)| there.as_str().starts_with(path.as_str()))
                .any(|(there, node)| there.is_within(path) && !is_base(node))
        };
        let nodes = self.nodes.iter().filter(|(path, node)| {
            !is_base(node) || (matches!(node.kind, Kind::Directory) && kept(path))
        });
        Tree {
            nodes: nodes.map(|(p, n)| (p.clone(), n.clone())).collect(),
        }
    }

    fn imply_parents(&mut self, path: &ImagePath) -> Result<()> {
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(parent) = next {
            match self.nodes.get(&parent) {
                Some(node) if matches!(node.kind, Kind::Directory) => break,
                Some(node) => bail!(
                    "`{path}` cannot be added: `{parent}` is not a directory (it comes from {})",
                    node.origin
                ),
                None => {
                    next = parent.parent();
                    missing.push(parent);
                }
            }
        }
        for parent in missing {
            self.nodes
                .insert(parent, Node::directory(0o755, Origin::Implied));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn path(text: &str) -> ImagePath {
        text.parse().unwrap()
    }

    fn file(from: &str) -> Node {
        Node::file(
            Content::inline(from.as_bytes().to_vec()),
            0o644,
            Origin::Artifact(from.to_owned()),
        )
    }

    fn lines(tree: &Tree) -> Vec<String> {
        tree.iter()
            .map(|(path, node)| format!("{path} {:04o}", node.stat.mode))
            .collect()
    }

    #[test]
    fn parents_are_implied_and_order_is_the_path_order() {
        let mut tree = Tree::default();
        tree.insert(path("/usr/bin/b"), file("x")).unwrap();
        tree.insert(path("/bin/a"), file("x")).unwrap();
        let want = [
            "/ 0755",
            "/usr 0755",
            "/usr/bin 0755",
            "/usr/bin/a 0644",
            "/usr/bin/b 0644",
        ];
        assert_eq!(lines(&tree), want);
    }

    #[test]
    fn a_second_owner_is_refused_through_any_name() {
        let mut tree = Tree::default();
        tree.insert(path("/usr/bin/runc"), file("one")).unwrap();
        let error = tree
            .insert(path("/bin/runc"), file("two"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("artifact `one`") && error.contains("artifact `two`"),
            "{error}"
        );
        tree.replace(path("/bin/runc"), file("three")).unwrap();
        assert_eq!(
            tree.get(&path("/usr/bin/runc")).unwrap().origin,
            Origin::Artifact("three".into())
        );
    }

    #[test]
    fn nothing_goes_below_a_file_and_no_directory_is_replaced() {
        let mut tree = Tree::default();
        tree.insert(path("/etc/x"), file("one")).unwrap();
        assert!(tree.insert(path("/etc/x/y/z"), file("two")).is_err());
        assert_eq!(lines(&tree), ["/ 0755", "/etc 0755", "/etc/x 0644"]);
        assert!(tree.replace(path("/etc"), file("two")).is_err());
    }

    #[test]
    fn taking_leaves_what_only_begins_alike() {
        let mut tree = Tree::default();
        for at in ["/var/a", "/var/lib/b", "/var-x", "/var.d/c", "/variable"] {
            tree.insert(path(at), file("x")).unwrap();
        }
        let taken: Vec<_> = tree
            .take(&path("/var"))
            .into_iter()
            .map(|(path, _)| path.to_string())
            .collect();
        assert_eq!(taken, ["/var", "/var/a", "/var/lib", "/var/lib/b"]);
        let left = [
            "/ 0755",
            "/var-x 0644",
            "/var.d 0755",
            "/var.d/c 0644",
            "/variable 0644",
        ];
        assert_eq!(lines(&tree), left);
        assert!(tree.take(&path("/var")).is_empty());
    }

    #[test]
    fn what_lies_over_the_base_keeps_the_directories_that_it_needs() {
        let mut tree = Tree::default();
        let of_base = |kind: Node| Node {
            origin: Origin::Package("base-files".into()),
            ..kind
        };
        let directory = |mode| of_base(Node::directory(mode, Origin::Implied));
        for (at, node) in [
            ("/root", directory(0o700)),
            ("/rootless", directory(0o755)),
            ("/root/.profile", of_base(file("x"))),
            ("/root/a/mine", file("mine")),
            ("/srv/x", of_base(file("x"))),
        ] {
            tree.insert(path(at), node).unwrap();
        }
        let want = ["/ 0755", "/root 0700", "/root/a 0755", "/root/a/mine 0644"];
        assert_eq!(lines(&tree.above_base()), want);
    }

    #[test]
    fn a_declared_directory_takes_an_implied_ones_place_once() {
        let mut tree = Tree::default();
        tree.insert(path("/opt/cni/bin/x"), file("one")).unwrap();
        let declared = |mode| Node::directory(mode, Origin::Recipe("writable".into()));
        tree.insert(path("/opt/cni/bin"), declared(0o700)).unwrap();
        tree.insert(path("/opt/cni/bin"), declared(0o700)).unwrap();
        assert!(tree.insert(path("/opt/cni/bin"), declared(0o755)).is_err());
        assert_eq!(tree.get(&path("/opt/cni/bin")).unwrap().stat.mode, 0o700);
    }
}

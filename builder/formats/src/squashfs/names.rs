//! The tree's names: inodes and listings, from the leaves to the root.
//!
//! An entry in a listing has the place of its inode, and the inode of a
//! directory the place of its listing: so a directory comes after all that is
//! in it. Numbers are given before, the ones of a directory in a row, since
//! an inode of a directory has its parent's.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use super::directory::{DirectoryEntry, list};
use super::inode::{self, Common, Stored};
use super::metadata::{Position, Table};
use super::xattr::Sets;
use super::{Kind, Node};

/// The kernel refuses a link's text that does not fit a page with its end.
const MAX_TARGET: usize = 4095;

/// The tables that hold the names.
pub struct Names<'a> {
    pub inodes: Table,
    pub listings: Table,
    pub xattrs: Sets<'a>,
    /// Sorted, each once.
    pub ids: Vec<u32>,
    /// Of every inode, by its number - 1.
    pub places: Vec<Position>,
    pub root: Position,
}

impl<'a> Names<'a> {
    /// `stored` tells where the content of the nth regular file is.
    pub fn write<'s>(
        tree: &'a [Node<'a>],
        time: u32,
        level: i32,
        stored: impl Fn(usize) -> &'s Stored,
    ) -> Result<Names<'a>> {
        let nodes = number(tree)?;
        let ids = ids(tree)?;
        let mut names = Names {
            inodes: Table::new(level)?,
            listings: Table::new(level)?,
            xattrs: Sets::new(level)?,
            places: vec![Position::default(); nodes.len()],
            root: Position::default(),
            ids,
        };
        // Attribute sets are numbered in the tree's order.
        let mut common = Vec::with_capacity(nodes.len());
        for named in &nodes {
            common.push(names.common(named, time)?);
        }
        // Backwards: what is in a directory comes after it in a tree.
        for (directory, named) in nodes.iter().enumerate().rev() {
            if !matches!(named.node.kind, Kind::Directory) {
                continue;
            }
            for &child in &named.children {
                let node = &nodes[child];
                let bytes = match &node.node.kind {
                    Kind::Directory => continue,
                    Kind::File(content) => {
                        inode::file(&common[child], content.size(), stored(node.file))
                    }
                    Kind::Symlink(target) => {
                        check_target(target).with_context(|| node.context())?;
                        inode::symlink(&common[child], target)
                    }
                };
                names.inode(&common[child], &bytes)?;
            }
            names
                .directory(&nodes, directory, &common[directory])
                .with_context(|| named.context())?;
        }
        Ok(names)
    }

    fn common(&mut self, named: &Named<'a>, mtime: u32) -> Result<Common> {
        let node = named.node;
        // Every id of the tree is among them.
        let index = |id| self.ids.binary_search(&id).unwrap_or_default() as u16;
        let (uid, gid) = (index(node.uid), index(node.gid));
        let xattrs = self.xattrs.number(node.xattrs);
        Ok(Common {
            mode: node.mode,
            uid,
            gid,
            mtime,
            number: named.number,
            xattrs: xattrs.with_context(|| named.context())?,
        })
    }

    fn inode(&mut self, common: &Common, bytes: &[u8]) -> Result<Position> {
        let place = self.inodes.place()?;
        self.places[common.number as usize - 1] = place;
        self.inodes.append(bytes)?;
        Ok(place)
    }

    fn directory(&mut self, nodes: &[Named<'_>], at: usize, common: &Common) -> Result<()> {
        let mut entries = Vec::with_capacity(nodes[at].children.len());
        let mut links = 2;
        for &child in &nodes[at].children {
            let named = &nodes[child];
            let basic_type = inode::basic_type(&named.node.kind);
            if matches!(named.node.kind, Kind::Directory) {
                links += 1;
            }
            entries.push(DirectoryEntry {
                name: named.node.name(),
                basic_type,
                number: named.number,
                inode: self.places[named.number as usize - 1],
            });
        }
        let listing = list(&entries, &mut self.listings)?;
        let parent = match nodes[at].parent {
            Some(parent) => nodes[parent].number,
            // As mksquashfs has it: the number of no inode.
            None => nodes.len() as u32 + 1,
        };
        let bytes = inode::directory(common, links, parent, &listing);
        self.root = self.inode(common, &bytes)?;
        Ok(())
    }
}

/// A node of the tree with what its inode needs.
struct Named<'a> {
    node: &'a Node<'a>,
    number: u32,
    /// Among the regular files, in the tree's order; 0 for others.
    file: usize,
    parent: Option<usize>,
    /// Sorted by the bytes of their names, as siblings are in a tree.
    children: Vec<usize>,
}

impl Named<'_> {
    fn context(&self) -> String {
        self.node.context()
    }
}

/// Every node of the tree, in its order, numbered from 1.
fn number<'a>(tree: &'a [Node<'a>]) -> Result<Vec<Named<'a>>> {
    let mut nodes: Vec<Named<'_>> = Vec::new();
    let mut directories: BTreeMap<&str, usize> = BTreeMap::new();
    let mut files = 0;
    for node in tree {
        let at = nodes.len();
        let parent = node.parent().and_then(|p| directories.get(p).copied());
        if let Some(parent) = parent {
            nodes[parent].children.push(at);
        }
        let mut file = 0;
        match &node.kind {
            Kind::Directory => {
                directories.insert(node.path, at);
            }
            Kind::File(_) => {
                file = files;
                files += 1;
            }
            Kind::Symlink(_) => {}
        }
        nodes.push(Named {
            node,
            number: 1,
            file,
            parent,
            children: Vec::new(),
        });
    }
    let mut next = 1;
    for at in 0..nodes.len() {
        for child in nodes[at].children.clone() {
            next += 1;
            nodes[child].number = next;
        }
    }
    ensure!(
        u32::try_from(nodes.len()).is_ok_and(|n| n < u32::MAX),
        "the tree has more files than SquashFS can number"
    );
    Ok(nodes)
}

fn ids(tree: &[Node<'_>]) -> Result<Vec<u32>> {
    let ids: BTreeSet<u32> = tree.iter().flat_map(|node| [node.uid, node.gid]).collect();
    ensure!(
        u16::try_from(ids.len()).is_ok(),
        "the tree has {} owners and groups, but SquashFS has room for only 65535",
        ids.len()
    );
    Ok(ids.into_iter().collect())
}

fn check_target(target: &str) -> Result<()> {
    ensure!(
        (1..=MAX_TARGET).contains(&target.len()),
        "a symbolic link's target has {} bytes: it must have 1 to {MAX_TARGET}",
        target.len()
    );
    Ok(())
}

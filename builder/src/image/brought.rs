//! What a recipe brings from its author's disk: overlays and the sources of files.
//!
//! # Invariants
//! Each is read once: an image and the key that it is found by are made of the same bytes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nodeimg_values::key::KeyWriter;

use super::layers;
use crate::input::recipe::update::is_of_updates;
use crate::input::recipe::{ExtraContent, ExtraFile, Recipe};
use crate::tree::overlay::Overlay;
use crate::tree::{Content, ImagePath, Node, Origin, Tree};

/// As read, in the recipe's order.
#[derive(Clone, Debug, Default)]
pub struct Brought {
    /// By the name that messages and the manifest call each.
    pub overlays: Vec<(String, Overlay)>,
    /// Of the recipe's `file`.
    pub files: Vec<(ImagePath, Node)>,
}

impl Brought {
    /// Reads everything.
    pub fn read(recipe: &Recipe) -> Result<Brought> {
        let files = recipe.files.iter();
        Ok(Brought {
            overlays: layers::given(recipe)?,
            files: files.map(file).collect::<Result<_>>()?,
        })
    }

    /// The same with nodeimg's own program that updates nodes, under both of its names.
    ///
    /// # Errors
    /// None: its paths are plain.
    pub fn with_updater(&self, program: Vec<u8>) -> Result<Brought> {
        let mut brought = self.clone();
        let origin = || Origin::Recipe("update".to_owned());
        let program = Node::file(Content::inline(program), 0o755, origin());
        let link = Node::symlink("../lib/nodeimg/nodeimg-update", origin());
        brought.files.splice(
            0..0,
            [
                ("/usr/lib/nodeimg/nodeimg-update".parse()?, program),
                ("/usr/bin/nodeimg-update".parse()?, link),
            ],
        );
        Ok(brought)
    }

    /// Takes out of a tree what [`Brought::with_updater`] and the recipe have for updates.
    pub fn without_updater(mut tree: Tree) -> Tree {
        let paths = tree.iter().map(|(path, _)| path);
        let paths: Vec<ImagePath> = paths.filter(|path| is_of_updates(path)).cloned().collect();
        for path in paths {
            tree.take(&path);
        }
        tree
    }

    /// Adds everything that was read.
    pub fn add_to(&self, key: &mut KeyWriter) -> Result<()> {
        for (name, overlay) in &self.overlays {
            // The recipe says where it lies, which is nothing to what is in it.
            let name = Path::new(name).file_name().unwrap_or_default();
            key.add("overlay", name.as_encoded_bytes());
            for (path, node) in &overlay.root {
                node.add_to(key, path, Content::measured)?;
            }
            for (path, text) in &overlay.templates {
                key.add("template", path.as_str());
                key.add("its text", text);
            }
        }
        key.add("files", "");
        for (path, node) in &self.files {
            node.add_to(key, path, Content::measured)?;
        }
        Ok(())
    }
}

fn file(file: &ExtraFile) -> Result<(ImagePath, Node)> {
    let bytes = match &file.content {
        ExtraContent::Text(text) => text.clone().into_bytes(),
        ExtraContent::Source(source) => fs::read(source).with_context(|| {
            let source = source.display();
            format!("reading `file.{}.source` from {source}", file.path)
        })?,
    };
    let origin = Origin::Recipe("file".to_owned());
    let node = Node::file(Content::inline(bytes), file.mode, origin);
    Ok((file.path.clone(), node))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_overlay_beside_a_disk_has_nothing_for_updates() {
        let mut tree = Tree::default();
        let units = "/usr/lib/systemd/system";
        let of_updates = [
            "/usr/bin/nodeimg-update".to_owned(),
            "/usr/lib/nodeimg/nodeimg-update".to_owned(),
            "/usr/lib/nodeimg/update.toml".to_owned(),
            "/usr/lib/nodeimg/update.pub".to_owned(),
            format!("{units}/nodeimg-update.service"),
            format!("{units}/timers.target.wants/nodeimg-update.timer"),
            format!("{units}-preset/20-nodeimg-update.preset"),
        ];
        let others = ["/usr/lib/nodeimg/nodeimg-firstboot", "/etc/update.toml"];
        for path in of_updates.iter().map(String::as_str).chain(others) {
            let node = Node::file(
                Content::inline(Vec::new()),
                0o644,
                Origin::Recipe("file".to_owned()),
            );
            tree.insert(path.parse().unwrap(), node).unwrap();
        }
        let left = Brought::without_updater(tree);
        let there = |path: &str| left.get(&path.parse().unwrap()).is_some();
        assert!(of_updates.iter().all(|path| !there(path)));
        assert!(others.into_iter().all(there));
    }
}

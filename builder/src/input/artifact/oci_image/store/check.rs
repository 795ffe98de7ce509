//! Whether a tree holds a whole store: a recipe's overlay and files are laid over it, and
//! a runtime ignores a store in which something is missing without a word.

use anyhow::Result;
use serde::de::DeserializeOwned;

use super::written::{IMAGES, LAYERS, WrittenImage, WrittenLayer};
use super::{DIRECTORY, file_name, link_name};
use crate::tree::{ImagePath, Kind, Tree};

/// Longest list that is read.
const MAX_LIST: u64 = 64 << 20;

/// What keeps the runtime from the images of the store.
pub fn problems(tree: &Tree) -> Result<Vec<String>> {
    let mut look = Look {
        tree,
        problems: Vec::new(),
    };
    for lock in ["overlay-images/images.lock", "overlay-layers/layers.lock"] {
        look.file(lock)?;
    }
    let images: Vec<WrittenImage> = look.list(IMAGES, "images")?;
    let layers: Vec<WrittenLayer> = look.list(LAYERS, "layers")?;
    for layer in &layers {
        let link = link_name(&layer.id);
        look.file(&format!("overlay/{}/link", layer.id))?;
        look.is(
            &format!("overlay/{}/diff", layer.id),
            "a directory",
            |kind| matches!(kind, Kind::Directory),
        )?;
        let target = format!("../{}/diff", layer.id);
        look.is(
            &format!("overlay/l/{link}"),
            "its link",
            |kind| matches!(kind, Kind::Symlink(there) if *there == target),
        )?;
    }
    for image in &images {
        for item in &image.big_data_names {
            look.file(&format!("{IMAGES}/{}/{}", image.id, file_name(item)))?;
        }
        if !layers.iter().any(|layer| layer.id == image.layer) {
            look.problems.push(format!(
                "`{DIRECTORY}/{LAYERS}/layers.json` lacks the layer of the container image {}",
                image.names.join(", ")
            ));
        }
    }
    Ok(look.problems)
}

struct Look<'a> {
    tree: &'a Tree,
    problems: Vec<String>,
}

impl Look<'_> {
    fn file(&mut self, place: &str) -> Result<()> {
        self.is(place, "a file", |kind| matches!(kind, Kind::File(_)))
    }

    fn is(&mut self, place: &str, what: &str, right: impl Fn(&Kind) -> bool) -> Result<()> {
        let path: ImagePath = format!("{DIRECTORY}/{place}").parse()?;
        if !self.tree.get(&path).is_some_and(|node| right(&node.kind)) {
            self.problems.push(format!(
                "`{path}` is not {what}: the container runtime would not find the baked images"
            ));
        }
        Ok(())
    }

    /// Empty where it cannot be read.
    fn list<T: DeserializeOwned>(&mut self, folder: &str, name: &str) -> Result<Vec<T>> {
        let path: ImagePath = format!("{DIRECTORY}/{folder}/{name}.json").parse()?;
        let Some(Kind::File(content)) = self.tree.get(&path).map(|node| &node.kind) else {
            self.file(&format!("{folder}/{name}.json"))?;
            return Ok(Vec::new());
        };
        match serde_json::from_slice(&content.head(MAX_LIST)?) {
            Ok(list) => Ok(list),
            Err(error) => {
                self.problems.push(format!(
                    "`{path}` cannot be read, so no baked image would be found: {error}"
                ));
                Ok(Vec::new())
            }
        }
    }
}

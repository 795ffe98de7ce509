//! Overlays: nodeimg's own, by the profile and the container runtime, and over them those
//! of the recipe.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use nodeimg_seed::plan::{Shape, TemplateFile};
use nodeimg_seed::text::template::Template;

use crate::input::recipe::{BUILT_IN_OVERLAY, Recipe, runtime};
use crate::tree::overlay::{self, Overlay, Source};
use crate::tree::{Content, ImagePath, Kind, Node, Origin, Tree};

/// One of nodeimg's own overlays.
struct Layer {
    folder: &'static str,
    /// As messages and manifests call it.
    name: &'static str,
}

/// The lowest first. Manifests list the runtime's files under `common`, since every image
/// has a runtime.
fn own_layers(recipe: &Recipe, has_images: bool) -> impl Iterator<Item = Layer> {
    let runtime = recipe.runtime;
    let of_runtime = Layer {
        folder: runtime.layer,
        name: "common",
    };
    let importer = runtime.importer().filter(|_| has_images);
    let of_images = importer.map(|importer| Layer {
        folder: importer.layer,
        name: "images",
    });
    let of_profile = recipe
        .profile
        .layers
        .iter()
        .map(|name| Layer { folder: name, name });
    let is_disk = recipe.needs_base() && recipe.outputs.iter().any(|output| output.is_of_disk());
    let of_disk = is_disk.then_some(Layer {
        folder: "disk",
        name: "disk",
    });
    std::iter::once(of_runtime)
        .chain(of_disk)
        .chain(of_profile)
        .chain(of_images)
}

fn load_own(layer: &Layer) -> Result<Overlay> {
    let folder = layer.folder;
    let directory = BUILT_IN_OVERLAY
        .get_dir(folder)
        .with_context(|| format!("this nodeimg has no overlay `{folder}`"))?;
    overlay::load(Source::Embedded(directory), layer.name)
}

/// The templates that first boot will find in an image of this recipe, by the
/// paths that they render to.
pub fn templates_of(recipe: &Recipe) -> Result<Vec<TemplateFile>> {
    let mut texts = BTreeMap::new();
    for overlay in all(recipe)? {
        texts.extend(overlay.templates);
    }
    let file = |(path, text): (ImagePath, String)| TemplateFile {
        path: path.to_string(),
        text,
    };
    Ok(texts.into_iter().map(file).collect())
}

/// What the layers put into an image of this recipe, and the directories that lead there:
/// a seed's files can be checked against them without the image.
pub fn known_paths(recipe: &Recipe) -> Result<Vec<(String, Shape)>> {
    let mut known = BTreeMap::new();
    for overlay in all(recipe)? {
        for (path, node) in overlay.root {
            let shape = match node.kind {
                Kind::Directory => Shape::Directory,
                Kind::File(_) => Shape::File,
                // It may lead to a directory.
                Kind::Symlink(_) => continue,
            };
            let path = path.to_string();
            for (end, _) in path.match_indices('/').skip(1) {
                known.insert(path[..end].to_owned(), Shape::Directory);
            }
            known.insert(path, shape);
        }
    }
    Ok(known.into_iter().collect())
}

/// nodeimg's own overlays, and over them the recipe's.
fn all(recipe: &Recipe) -> Result<Vec<Overlay>> {
    let own = own_layers(recipe, !recipe.images.is_empty());
    let mut all: Vec<_> = own.map(|layer| load_own(&layer)).collect::<Result<_>>()?;
    all.extend(given(recipe)?.into_iter().map(|(_, overlay)| overlay));
    Ok(all)
}

/// The recipe's overlays by their names, the lowest first.
pub fn given(recipe: &Recipe) -> Result<Vec<(String, Overlay)>> {
    let read = |(name, place): &(String, PathBuf)| {
        Ok((name.clone(), overlay::load(Source::Disk(place), name)?))
    };
    recipe.overlays.iter().map(read).collect()
}

/// Lays nodeimg's own into `tree`: no path of theirs is there before.
pub fn lay_in_own(recipe: &Recipe, has_images: bool, tree: &mut Tree) -> Result<()> {
    for layer in own_layers(recipe, has_images) {
        let overlay = load_own(&layer)?;
        for (path, node) in overlay.root {
            tree.insert(path, with_unit(node, recipe.runtime.shared.unit))?;
        }
        templates(overlay.templates, layer.name, tree, Tree::insert)?;
    }
    Ok(())
}

/// The unit's name in the place of what stands for it.
fn with_unit(mut node: Node, unit: &str) -> Node {
    if let Kind::File(Content::Inline(bytes)) = &node.kind
        && let Ok(text) = std::str::from_utf8(bytes)
        && text.contains(runtime::UNIT)
    {
        let text = text.replace(runtime::UNIT, unit);
        node.kind = Kind::File(Content::inline(text.into_bytes()));
    }
    node
}

/// Lays the recipe's overlays over `tree`, the lowest first.
pub fn lay_over_all(overlays: &[(String, Overlay)], tree: &mut Tree) -> Result<()> {
    for (name, overlay) in overlays {
        for (path, node) in &overlay.root {
            lay_over(tree, path.clone(), node.clone())?;
        }
        templates(overlay.templates.clone(), name, tree, lay_over)?;
    }
    Ok(())
}

/// The user's files win over nodeimg's, directories are shared.
pub fn lay_over(tree: &mut Tree, path: ImagePath, node: Node) -> Result<()> {
    let shared = matches!(node.kind, Kind::Directory)
        && tree
            .get(&path)
            .is_some_and(|there| matches!(there.kind, Kind::Directory));
    if shared {
        Ok(())
    } else {
        tree.replace(path, node)
    }
}

/// A template is checked here, with the very code that renders it on the node.
fn templates(
    texts: Vec<(ImagePath, String)>,
    overlay: &str,
    tree: &mut Tree,
    put: impl Fn(&mut Tree, ImagePath, Node) -> Result<()>,
) -> Result<()> {
    for (path, text) in texts {
        let origin = Origin::Overlay(overlay.to_owned());
        if let Err(error) = Template::parse(&text).and_then(|template| template.check_supplied()) {
            bail!("{origin}: templates{path}: {error}");
        }
        let node = Node::file(Content::inline(text.into_bytes()), 0o644, origin);
        put(tree, overlay::template_path(&path)?, node)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::input::recipe::tests::{disk_recipe, recipe};

    #[test]
    fn only_a_disk_has_versions_to_choose_from() {
        let has = |recipe: &Recipe| {
            let known = known_paths(recipe).unwrap();
            let unit = "/etc/systemd/system/nodeimg-health.service";
            known.iter().any(|(path, _)| path == unit)
        };
        assert!(has(&disk_recipe("")));
        assert!(!has(&recipe("")));
    }
}

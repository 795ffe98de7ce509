//! Overlays: directories of files that are laid into an image as they are.
//!
//! ```text
//! <overlay>/root/...       /etc/modules-load.d/x.conf is root/etc/modules-load.d/x.conf
//!           templates/...  first-boot templates, under the path that each renders to
//!           README.md      for the reader; not laid in
//! ```
//!
//! An overlay is embedded in this program or lies in a user's directory; both
//! are read alike. A directory of one's own that is to be empty holds a file
//! `.keep`, since git keeps no empty directories. What editors and file
//! managers leave (`x~`, `.x.swp`, `.DS_Store`, `.git*`) is refused rather than
//! skipped: an overlay holds what the image holds, and nothing else.
//!
//! # Invariants
//! - Modes are those of [`modes`], owners are root: neither the checkout's nor
//!   the umask's.
//! - The order is that of the paths in the image.
//! - Symbolic links stay inside the image. Embedding follows links, so the
//!   overlays that ship with this program have none.

mod modes;
mod walk;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use include_dir::Dir;

use super::{Content, ImagePath, Node, Origin};
use walk::{Found, What};

/// Where an overlay is read from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// In this program, by `include_dir!`.
    Embedded(&'a Dir<'a>),
    Disk(&'a Path),
}

/// What an overlay lays in.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// In path order; parents without a mode of their own are not listed.
    pub root: Vec<(ImagePath, Node)>,
    /// By the path that each renders to, in path order; see [`template_path`].
    pub templates: Vec<(ImagePath, String)>,
}

/// Reads the overlay; `name` is what messages and the manifest call it.
pub fn load(source: Source<'_>, name: &str) -> Result<Overlay> {
    let context = || format!("overlay `{name}`");
    let found = walk::walk(source).with_context(context)?;
    let mut root = BTreeMap::new();
    let mut templates = BTreeMap::new();
    for item in &found {
        take(item, name, &mut root, &mut templates)
            .with_context(|| item.relative.escape_debug().to_string())
            .with_context(context)?;
    }
    Ok(Overlay {
        root: root.into_iter().collect(),
        templates: templates.into_iter().collect(),
    })
}

/// Where the template that renders to `path` lies in the image.
pub fn template_path(path: &ImagePath) -> Result<ImagePath> {
    nodeimg_seed::contract::paths::TEMPLATE_DIR
        .parse::<ImagePath>()?
        .join(path.relative())
}

fn take(
    item: &Found,
    overlay: &str,
    root: &mut BTreeMap<ImagePath, Node>,
    templates: &mut BTreeMap<ImagePath, String>,
) -> Result<()> {
    let (part, below) = item
        .relative
        .split_once('/')
        .unwrap_or((&item.relative, ""));
    refuse_leftover(item.relative.rsplit('/').next().unwrap_or_default())?;
    match (part, &item.what) {
        ("root" | "templates", What::Directory { .. }) if below.is_empty() => Ok(()),
        ("root", _) if !below.is_empty() => take_node(item, below, overlay, root),
        ("templates", What::Directory { .. }) => Ok(()),
        ("templates", What::File(bytes)) if !below.is_empty() => {
            take_template(bytes, below, templates)
        }
        ("templates", What::Symlink(_)) => bail!("is a symbolic link: a template is a text file"),
        ("README.md", What::File(_)) => Ok(()),
        _ => bail!("an overlay holds `root/` and `templates/`: move it into one of them"),
    }
}

fn take_node(
    item: &Found,
    below: &str,
    overlay: &str,
    root: &mut BTreeMap<ImagePath, Node>,
) -> Result<()> {
    let path = ImagePath::from_relative(below)?;
    let origin = Origin::Overlay(overlay.to_owned());
    let node = match &item.what {
        What::Directory { empty } => match modes::directory(&path) {
            Some(mode) => Node::directory(mode, origin),
            None if *empty => Node::directory(modes::DIRECTORY, origin),
            // Implied by what is in it.
            None => return Ok(()),
        },
        What::File(bytes) if path.name() == ".keep" => return keep(bytes, &path, origin, root),
        What::File(bytes) => {
            let mode = modes::file(&path, bytes);
            Node::file(Content::inline(bytes.to_vec()), mode, origin)
        }
        What::Symlink(target) => {
            check_link(target, &path)?;
            Node::symlink(target, origin)
        }
    };
    match root.insert(path.clone(), node) {
        None => Ok(()),
        // Two names of one directory, `bin` and `usr/bin`, do not conflict.
        Some(_) if matches!(item.what, What::Directory { .. }) => Ok(()),
        Some(_) => bail!("another file of this overlay is also `{path}`"),
    }
}

/// `.keep` stands for the directory that it is in.
fn keep(
    bytes: &[u8],
    path: &ImagePath,
    origin: Origin,
    root: &mut BTreeMap<ImagePath, Node>,
) -> Result<()> {
    if !bytes.is_empty() {
        bail!("is not empty: `.keep` only marks a directory and is not copied");
    }
    if let Some(directory) = path.parent() {
        let mode = modes::directory(&directory).unwrap_or(modes::DIRECTORY);
        root.insert(directory, Node::directory(mode, origin));
    }
    Ok(())
}

fn take_template(
    bytes: &[u8],
    below: &str,
    templates: &mut BTreeMap<ImagePath, String>,
) -> Result<()> {
    let path = ImagePath::from_relative(below)?;
    if path.name() == ".keep" {
        return Ok(());
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        bail!("is not UTF-8: a template is a text file");
    };
    match templates.insert(path.clone(), text.to_owned()) {
        None => Ok(()),
        Some(_) => bail!("another template of this overlay also renders to `{path}`"),
    }
}

fn refuse_leftover(name: &str) -> Result<()> {
    let swap = name.starts_with('.') && (name.ends_with(".swp") || name.ends_with(".swo"));
    let autosave = name.len() > 1 && name.starts_with('#') && name.ends_with('#');
    if name == ".gitkeep" {
        bail!("call it `.keep`");
    }
    if name == ".DS_Store" || name.starts_with(".git") || name.ends_with('~') || swap || autosave {
        bail!("looks like something an editor, a file manager or git left there: remove it");
    }
    Ok(())
}

/// Relative links must not climb above the image's root on any part of their way.
fn check_link(target: &str, path: &ImagePath) -> Result<()> {
    if target.is_empty() || target.chars().any(char::is_control) {
        bail!(
            "is a symbolic link to `{}`, which is not a valid path",
            target.escape_debug()
        );
    }
    if path.link_leaves_root(target) {
        bail!("is a symbolic link to `{target}`, which leaves the image's root");
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Which image this is, in
//! [os-release(5)](https://www.freedesktop.org/software/systemd/man/latest/os-release.html#IMAGE_ID=):
//! what a boot menu shows, and what updates compare.

use anyhow::Result;

use super::{origin, wanted};
use crate::image::units::text_at;
use crate::input::recipe::Recipe;
use crate::tree::{Content, ImagePath, Node, Tree};

pub const OS_RELEASE: &str = "/usr/lib/os-release";
const KEYS: [&str; 2] = ["IMAGE_ID=", "IMAGE_VERSION="];

/// Says the recipe's name and version.
pub fn write(tree: &mut Tree, recipe: &Recipe) -> Result<()> {
    let path: ImagePath = OS_RELEASE.parse()?;
    wanted(tree, &path, "base-files")?;
    let text = text_at(tree, &path)?.unwrap_or_default();
    let kept = text
        .lines()
        .filter(|line| !KEYS.iter().any(|key| line.starts_with(key)));
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    lines.push(format!("IMAGE_ID={}", recipe.name));
    // `~` is the one character of a version that a shell would not leave alone.
    lines.push(format!("IMAGE_VERSION=\"{}\"", recipe.version));
    let content = Content::inline((lines.join("\n") + "\n").into_bytes());
    let node = Node::file(content, 0o644, origin("naming the image"));
    tree.replace(path, node)
}

//! Which image this is, in
//! [os-release(5)](https://www.freedesktop.org/software/systemd/man/latest/os-release.html#IMAGE_ID=):
//! what a boot menu shows, and what updates compare.
//!
//! `IMAGE_ID` is the product, and stays what it is for as long as its nodes are updated:
//! systemd-boot sorts by it before it looks at the version, so that an image of another
//! name may never be started. `IMAGE_VERSION` has the build number as well.

use anyhow::Result;
use nodeimg_values::epoch::Epoch;

use super::{origin, wanted};
use crate::image::units::text_at;
use crate::input::recipe::Recipe;
use crate::tree::{Content, ImagePath, Node, Tree};

pub const OS_RELEASE: &str = "/usr/lib/os-release";
const KEYS: [&str; 2] = ["IMAGE_ID=", "IMAGE_VERSION="];

/// Says the recipe's name, and the version of the build.
pub fn write(tree: &mut Tree, recipe: &Recipe, epoch: Epoch) -> Result<()> {
    let path: ImagePath = OS_RELEASE.parse()?;
    wanted(tree, &path, "base-files")?;
    let text = text_at(tree, &path)?.unwrap_or_default();
    let kept = text
        .lines()
        .filter(|line| !KEYS.iter().any(|key| line.starts_with(key)));
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    lines.push(format!("IMAGE_ID={}", recipe.name));
    lines.push(format!("IMAGE_VERSION={}", recipe.image_version(epoch)));
    let content = Content::inline((lines.join("\n") + "\n").into_bytes());
    let node = Node::file(content, 0o644, origin("naming the image"));
    tree.replace(path, node)
}

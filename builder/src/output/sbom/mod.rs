//! What an image is made of, in the two forms that scanners and auditors read: SPDX 2.3
//! ([specification](https://spdx.github.io/spdx-spec/v2.3/)) and CycloneDX 1.6
//! ([specification](https://cyclonedx.org/docs/1.6/json/)).
//!
//! ```text
//! collect     from the inputs and the tree to a bill: packages, artifacts, programs
//!   debian    dpkg's stanzas      licence  copyright files      go  modules of programs
//! boot        what is known of a disk only when it is written
//! bill        the neutral form; purl  names of packages for the world
//! spdx, cyclonedx   its two texts
//! ```
//! Each tree has the bill of itself, in `/usr/share/nodeimg`; the one beside the outputs
//! describes the larger tree and the outputs. Those in a tree are not called `*.spdx.json` or
//! `*.cdx.json`: trivy reads what is called that in addition to dpkg's database and the
//! programs, and lists everything twice.
//!
//! # Invariants
//! - A bill depends on the tree, the recipe, its lock and this program alone.
//! - An image is never the input of a bill that is inside of it.

mod bill;
pub mod boot;
mod collect;
mod cyclonedx;
mod debian;
pub mod go;
mod licence;
pub mod purl;
mod spdx;
#[cfg(test)]
pub mod tests;

use std::path::Path;

use anyhow::{Context, Result};
use nodeimg_values::atomic;

use crate::output::manifest;
use crate::tree::{Content, Kind, Node, Origin, Tree};

pub use bill::Bill;
pub use collect::Subject;

/// Beside the outputs.
pub const SPDX: &str = "sbom.spdx.json";
pub const CYCLONEDX: &str = "sbom.cdx.json";
/// In the image.
pub const INSIDE: [&str; 2] = [
    "/usr/share/nodeimg/spdx.json",
    "/usr/share/nodeimg/cyclonedx.json",
];

/// What `tree` is made of, which it holds from then on.
pub fn embed(subject: &Subject<'_>, tree: &mut Tree) -> Result<Bill> {
    let bill = collect::of(subject, tree).context("listing what the image is made of")?;
    let texts = [spdx::text(&bill)?, cyclonedx::text(&bill)?];
    for (path, text) in INSIDE.into_iter().zip(texts) {
        let node = Node::file(Content::inline(text.into_bytes()), 0o644, Origin::Bill);
        tree.insert(path.parse()?, node)?;
    }
    Ok(bill)
}

/// A file of the tree; `None` if there is none. What is not UTF-8 becomes a mark: old copyright
/// files are in Latin-1.
fn text_at(tree: &Tree, path: &str) -> Result<Option<String>> {
    let Some(Kind::File(content)) = tree.get(&path.parse()?).map(|node| &node.kind) else {
        return Ok(None);
    };
    let bytes = content.bytes().with_context(|| format!("reading {path}"))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Writes both texts into `directory`.
pub fn write(bill: &Bill, directory: &Path) -> Result<Vec<manifest::Output>> {
    let mut written = Vec::new();
    for (name, text) in [
        (SPDX, spdx::text(bill)?),
        (CYCLONEDX, cyclonedx::text(bill)?),
    ] {
        atomic::write_file(&directory.join(name), text.as_bytes())?;
        written.push(manifest::Output::of(name, text.as_bytes()));
    }
    Ok(written)
}

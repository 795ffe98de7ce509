//! Artifacts: the inputs of a recipe, one kind per file.
//!
//! [`unpack`] turns a verified blob into the nodes that the recipe's `files`
//! rules name, and nothing else. The bytes stay where they are: every file is
//! a span of a blob in the store.
//!
//! # Invariants
//! - Every path, in an archive or in a rule, goes through [`ImagePath`].
//! - An ELF file that is installed fits the image's architecture.
//! - Whatever is refused leaves nothing behind in the store.

mod archive;
mod binary;
pub mod checksum;
pub mod deb;
pub mod members;
pub mod oci_image;
pub mod pointer;
mod rule;
mod select;
#[cfg(test)]
mod tests;
mod untar;
mod zip;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::elf::program;
use nodeimg_values::arch::Arch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::{Store, VerifiedBlob};
use crate::tree::{ImagePath, Node, Origin};

pub use rule::{InstallRule, Mode, Selector};

/// The kind of file that an artifact is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One program (or script), as it is or compressed with gzip, zstd or xz.
    Binary,
    /// A tar archive, plain or compressed with gzip, zstd or xz, or a zip archive;
    /// which of them is seen from its first bytes.
    Archive,
}

/// What of an artifact goes into the image, and within which limits.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub arch: Arch,
    pub kind: Kind,
    pub rules: &'a [InstallRule],
    /// In bytes; an archive that unpacks to more is refused.
    pub max_unpacked: u64,
    /// Whether setuid and setgid files may be installed.
    pub allow_setuid: bool,
}

/// The nodes that `spec`'s rules make of `blob`, in path order.
pub fn unpack(
    store: &Store,
    blob: Arc<VerifiedBlob>,
    spec: &Spec<'_>,
) -> Result<Vec<(ImagePath, Node)>> {
    let nodes = match spec.kind {
        Kind::Binary => binary::unpack(store, blob, spec),
        Kind::Archive => archive::unpack(store, blob, spec),
    };
    nodes
        .and_then(in_order)
        .with_context(|| format!("unpacking {} {} ({})", spec.name, spec.version, spec.arch))
}

impl Spec<'_> {
    fn origin(&self) -> Origin {
        Origin::Artifact(self.name.to_owned())
    }

    /// What holds for every installed file, whatever it came out of. Messages
    /// go on after the file's name.
    fn check_file(&self, rule: &InstallRule, file: &Candidate<'_>) -> Result<()> {
        if (file.mode | rule.mode.bits()) & 0o6000 != 0 && !self.allow_setuid {
            bail!(
                "is setuid or setgid: set `allow_setuid = true` in the recipe if that is \
                intended"
            );
        }
        if file.size == 0 && rule.mode.bits() & 0o111 != 0 {
            bail!("is empty, but `files` installs it as a program");
        }
        if let Some(what) = pointer::of(file.head) {
            bail!("is {what}, not the file itself: {}", pointer::REMEDY);
        }
        program::check_arch(file.head, self.arch)
            .map_err(|error| anyhow!("{error:#}: check the artifact's URL"))
    }
}

/// A file that a rule picked, before it is let into the image.
struct Candidate<'a> {
    /// As its archive has it; 0 if there is none.
    mode: u32,
    size: u64,
    /// The first bytes, at least an ELF header's worth if the file has them.
    head: &'a [u8],
}

fn in_order(mut nodes: Vec<(ImagePath, Node)>) -> Result<Vec<(ImagePath, Node)>> {
    nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(pair) = nodes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        bail!(
            "`files` installs two things as `{}`: remove one of them",
            pair[0].0
        );
    }
    Ok(nodes)
}

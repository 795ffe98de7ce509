//! How an image boots: kernel, initrd and command line in one EFI program.
//!
//! ```text
//! firmware -> systemd-boot -> UKI: kernel, initrd, command line with the root hash
//!   initrd: verity from the root hash, / read-only; systemd-repart makes slot B
//!           and the state; /var, /etc and the other writable paths are mounted
//!     -> systemd of the root
//! ```
//!
//! [`check_needs`] asks a lock for what boots; [`prepare`] makes a tree into the root of a disk and takes out what the root
//! does not need once it runs; [`Parts::uki`] makes the program from that,
//! which can only be done for a root that has a root hash.
//!
//! # Invariants
//! - The command line names the root by its hash: no other root is mounted.
//! - Nothing that boots is made from anything but the tree and the recipe.

mod cmdline;
mod initrd;
mod kernel;
mod microcode;
pub mod mounts;
mod name;
mod needs;
#[cfg(test)]
mod tests;
mod uki;
mod verity_unit;

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;
use nodeimg_values::epoch::Epoch;

use crate::input::recipe::Recipe;
use crate::tree::{ImagePath, Node, Origin, Tree};

pub use initrd::Slot;
pub use kernel::{Parts, efi_name};
pub use needs::{brings, check as check_needs};
pub use uki::Request;

/// Makes the tree into the root of a disk, if an output of the recipe is one.
pub fn prepare(
    tree: &mut Tree,
    recipe: &Recipe,
    arch: Arch,
    epoch: Epoch,
) -> Result<Option<Parts>> {
    if !recipe.outputs.iter().any(|output| output.is_of_disk()) {
        return Ok(None);
    }
    mounts::of(recipe)?;
    name::write(tree, recipe, epoch).context("naming the image")?;
    verity_unit::write(tree, recipe).context("telling systemd that the root is verified")?;
    kernel::take(tree, arch).map(Some)
}

fn origin(step: &str) -> Origin {
    Origin::Base(step.to_owned())
}

/// The node at `path`; an error names the package that has it.
fn wanted<'a>(tree: &'a Tree, path: &ImagePath, package: &str) -> Result<&'a Node> {
    tree.get(path).with_context(|| {
        format!(
            "`{path}` is not in the image, but a disk cannot boot without it: add the package \
             `{package}` to `base.packages`"
        )
    })
}

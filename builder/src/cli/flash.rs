//! The command line of `nodeimg flash`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use nodeimg_values::digest::{Algorithm, Digest};

use crate::input::recipe::RecipeRef;

#[derive(Debug, Args)]
pub struct FlashArgs {
    /// A disk image (raw, zst, qcow2), an output directory of `nodeimg build`, or `-` for standard input
    #[arg(value_name = "IMAGE|DIR|-", required_unless_present = "list")]
    pub image: Option<PathBuf>,
    /// The whole device to write it to, such as /dev/sdb
    #[arg(value_name = "DEVICE", required_unless_present = "list")]
    pub device: Option<PathBuf>,
    /// The node's seed, laid onto the device's EFI system partition: a directory in the layout of NoCloud or of a config drive
    #[arg(long, value_name = "DIR")]
    pub seed: Option<PathBuf>,
    /// The recipe that the image was built from, to check the seed by [default: the built-in recipe of the same name]
    #[arg(long, short, value_name = "NAME|FILE", requires = "seed")]
    pub recipe: Option<RecipeRef>,
    /// What the image's file must have [default: from manifest.json or SHA256SUMS beside it]
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub sha256: Option<Digest>,
    /// Erase what is on the device: name it again
    #[arg(long, value_name = "DEVICE")]
    pub wipe: Option<PathBuf>,
    /// Check everything and read the image, but write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not read back what was written
    #[arg(long)]
    pub no_read_back: bool,
    /// List the devices that an image could be written to, removable ones first
    #[arg(long, conflicts_with_all = ["image", "device", "seed", "recipe", "sha256", "wipe", "dry_run", "no_read_back"])]
    pub list: bool,
}

fn sha256(text: &str) -> Result<Digest> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    Digest::new(Algorithm::Sha256, hex)
}

//! `nodeimg flash` on systems other than Linux: it says so, and names the page that helps.

use anyhow::{Result, bail};

use super::Session;
use crate::cli::FlashArgs;

pub fn free_devices() -> Result<Vec<String>> {
    bail!("`nodeimg flash` is for Linux (`nodeimg help flash`)")
}

pub fn run(_: &Session<'_>, _: &FlashArgs) -> Result<()> {
    bail!("`nodeimg flash` is for Linux: docs/how-to/flash.md tells how to write the image here")
}

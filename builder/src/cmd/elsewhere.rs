//! `nodeimg flash` where there is not a Linux to open devices as it does.

use anyhow::{Result, bail};

use super::Session;
use crate::cli::FlashArgs;

pub fn free_devices() -> Result<Vec<String>> {
    bail!("`nodeimg flash` is for Linux (`nodeimg help flash`)")
}

pub fn run(_: &Session<'_>, _: &FlashArgs) -> Result<()> {
    bail!("`nodeimg flash` is for Linux: docs/how-to/flash.md tells how to write the image here")
}

#![allow(clippy::unwrap_used, clippy::expect_used)]
mod effect;
mod places;
mod pointless;
mod refused;
mod taken;

use super::{read, render};
use crate::read::seed::{Layout, Seed, SeedFile};
use crate::text::problem::Problems;

/// The files for a network configuration as one text, or its problems.
fn rendered(layout: Layout, text: &str) -> (String, Vec<String>) {
    let mut seed = Seed::new(layout, SeedFile::new("meta", ""));
    seed.network = Some(SeedFile::new("net", text));
    let mut problems = Problems::new();
    let network = read(&seed, &mut problems);
    let files = network.map(|network| render(&network)).unwrap_or_default();
    let shown = files
        .iter()
        // Always there, always empty.
        .filter(|(name, _)| name != "80-nodeimg-dhcp.network")
        .map(|(name, text)| format!("{}\n{text}", name.replace("10-nodeimg-", "== ")))
        .collect();
    (shown, problems.iter().map(ToString::to_string).collect())
}

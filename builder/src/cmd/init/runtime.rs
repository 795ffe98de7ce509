//! What a recipe of `init` says of its container runtime.

use anyhow::{Context, Result};

use super::draft::recipes;
use crate::cli::ChoiceArgs;
use crate::input::recipe::Recipe;

/// What a recipe says of a runtime that the one it extends does not have: CRI-O's minor version
/// goes with that of Kubernetes.
///
/// # Errors
/// None that are known: a built-in recipe has it.
pub fn part(base: &Recipe, choice: &ChoiceArgs) -> Result<String> {
    if choice.runtime.as_deref() != Some("crio") || base.runtime.shared.name == "crio" {
        return Ok(String::new());
    }
    let known = recipes().find_map(|(_, recipe)| {
        let has = recipe.runtime.shared.name == "crio";
        let mut artifacts = recipe.artifacts.iter();
        let crio = artifacts.find(|artifact| artifact.name.as_str() == "cri-o");
        crio.filter(|_| has)
            .map(|crio| crio.version.as_str().to_owned())
    });
    let version = known.context("no built-in recipe has CRI-O")?;
    Ok(format!(
        "\n# Its minor version goes with that of Kubernetes.\n\
         [[artifact]]\nname = \"cri-o\"\nversion = \"{version}\"\n"
    ))
}

//! Several recipes for one command.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::RecipeArgs;
use crate::input::recipe::RecipeRef;
use crate::input::vouch::roots::GivenRoot;

/// Which recipes, and the lock if it is one.
#[derive(Clone, Debug, Args)]
pub struct RecipesArgs {
    /// A built-in recipe's name, or a file (./my.toml); may be given more than once
    #[arg(
        long = "recipe",
        short,
        default_value = "hard-way",
        value_name = "NAME|FILE"
    )]
    recipes: Vec<RecipeRef>,
    /// The lock of the one recipe [default: beside the recipe; a built-in recipe has its own]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// A trusted root of Sigstore instead of nodeimg's own; INSTANCE is `private` (the default), `public-good` or `github`
    #[arg(long = "trusted-root", value_name = "[INSTANCE=]FILE")]
    trusted_roots: Vec<GivenRoot>,
}

impl RecipesArgs {
    pub fn of(one: RecipeArgs) -> RecipesArgs {
        RecipesArgs {
            recipes: vec![one.recipe],
            lock: one.lock,
            trusted_roots: one.trusted_roots,
        }
    }

    /// Each, in the order in which they were given.
    ///
    /// # Errors
    /// There are several and one lock.
    pub fn each(&self) -> Result<Vec<RecipeArgs>> {
        if let (Some(lock), [_, _, ..]) = (&self.lock, self.recipes.as_slice()) {
            bail!(
                "--lock {} is the lock of one recipe, but --recipe names {}: build that one by a \
                 command of its own",
                lock.display(),
                self.recipes.len()
            );
        }
        let each = self.recipes.iter().map(|recipe| RecipeArgs {
            recipe: recipe.clone(),
            lock: self.lock.clone(),
            trusted_roots: self.trusted_roots.clone(),
        });
        Ok(each.collect())
    }
}

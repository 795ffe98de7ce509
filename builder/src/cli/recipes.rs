//! Several recipes for one command.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::{RecipeArgs, complete, file};
use crate::input::recipe::RecipeRef;
use crate::input::vouch::roots::GivenRoot;

/// Which recipes, and the lock if it is one.
#[derive(Clone, Debug, Args)]
pub struct RecipesArgs {
    /// A built-in recipe's name, a file (./my.toml), or a directory with one recipe; may be given more than once
    #[arg(long = "recipe", short, default_value = "hard-way", value_name = "NAME|FILE|DIR", add = complete::recipes())]
    recipes: Vec<RecipeRef>,
    /// The recipes, as with --recipe
    #[arg(value_name = "RECIPE", conflicts_with = "recipes", add = complete::recipes())]
    bare: Vec<RecipeRef>,
    /// The lock of the one recipe [default: beside the recipe; a built-in recipe has its own]
    #[arg(long, value_name = "FILE", value_parser = file())]
    lock: Option<PathBuf>,
    /// A trusted root of Sigstore instead of nodeimg's own; INSTANCE is `private` (the default), `public-good` or `github`
    #[arg(long = "trusted-root", value_name = "[INSTANCE=]FILE")]
    trusted_roots: Vec<GivenRoot>,
}

impl RecipesArgs {
    pub fn of(one: RecipeArgs) -> RecipesArgs {
        RecipesArgs {
            recipes: vec![one.recipe],
            bare: Vec::new(),
            lock: one.lock,
            trusted_roots: one.trusted_roots,
        }
    }

    /// What stands without --recipe is taken as if it stood behind it.
    pub fn settle(&mut self) {
        if !self.bare.is_empty() {
            self.recipes = std::mem::take(&mut self.bare);
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
            bare: None,
            lock: self.lock.clone(),
            trusted_roots: self.trusted_roots.clone(),
        });
        Ok(each.collect())
    }
}

//! `nodeimg recipe`: look at recipes without building.

use anyhow::{Context, Result};
use serde_json::json;

use super::Session;
use crate::cli::{RecipeArgs, RecipeVerb};
use crate::image::boot;
use crate::input::recipe::file::RecipeFile;
use crate::input::recipe::{self, RecipeRef, built_in_names};

pub fn run(session: &Session<'_>, verb: &RecipeVerb) -> Result<()> {
    match verb {
        RecipeVerb::List => list(session),
        RecipeVerb::Check(args) => check(session, args),
        RecipeVerb::Show(args) => show(session, args),
        RecipeVerb::Schema => {
            let schema = schemars::schema_for!(RecipeFile);
            println!("{}", serde_json::to_string_pretty(&schema)?);
            Ok(())
        }
    }
}

fn list(session: &Session<'_>) -> Result<()> {
    for name in built_in_names() {
        let recipe = recipe::load(&RecipeRef::BuiltIn(name.to_owned()))?;
        let description = recipe.description.unwrap_or_default();
        if session.global.json {
            println!(
                "{}",
                json!({ "name": name, "version": recipe.version, "description": description })
            );
        } else {
            println!("{name:16} {:10} {description}", recipe.version.as_str());
        }
    }
    Ok(())
}

fn check(session: &Session<'_>, args: &RecipeArgs) -> Result<()> {
    let chosen = args.choose(&[])?;
    session.warn_of(&chosen.recipe);
    chosen.locked(boot::check_needs)?;
    let artifacts = chosen.recipe.artifacts.len() + chosen.recipe.images.len();
    session.say(
        &json!({ "event": "checked", "recipe": chosen.recipe.name, "artifacts": artifacts }),
        &format!(
            "{}: valid, {artifacts} artifacts, and its lock matches",
            args.recipe
        ),
    );
    Ok(())
}

fn show(session: &Session<'_>, args: &RecipeArgs) -> Result<()> {
    let recipe = recipe::load(&args.recipe)?;
    if session.global.json {
        println!("{}", serde_json::to_string(&recipe.effective)?);
    } else {
        print!(
            "{}",
            toml::to_string_pretty(&recipe.effective).context("printing the recipe")?
        );
    }
    Ok(())
}

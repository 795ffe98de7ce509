//! `nodeimg recipe`: look at recipes without building.

use anyhow::{Context, Result};
use serde_json::json;

use super::Session;
use crate::cli::{RecipeArgs, RecipeVerb};
use crate::image::boot;
use crate::input::recipe::file::RecipeFile;
use crate::input::recipe::{self, RecipeRef, built_in_names, output};
use crate::input::vouch::{self, standing};
use crate::output::KINDS;

pub fn run(session: &Session<'_>, verb: &RecipeVerb) -> Result<()> {
    match verb {
        RecipeVerb::List => list(session),
        RecipeVerb::Check(args) => check(session, args),
        RecipeVerb::Show(args) => show(session, args),
        RecipeVerb::Schema => {
            let mut schema = schemars::schema_for!(RecipeFile);
            output::describe(&mut schema, &KINDS);
            println!("{}", serde_json::to_string_pretty(&schema)?);
            Ok(())
        }
    }
}

fn list(session: &Session<'_>) -> Result<()> {
    for name in built_in_names() {
        let recipe = recipe::load(&RecipeRef::BuiltIn(name.to_owned()), &KINDS)?;
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
    let artifacts = chosen.recipe.artifacts.len() + chosen.recipe.images.len();
    if chosen.lock.is_none() {
        session.say(
            &json!({ "event": "checked", "recipe": chosen.recipe.name, "artifacts": artifacts }),
            &format!(
                "{0}: valid, {artifacts} artifacts, and it has no lock yet: create it with \
                 `nodeimg lock --recipe {0}`",
                args.recipe
            ),
        );
        return Ok(());
    }
    let locked = chosen.locked(boot::check_needs)?;
    let roots = args.roots(&chosen.recipe)?;
    chosen.verified(&locked, &roots, session.store_if_there()?.as_ref(), &[])?;
    let subjects = vouch::subjects(&chosen.recipe, locked.lock())?;
    let summary = standing::summary(&subjects);
    session.say(
        &json!({
            "event": "checked", "recipe": chosen.recipe.name, "artifacts": artifacts,
            "trust": standing::json(&chosen.recipe, &subjects),
        }),
        &format!(
            "{}: valid, {artifacts} artifacts, and its lock matches{}",
            args.recipe,
            summary.map_or_else(String::new, |summary| format!("\n{summary}"))
        ),
    );
    Ok(())
}

fn show(session: &Session<'_>, args: &RecipeArgs) -> Result<()> {
    let recipe = recipe::load(&args.recipe, &KINDS)?;
    if session.global.json {
        println!("{}", serde_json::to_string(&recipe.effective)?);
    } else {
        print!(
            "{}",
            toml::to_string_pretty(&recipe.effective).context("printing the recipe")?
        );
        if let Some(summary) = of_its_lock(args) {
            // Beside the recipe, which can be used as it is printed.
            session.progress.note(&format!("its lock: {summary}"));
        }
    }
    Ok(())
}

/// How well the inputs of the recipe's lock are vouched for; nothing without a good lock.
fn of_its_lock(args: &RecipeArgs) -> Option<String> {
    let chosen = args.choose(&[]).ok()?;
    let locked = chosen.locked(boot::check_needs).ok()?;
    let subjects = vouch::subjects(&chosen.recipe, locked.lock()).ok()?;
    standing::summary(&subjects)
}

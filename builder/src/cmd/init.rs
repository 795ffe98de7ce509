//! `nodeimg init DIR`: a recipe of one's own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_values::atomic;
use serde_json::json;

use super::Session;
use crate::cli::InitArgs;
use crate::input::recipe::{RecipeRef, built_in, load};
use crate::input::vouch::kept;
use crate::output::KINDS;

const OVERLAY_NOTE: &str =
    "Files below `root/` are copied into the image unchanged, over nodeimg's own;
files below `templates/` are rendered at first boot. docs/reference/first-boot/nodeimg.md of nodeimg
lists the placeholders. This note is not copied into the image.
";

pub fn run(session: &Session<'_>, args: &InitArgs) -> Result<()> {
    let recipe = load(&RecipeRef::BuiltIn(args.from.clone()), &KINDS)?;
    let Some(found) = built_in(&args.from) else {
        bail!("no built-in recipe is named `{}`", args.from);
    };
    empty(&args.directory)?;
    let directory = &args.directory;
    let context = || format!("writing into {}", directory.display());
    let file = directory.join(format!("{}.toml", recipe.name));
    fs::create_dir_all(directory.join("overlay/root")).with_context(context)?;
    fs::create_dir_all(directory.join("overlay/templates")).with_context(context)?;
    atomic::write_file(
        &directory.join("overlay/README.md"),
        OVERLAY_NOTE.as_bytes(),
    )?;
    atomic::write_file(&file, with_overlay(found.recipe)?.as_bytes())?;
    if let Some(lock) = found.lock {
        atomic::write_file(&file.with_extension("lock"), lock.as_bytes())?;
    }
    if let Some(proofs) = found.proofs {
        let place = file.with_extension(kept::EXTENSION);
        atomic::write_file(&place, proofs.as_bytes())?;
    }
    session.say(
        &json!({ "event": "init", "recipe": file }),
        &format!(
            "wrote {0}; build it with `nodeimg build --recipe {0}`",
            file.display()
        ),
    );
    Ok(())
}

/// A directory with something in it is somebody's work.
fn empty(directory: &Path) -> Result<()> {
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!("{} is not empty: name a new directory", directory.display()),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).with_context(|| format!("listing {}", directory.display())),
    }
}

const OUTPUTS_NOTE: &str =
    "# Any of: overlay, sysext; with a [base] also rootfs-tar, disk (which boots:
# `nodeimg run`) and its other forms. docs/reference/recipe.md of nodeimg lists all of them.
";

/// The built-in recipe's own text, comments and all, with `overlay` set.
fn with_overlay(text: &str) -> Result<String> {
    let mut document: toml_edit::DocumentMut =
        text.parse().context("reading the built-in recipe")?;
    let mut list = toml_edit::Array::new();
    list.push("overlay");
    document.insert("overlay", toml_edit::value(list));
    if let Some(mut outputs) = document.key_mut("outputs") {
        let before = outputs.leaf_decor().prefix().and_then(|p| p.as_str());
        let note = format!("{}{OUTPUTS_NOTE}", before.unwrap_or_default());
        outputs.leaf_decor_mut().set_prefix(note);
    }
    Ok(document.to_string())
}

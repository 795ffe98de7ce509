//! `nodeimg init DIR`: the user's own recipe, which extends a built-in one by the user's choices,
//! or is a copy of one.

mod ask;
mod draft;
mod runtime;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_values::atomic;
use serde_json::json;

use super::Session;
use crate::cli::InitArgs;
use crate::input::lock::Lock;
use crate::input::recipe::{RecipeRef, built_in, built_in_names, load};
use crate::input::vouch::kept;
use crate::output::KINDS;

const OVERLAY_NOTE: &str =
    "Files below `root/` are copied into the image unchanged, over nodeimg's own;
files below `templates/` are rendered at first boot. docs/reference/first-boot/nodeimg.md of nodeimg
lists the placeholders. This note is not copied into the image.
";

pub fn run(session: &Session<'_>, args: &InitArgs) -> Result<()> {
    empty(&args.directory)?;
    let asks = ask::can(session.global);
    let choice = match (&args.from, args.choice.is_empty()) {
        (None, true) if asks => ask::choice(&args.directory)?,
        (None, false) => args.choice.clone(),
        (from, _) => return copy(session, args, from.as_deref().unwrap_or("hard-way")),
    };
    let draft = draft::of(&args.directory, &choice)?;
    let file = args.directory.join(format!("{}.toml", draft.name));
    overlay(&args.directory)?;
    atomic::write_file(&file, draft.text.as_bytes())?;
    let recipe = match load(&RecipeRef::File(file.clone()), &KINDS) {
        Ok(recipe) => recipe,
        Err(error) => {
            // Nothing but what was just written is in there.
            let _ = fs::remove_dir_all(&args.directory);
            return Err(error.context("the choices do not fit together"));
        }
    };
    let lock = built_in_names()
        .into_iter()
        .filter_map(|name| Some((built_in(name)?, built_in(name)?.lock?)))
        .find(|(_, text)| {
            let lock = Lock::parse(text, "a built-in lock");
            lock.is_ok_and(|lock| lock.check(&recipe, "a built-in lock").is_ok())
        });
    if let Some((found, text)) = &lock {
        locked(&file, Some(text), found.proofs)?;
    }
    tell(session, &file, lock.is_some());
    Ok(())
}

/// The whole text of a built-in recipe.
fn copy(session: &Session<'_>, args: &InitArgs, from: &str) -> Result<()> {
    let recipe = load(&RecipeRef::BuiltIn(from.to_owned()), &KINDS)?;
    let Some(found) = built_in(from) else {
        bail!("no built-in recipe is named `{from}`");
    };
    let file = args.directory.join(format!("{}.toml", recipe.name));
    overlay(&args.directory)?;
    atomic::write_file(&file, with_overlay(found.recipe)?.as_bytes())?;
    locked(&file, found.lock, found.proofs)?;
    tell(session, &file, true);
    Ok(())
}

fn overlay(directory: &Path) -> Result<()> {
    let context = || format!("writing into {}", directory.display());
    fs::create_dir_all(directory.join("overlay/root")).with_context(context)?;
    fs::create_dir_all(directory.join("overlay/templates")).with_context(context)?;
    let note = directory.join("overlay/README.md");
    atomic::write_file(&note, OVERLAY_NOTE.as_bytes())
}

/// Writes the lock of `file`, and the proofs of that.
fn locked(file: &Path, lock: Option<&str>, proofs: Option<&str>) -> Result<()> {
    if let Some(lock) = lock {
        atomic::write_file(&file.with_extension("lock"), lock.as_bytes())?;
    }
    if let Some(proofs) = proofs {
        let place = file.with_extension(kept::EXTENSION);
        atomic::write_file(&place, proofs.as_bytes())?;
    }
    Ok(())
}

fn tell(session: &Session<'_>, file: &Path, is_locked: bool) {
    let shown = file.display();
    let first = match is_locked {
        true => String::new(),
        false => format!("pin what it needs with `nodeimg lock --recipe {shown}`, then "),
    };
    session.say(
        &json!({ "event": "init", "recipe": file }),
        &format!("wrote {shown}; {first}build it with `nodeimg build --recipe {shown}`"),
    );
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

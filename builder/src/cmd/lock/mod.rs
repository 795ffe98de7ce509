//! `nodeimg lock`: resolve names to bytes, and write down which.

mod check;
mod outdated;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use nodeimg_values::atomic;
use serde_json::json;

use super::{Session, warm_command};
use crate::cli::{LockArgs, NetworkArgs, SharedArgs};
use crate::image::boot;
use crate::input::chosen::Chosen;
use crate::input::lock::{self, Lock, Update};
use crate::input::recipe::value::Name;
use crate::input::recipe::{self, Recipe, RecipeRef};
use crate::input::resolve::vouch::Vouching;
use crate::input::resolve::{Resolve, digests, versions};
use crate::input::vouch::kept::Proofs;
use crate::input::vouch::{self, standing};
use crate::output::KINDS;

pub fn run(session: &Session<'_>, args: &LockArgs) -> Result<()> {
    let mut chosen = args.recipe.choose(&[])?;
    if args.check {
        return check::run(session, args, &chosen);
    }
    if args.outdated {
        return outdated::run(session, args, &chosen);
    }
    let own = args.recipe.lock.clone();
    let Some(path) = own.or_else(|| args.recipe.recipe.lock_path()) else {
        bail!(
            "`{}` is built in, and so is its lock: create a recipe of your own with `nodeimg init \
             DIR`, or name another lock with --lock FILE",
            args.recipe.recipe
        );
    };
    let edited = versions::changed(&args.update, &args.recipe.recipe, &chosen.recipe)?;
    if let Some(text) = &edited {
        chosen.recipe = recipe::load_edited(&args.recipe.recipe, &KINDS, text)?;
    }
    known_names(&args.update, &chosen.recipe)?;
    for name in &args.accept_signer {
        known_name("--accept-signer", name, &chosen.recipe)?;
    }
    let old = old_lock(&chosen, &args.update)?;
    let (lock, proofs) = new_lock(session, args, &chosen, old.as_ref())?;
    let text = lock.text();
    // Not by their texts: line ends that git has changed are left as they are.
    let changed = old.as_ref() != Some(&lock);
    // Before the lock, which names them.
    if changed || args.proofs || chosen.proofs.text(&lock) != proofs.text(&lock) {
        proofs.write(&lock, &path)?;
    }
    if changed {
        atomic::rewrite_file(&path, text.as_bytes())?;
    }
    // After the lock: a failure up to here has changed nothing.
    if let (Some(text), RecipeRef::File(recipe)) = (&edited, &args.recipe.recipe) {
        atomic::rewrite_file(recipe, text.as_bytes())?;
    }
    trust(session, &chosen.recipe, &lock)?;
    let verb = if changed {
        "wrote"
    } else {
        "nothing to change in"
    };
    session.say(
        &json!({ "event": "lock", "path": path, "changed": changed, "entries": lock.pins.artifacts.len(), "images": lock.pins.images.len(), "packages": lock.pins.packages.packages.len() }),
        &format!("{verb} {} ({})", path.display(), pinned(&lock)),
    );
    Ok(())
}

fn new_lock(
    session: &Session<'_>,
    args: &LockArgs,
    chosen: &Chosen,
    old: Option<&Lock>,
) -> Result<(Lock, Proofs)> {
    let recipe = &chosen.recipe;
    let store = session.store()?;
    let network = NetworkArgs {
        offline: false,
        transfer: args.transfer.clone(),
        shared: SharedArgs::default(),
    };
    let warm = warm_command(&args.recipe.recipe, &[]);
    let fetcher = session.fetcher(&store, recipe, &network, &warm)?;
    let known = match &args.digests {
        Some(path) => digests::read(path)?,
        None => BTreeMap::new(),
    };
    let roots = args.recipe.roots(recipe)?;
    let vouching = Vouching {
        roots: &roots,
        proofs: &chosen.proofs,
        all: args.proofs,
        accepted: &args.accept_signer,
    };
    let resolve = Resolve {
        recipe,
        old,
        updates: &args.update,
        known: &known,
        needs: boot::check_needs,
        allow_older: args.allow_older,
        fetcher: &fetcher,
        progress: session.progress,
        vouching,
    };
    let (lock, proofs) = resolve.lock()?;
    proofs.keep(&lock, &store)?;
    Ok((lock, proofs))
}

/// Says how well the inputs are vouched for, with the weakest link.
fn trust(session: &Session<'_>, recipe: &Recipe, lock: &Lock) -> Result<()> {
    let subjects = vouch::subjects(recipe, lock)?;
    let names_some = subjects.iter().any(|one| one.verify.is_some());
    if let Some(summary) = standing::summary(&subjects).filter(|_| names_some) {
        let mut event = standing::json(recipe, &subjects);
        event["event"] = json!("trust");
        session.say(&event, &summary);
    }
    Ok(())
}

/// `10 entries`, with the packages if there is a base system.
fn pinned(lock: &Lock) -> String {
    let entries = lock.pins.artifacts.len() + lock.pins.images.len();
    match lock.pins.packages.packages.len() {
        0 => format!("{entries} entries"),
        packages => format!("{entries} entries, {packages} packages"),
    }
}

/// A lock that cannot be read is in the way, unless all of it is made again.
fn old_lock(chosen: &Chosen, updates: &[Update]) -> Result<Option<Lock>> {
    let Some(text) = &chosen.lock else {
        return Ok(None);
    };
    match Lock::parse(text, &chosen.label) {
        Ok(lock) => Ok(Some(lock)),
        Err(_) if updates.contains(&Update::All) => Ok(None),
        Err(error) => Err(error),
    }
}

fn known_names(updates: &[Update], recipe: &Recipe) -> Result<()> {
    for update in updates {
        let Update::One { name, .. } = update else {
            continue;
        };
        let base = recipe.base.is_some() && name.as_str() == lock::BASE;
        let kubernetes = recipe.kubernetes.is_some() && update.is_of_kubernetes();
        if !base && !kubernetes {
            known_name("--update", name, recipe)?;
        }
    }
    Ok(())
}

fn known_name(flag: &str, name: &Name, recipe: &Recipe) -> Result<()> {
    let artifacts = recipe.artifacts.iter().map(|a| a.name.as_str());
    let images = recipe.images.iter().map(|image| image.name.as_str());
    let debs = recipe.base.iter().flat_map(|base| &base.debs);
    let debs = debs.map(|deb| deb.name.as_str());
    let names: BTreeSet<_> = artifacts.chain(images).chain(debs).collect();
    if !names.contains(&name.as_str()) {
        bail!(
            "{flag} {name}: the recipe has no such artifact; it has {}",
            names.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}

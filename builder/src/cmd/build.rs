//! `nodeimg build`: from a recipe and its lock to the images that they describe.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use nodeimg_signing::certificate::PublicKey;
use nodeimg_values::arch::Arch;
use nodeimg_values::progress::Progress;
use serde_json::json;

use super::pull::with_own_store;
use super::{Session, warm_command};
use crate::cli::{BuildArgs, NetworkArgs};
use crate::image::boot;
use crate::image::brought::Brought;
use crate::input::bring::bring;
use crate::input::recipe::Recipe;
use crate::input::resolve::relock::around;
use crate::output::build::Build;
use crate::output::sign;
use crate::programs::{FIRSTBOOT, Given, UPDATE};
use crate::publish::by_key;
use crate::store::Store;
use crate::tree::Content;

pub fn run(session: &Session<'_>, args: &BuildArgs) -> Result<()> {
    let started = Instant::now();
    let progress = session.progress;
    let mut chosen = args.recipe.choose(&args.outputs)?;
    session.warn_of(&chosen.recipe);
    let relock = match args.relock_base {
        true => Some(args.recipe.relock(Some(&args.out), &mut chosen)?),
        false => None,
    };
    let store = session.store()?;
    let network = NetworkArgs {
        offline: args.network.offline || args.bundle.is_some(),
        ..args.network.clone()
    };
    let archs = args.arch.archs()?;
    let warm = warm_command(&args.recipe.recipe, &archs);
    let fetcher = session.fetcher(&store, &chosen.recipe, &network, &warm)?;
    let roots = args.recipe.roots(&chosen.recipe)?;
    around(relock.as_ref(), &mut chosen, &fetcher, progress, |chosen| {
        let locked = chosen.locked(boot::check_needs)?;
        let brought = with_programs(&chosen.recipe, &archs, &args.update)?;
        let mut builds = Vec::new();
        for (&arch, brought) in archs.iter().zip(&brought) {
            let binary = Content::inline(FIRSTBOOT.find(arch, &args.firstboot)?);
            let build = Build::new(&chosen.recipe, brought, &locked, arch, binary, &args.out)?;
            // What is published may have changed, and comparing needs every byte anyway.
            let again = args.force || args.signatures_from.is_some();
            if !again && build.is_current(&store) {
                tell(progress, &build, started, true);
            } else if !again && taken(session, args, &store, &build)? {
                tell(progress, &build, started, false);
            } else {
                builds.push(build);
            }
        }
        if builds.is_empty() {
            return Ok(());
        }
        if let Some(bundle) = &args.bundle {
            progress.step("reading the bundle");
            store.import_bundle(bundle)?;
        }
        let archs: Vec<_> = builds.iter().map(|build| build.arch).collect();
        session.share(&fetcher, &network.shared, &locked, &archs);
        let mut fetched = bring(&fetcher, &chosen.recipe, &locked, &archs)?;
        // Before anything is written: no image is made of what nobody vouches for any more.
        chosen.verified(&locked, &roots, Some(&store), &archs)?;
        session.keep(&network, &chosen.recipe, &locked, &fetched)?;
        for build in &builds {
            let fetched = fetched.remove(&build.arch).unwrap_or_default();
            build.run(fetched, &store, progress)?;
            if let Some(published) = &args.signatures_from {
                as_published(build, published, progress)?;
            }
            tell(progress, build, started, false);
        }
        Ok(())
    })
}

/// Whether a registry had it, signed by whom the command line trusts.
fn taken(
    session: &Session<'_>,
    args: &BuildArgs,
    store: &Store,
    build: &Build<'_>,
) -> Result<bool> {
    let Some(address) = args.published.as_ref().filter(|_| !args.network.offline) else {
        return Ok(false);
    };
    let keys = args.published_keys.iter();
    let trusted = keys
        .map(|key| PublicKey::from_file(key))
        .collect::<Result<Vec<_>>>()?;
    let key = build.shared_key();
    let transfer = &args.network.transfer;
    let result = with_own_store(session, transfer, &build.directory, |fetcher| {
        by_key::take(
            fetcher,
            address,
            key,
            build.arch,
            &trusted,
            &build.directory,
        )
    });
    match result {
        Ok(Some(_)) => build.is_taken(store).map(|()| true),
        Ok(None) => Ok(false),
        Err(error) => {
            let text = format!("what is published is not used: {error:#}");
            session.progress.warn(&text);
            Ok(false)
        }
    }
}

/// What the recipe brings along, and the updater if it asks for that, for each architecture.
pub fn with_programs(recipe: &Recipe, archs: &[Arch], given: &[Given]) -> Result<Vec<Brought>> {
    let brought = Brought::read(recipe)?;
    let each = archs.iter().map(|arch| match recipe.has_updater {
        true => brought.with_updater(UPDATE.find(*arch, given)?),
        false => Ok(brought.clone()),
    });
    each.collect()
}

/// `published` is an image's directory, or one of several.
fn as_published(build: &Build<'_>, published: &Path, progress: &Progress) -> Result<()> {
    let own = build.directory.file_name().map(|name| published.join(name));
    let published = own
        .filter(|own| own.is_dir())
        .unwrap_or_else(|| published.to_owned());
    progress.step(&format!("comparing with {}", published.display()));
    sign::as_published(&build.directory, &published)
}

fn tell(progress: &Progress, build: &Build<'_>, started: Instant, unchanged: bool) {
    let directory = build.directory.display().to_string();
    let seconds = started.elapsed().as_secs_f64();
    let text = match unchanged {
        true => format!("{directory} is up to date"),
        false => format!("built {directory} in {seconds:.1} s"),
    };
    let event = json!({
        "event": "built", "arch": build.arch, "directory": directory, "unchanged": unchanged, "seconds": seconds,
    });
    progress.say(&event, &text);
}

//! `nodeimg build`: from a recipe and its lock to the images that they describe.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nodeimg_signing::certificate::PublicKey;
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::AtomicFile;
use nodeimg_values::full::Writing;
use nodeimg_values::parallel::set_cores;
use nodeimg_values::progress::Progress;
use nodeimg_values::trace;
use serde_json::json;

use super::pull::with_own_store;
use super::{Session, warm_command};
use crate::cli::{BuildArgs, NetworkArgs, RecipeArgs};
use crate::image::boot;
use crate::image::brought::Brought;
use crate::input::bring::{Then, bring};
use crate::input::chosen::Chosen;
use crate::input::lock::Locked;
use crate::input::recipe::{Recipe, RecipeRef};
use crate::input::resolve::relock::around;
use crate::output::build::Build;
use crate::output::sign;
use crate::programs::{FIRSTBOOT, Given, UPDATE};
use crate::publish::by_key;
use crate::store::Store;
use crate::tree::Content;

pub fn run(session: &Session<'_>, args: &BuildArgs) -> Result<()> {
    if let Some(threads) = args
        .threads
        .and_then(|count| NonZeroUsize::new(count.into()))
    {
        set_cores(threads);
    }
    let Some(path) = &args.trace else {
        return all(session, args);
    };
    // Before the work: what cannot be written is told at once.
    let mut file = AtomicFile::create(path)?;
    trace::start();
    let built = {
        let _span = trace::stage("nodeimg build");
        all(session, args)
    };
    let written = file
        .write_all(trace::to_json("nodeimg build").as_bytes())
        .writing(path)
        .and_then(|()| file.commit());
    built.and(written)
}

/// Every recipe for every architecture, one after the other: each keeps all processors busy,
/// and finds in the store what the one before has verified.
fn all(session: &Session<'_>, args: &BuildArgs) -> Result<()> {
    let started = Instant::now();
    let archs = args.arch.archs()?;
    let each = args.recipes.each()?;
    // A mistake in the last one is told before the first one is built.
    let mut chosen = Vec::with_capacity(each.len());
    let mut places: BTreeMap<String, &RecipeRef> = BTreeMap::new();
    for recipe in &each {
        let loaded = recipe.choose(&args.outputs)?;
        for name in archs.iter().map(|arch| loaded.recipe.image_name(*arch)) {
            if let Some(other) = places.insert(name.clone(), &recipe.recipe) {
                bail!(
                    "{other} and {} would both be written to {}: give them different names or \
                     versions, or build them into two folders (--out)",
                    recipe.recipe,
                    args.out.join(name).display()
                );
            }
        }
        session.warn_of(&loaded.recipe);
        chosen.push(loaded);
    }
    let store = session.store()?;
    for (recipe, chosen) in each.iter().zip(chosen) {
        let one = One {
            session,
            args,
            recipe,
            archs: &archs,
            store: &store,
            started,
        };
        let built = one.build(chosen);
        match each.len() {
            1 => built?,
            _ => built.with_context(|| recipe.recipe.to_string())?,
        }
    }
    Ok(())
}

/// A recipe that is to be built.
struct One<'a> {
    session: &'a Session<'a>,
    args: &'a BuildArgs,
    recipe: &'a RecipeArgs,
    archs: &'a [Arch],
    store: &'a Store,
    started: Instant,
}

impl One<'_> {
    fn build(&self, mut chosen: Chosen) -> Result<()> {
        let One {
            session,
            args,
            recipe,
            archs,
            store,
            ..
        } = *self;
        let progress = session.progress;
        let relock = match args.relock_base {
            true => Some(recipe.relock(Some(&args.out), &mut chosen)?),
            false => None,
        };
        let network = NetworkArgs {
            offline: args.network.offline || args.bundle.is_some(),
            ..args.network.clone()
        };
        let warm = warm_command(&recipe.recipe, archs);
        let fetcher = session.fetcher(store, &chosen.recipe, &network, &warm)?;
        let roots = recipe.roots(&chosen.recipe)?;
        around(relock.as_ref(), &mut chosen, &fetcher, progress, |chosen| {
            let reading = trace::stage("reading the lock");
            let locked = chosen.locked(boot::check_needs)?;
            recipe.remember(store)?;
            let brought = with_programs(&chosen.recipe, archs, &args.update)?;
            let builds = self.left(chosen, &locked, &brought)?;
            drop(reading);
            if builds.is_empty() {
                return Ok(());
            }
            if let Some(bundle) = &args.bundle {
                progress.step("reading the bundle");
                store.import_bundle(bundle)?;
            }
            let archs: Vec<_> = builds.iter().map(|build| build.arch).collect();
            session.share(&fetcher, &network.shared, &locked, &archs);
            let bringing = trace::stage("bringing what the lock pins");
            let mut fetched = bring(&fetcher, &chosen.recipe, &locked, &archs, Then::Unpack)?;
            drop(bringing);
            // Before anything is written: no image is made of what nobody vouches for any more.
            let verifying = trace::stage("verifying who vouches for it");
            chosen.verified(&locked, &roots, Some(store), &archs)?;
            drop(verifying);
            session.keep(&network, &chosen.recipe, &locked, &fetched)?;
            for build in &builds {
                let fetched = fetched.remove(&build.arch).unwrap_or_default();
                build.run(fetched, store, progress)?;
                if let Some(published) = &args.signatures_from {
                    as_published(build, published, progress)?;
                }
                tell(progress, build, self.started, false);
            }
            Ok(())
        })
    }

    /// What no earlier build has written, and no registry has.
    fn left<'b>(
        &self,
        chosen: &'b Chosen,
        locked: &'b Locked,
        brought: &'b [Brought],
    ) -> Result<Vec<Build<'b>>> {
        let One {
            session,
            args,
            store,
            ..
        } = *self;
        let mut builds = Vec::new();
        for (&arch, brought) in self.archs.iter().zip(brought) {
            let binary = Content::inline(FIRSTBOOT.find(arch, &args.firstboot)?);
            let build = Build::new(&chosen.recipe, brought, locked, arch, binary, &args.out)?;
            // What is published may have changed, and comparing needs every byte anyway.
            let again = args.force || args.signatures_from.is_some();
            if !again && build.is_current(store) {
                tell(session.progress, &build, self.started, true);
            } else if !again && taken(session, args, store, &build)? {
                tell(session.progress, &build, self.started, false);
            } else {
                builds.push(build);
            }
        }
        Ok(builds)
    }
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

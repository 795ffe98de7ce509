//! `nodeimg build`: from a recipe and its lock to what is handed over.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;
use serde_json::json;

use super::base::Relock;
use super::inputs::{Inputs, inputs};
use super::{Chosen, Session, warm_command};
use crate::cli::BuildArgs;
use crate::image::firstboot;
use crate::image::rootfs;
use crate::input::fetch::Fetcher;
use crate::input::lock::Locked;
use crate::input::recipe::Recipe;
use crate::output::reuse::{self, Key};
use crate::output::{self, Built};
use crate::store::Store;
use crate::tree::Content;

/// One image to be built.
struct Job<'a> {
    recipe: &'a Recipe,
    locked: &'a Locked,
    arch: Arch,
    firstboot: Content,
    directory: PathBuf,
    key: Key,
}

pub fn run(session: &Session<'_>, args: &BuildArgs) -> Result<()> {
    let started = Instant::now();
    let mut chosen = Chosen::load_for(&args.recipe, &args.outputs)?;
    let relock = args
        .relock_base
        .then(|| Relock::of(&args.recipe, Some(&args.out), &mut chosen))
        .transpose()?;
    let store = session.store()?;
    let mut network = args.network.clone();
    network.offline |= args.bundle.is_some();
    let warm = warm_command(&args.recipe.recipe, &args.archs);
    let options = session.fetch_options(&chosen.recipe, &network, &warm)?;
    let fetcher = Fetcher::new(&store, options, session.progress);
    let work = Work {
        session,
        args,
        store: &store,
        fetcher: &fetcher,
        started,
    };
    let all = |chosen: &Chosen| build_all(&work, chosen);
    match relock {
        Some(relock) => relock.around(session, &mut chosen, &fetcher, all),
        None => all(&chosen),
    }
}

/// What a build is done with.
struct Work<'a> {
    session: &'a Session<'a>,
    args: &'a BuildArgs,
    store: &'a Store,
    fetcher: &'a Fetcher<'a>,
    started: Instant,
}

fn build_all(work: &Work<'_>, chosen: &Chosen) -> Result<()> {
    let Work {
        session,
        args,
        store,
        fetcher,
        started,
    } = *work;
    let locked = chosen.locked(&args.recipe)?;
    let mut jobs = Vec::new();
    let mut archs = args.archs.clone();
    archs.sort_unstable();
    archs.dedup();
    for arch in archs {
        let job = job(&chosen.recipe, &locked, arch, args)?;
        if !args.force && reuse::is_current(store, &job.directory, &job.key) {
            built(session, &job, started, true);
        } else {
            jobs.push(job);
        }
    }
    if jobs.is_empty() {
        return Ok(());
    }
    if let Some(bundle) = &args.bundle {
        session.progress.step("reading the bundle");
        store.import_bundle(bundle)?;
    }
    let archs: Vec<_> = jobs.iter().map(|job| job.arch).collect();
    let fetched = inputs(fetcher, &chosen.recipe, &locked, &archs)?;
    for (job, blobs) in jobs.iter().zip(fetched) {
        build(session, store, job, blobs)
            .with_context(|| format!("building {}", job.recipe.image_name(job.arch)))?;
        built(session, job, started, false);
    }
    Ok(())
}

fn job<'a>(
    recipe: &'a Recipe,
    locked: &'a Locked,
    arch: Arch,
    args: &BuildArgs,
) -> Result<Job<'a>> {
    locked.entries(recipe, arch)?;
    let firstboot = firstboot::find(arch, &args.firstboot)?;
    let key = Key::of(recipe, locked, arch, &firstboot)?;
    let directory = args.out.join(recipe.image_name(arch));
    Ok(Job {
        recipe,
        locked,
        arch,
        firstboot,
        directory,
        key,
    })
}

fn build(session: &Session<'_>, store: &Store, job: &Job<'_>, inputs: Inputs<'_>) -> Result<()> {
    session
        .progress
        .step(&format!("assembling {}", job.recipe.image_name(job.arch)));
    let inputs = rootfs::Inputs {
        recipe: job.recipe,
        arch: job.arch,
        epoch: job.locked.epoch(),
        store,
        blobs: inputs.artifacts,
        packages: inputs.packages,
        unattended: job.locked.unattended(),
        images: inputs.images,
        firstboot: job.firstboot.clone(),
    };
    let image = rootfs::assemble(&inputs)?;
    for warning in &image.warnings {
        session.progress.warn(warning);
    }
    session
        .progress
        .step(&format!("writing {}", job.directory.display()));
    let built = Built {
        recipe: job.recipe,
        locked: job.locked,
        arch: job.arch,
        tree: image.overlay.as_ref().unwrap_or(&image.tree),
        rootfs: &image.tree,
        boot: image.boot.as_ref(),
        images: &inputs.images,
        store,
    };
    // Another build into this directory must not come between the two, or its
    // files would be remembered as this one's.
    let _turn = output::write_all(&built, &job.directory)?;
    reuse::remember(store, &job.directory, &job.key)
}

fn built(session: &Session<'_>, job: &Job<'_>, started: Instant, unchanged: bool) {
    let directory = job.directory.display().to_string();
    let seconds = started.elapsed().as_secs_f64();
    let text = if unchanged {
        format!("{directory} is up to date")
    } else {
        format!("built {directory} in {seconds:.1} s")
    };
    let event = json!({
        "event": "built",
        "arch": job.arch,
        "directory": directory,
        "unchanged": unchanged,
        "seconds": seconds,
    });
    session.say(&event, &text);
}

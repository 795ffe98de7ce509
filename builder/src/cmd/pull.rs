//! `nodeimg pull`: a published image out of a container registry.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;

use super::Session;
use crate::cli::PullArgs;
use crate::input::fetch::Fetcher;
use crate::publish::pull::{self, Part};
use crate::store::Store;

pub fn run(session: &Session<'_>, args: &PullArgs) -> Result<()> {
    let started = Instant::now();
    let part = match (&args.disk, args.update) {
        (Some(name), _) => Part::Disk(name.clone()),
        (None, true) => Part::Update,
        (None, false) => Part::All,
    };
    let options = session.plain_options(&args.transfer)?;
    // Its own, beside the directory: nothing is on the disk twice.
    let place = pull::store_of(&args.directory)?;
    let parent = place.parent().map(fs::create_dir_all).transpose();
    parent.with_context(|| format!("creating the directory of {}", args.directory.display()))?;
    let store = Store::open(&place)?;
    let fetcher = Fetcher::new(&store, options, session.progress);
    let pulled = pull::pull(&fetcher, &args.address, args.arch, &part, &args.directory)?;
    drop(fetcher);
    drop(store);
    fs::remove_dir_all(&place).with_context(|| format!("removing {}", place.display()))?;
    let directory = args.directory.display().to_string();
    let seconds = started.elapsed().as_secs_f64();
    let event = json!({
        "event": "pulled", "directory": directory, "address": args.address.to_string(),
        "arch": pulled.arch, "digest": pulled.digest.to_string(), "files": pulled.files,
        "seconds": seconds,
    });
    let text = format!(
        "pulled {} into {directory} in {seconds:.1} s: {} files",
        args.address,
        pulled.files.len()
    );
    session.say(&event, &text);
    Ok(())
}

//! `nodeimg pull`: a published image out of a container registry.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;

use super::Session;
use crate::cli::{PullArgs, TransferArgs};
use crate::input::fetch::{Fetcher, Options};
use crate::publish::pull::{self, Part};
use crate::store::Store;

pub fn run(session: &Session<'_>, args: &PullArgs) -> Result<()> {
    let started = Instant::now();
    let part = match (&args.disk, args.update) {
        (Some(name), _) => Part::Disk(name.clone()),
        (None, true) => Part::Update,
        (None, false) => Part::All,
    };
    let pulled = with_own_store(session, &args.transfer, &args.directory, |fetcher| {
        let (address, directory) = (&args.address, &args.directory);
        pull::pull(fetcher, address, args.arch, &part, directory, |_, _| Ok(()))
    })?;
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

/// Does `work` with a store of its own beside `directory`, so that nothing is on the disk twice.
/// What came before a failure stays there.
pub fn with_own_store<T>(
    session: &Session<'_>,
    transfer: &TransferArgs,
    directory: &Path,
    work: impl FnOnce(&Fetcher<'_>) -> Result<T>,
) -> Result<T> {
    let options = Options {
        pinned: "its manifest",
        ..session.plain_options(transfer)?
    };
    let place = pull::store_of(directory)?;
    let parent = place.parent().map(fs::create_dir_all).transpose();
    parent.with_context(|| format!("creating the directory of {}", directory.display()))?;
    let store = Store::open(&place)?;
    let fetcher = Fetcher::new(&store, options, session.progress);
    let done = work(&fetcher)?;
    drop(fetcher);
    drop(store);
    fs::remove_dir_all(&place).with_context(|| format!("removing {}", place.display()))?;
    Ok(done)
}

//! `nodeimg store`: manages the store.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nodeimg_values::regular;
use serde_json::json;

use super::Session;
use crate::cli::StoreVerb;
use crate::input::chosen::Chosen;
use crate::input::recipe::built_in_names;
use crate::store::{GcReport, Store};

/// In days.
const UNUSED_FOR: u32 = 30;

pub fn run(session: &Session<'_>, verb: &StoreVerb) -> Result<()> {
    match verb {
        StoreVerb::Gc {
            unused_for,
            keep,
            locks,
            dry_run,
        } => match keep {
            Some(keep) => gc_to(session, keep.0, locks, *dry_run),
            None => gc(session, unused_for.unwrap_or(UNUSED_FOR), *dry_run),
        },
        StoreVerb::Verify => verify(session),
        StoreVerb::Path => {
            println!("{}", session.store_root()?.display());
            Ok(())
        }
    }
}

fn gc(session: &Session<'_>, days: u32, dry_run: bool) -> Result<()> {
    let root = session.store_root()?;
    // A store that is not there yet is made by opening it, and is empty.
    drop(session.store()?);
    let report = Store::gc(
        &root,
        Duration::from_secs(u64::from(days) * 86_400),
        dry_run,
    )?;
    tell(session, &report, dry_run);
    Ok(())
}

/// What the built-in locks name, those that were used with this store and those that are
/// named, stays.
fn gc_to(session: &Session<'_>, keep: u64, locks: &[PathBuf], dry_run: bool) -> Result<()> {
    let root = session.store_root()?;
    drop(session.store()?);
    let built_in = built_in_names().into_iter();
    let mut texts: Vec<String> = built_in
        .filter_map(|name| Chosen::shipped_lock(name).1)
        .collect();
    let remembered = Store::remembered_locks(&root)?;
    for path in locks.iter().chain(&remembered) {
        let text = regular::read_text(path);
        texts.push(text.with_context(|| format!("reading the lock {}", path.display()))?);
    }
    let report = Store::gc_to(&root, keep, &texts, dry_run)?;
    tell(session, &report, dry_run);
    if report.kept > keep {
        session.progress.warn(&format!(
            "{} MB stay, more than the {} MB of --keep, since locks name {} MB of them: {}. \
             Remove locks that nobody builds from, or keep more",
            report.kept / 1_000_000,
            keep / 1_000_000,
            report.named / 1_000_000,
            match remembered.as_slice() {
                [] => "the built-in ones, and those of --lock".to_owned(),
                some => {
                    let shown = some.iter().map(|path| path.display().to_string());
                    shown.collect::<Vec<_>>().join(", ")
                }
            }
        ));
    }
    Ok(())
}

fn tell(session: &Session<'_>, report: &GcReport, dry_run: bool) {
    warn_of(session, &report.foreign);
    let verb = if dry_run { "would remove" } else { "removed" };
    session.say(
        &json!({ "event": "gc", "dry_run": dry_run, "report": report }),
        &format!(
            "{verb} {} files, {} MB; {} MB remain",
            report.removed.len(),
            report.freed / 1_000_000,
            report.kept / 1_000_000
        ),
    );
}

fn warn_of(session: &Session<'_>, foreign: &[PathBuf]) {
    let Some(first) = foreign.first() else { return };
    session.progress.warn(&format!(
        "{} files in the store are not its own and were left alone, {} first",
        foreign.len(),
        first.display()
    ));
}

fn verify(session: &Session<'_>) -> Result<()> {
    let report = session.store()?.verify()?;
    warn_of(session, &report.foreign);
    let text = format!(
        "{} blobs hashed, {} MB",
        report.checked,
        report.size / 1_000_000
    );
    session.say(&json!({ "event": "verified", "report": report }), &text);
    if report.dropped.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = report
        .dropped
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    bail!(
        "corrupt blobs were dropped and will be fetched again: {}",
        names.join(", ")
    )
}

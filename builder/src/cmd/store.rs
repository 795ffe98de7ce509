//! `nodeimg store`: manages the store.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;

use super::Session;
use crate::cli::StoreVerb;
use crate::store::Store;

pub fn run(session: &Session<'_>, verb: &StoreVerb) -> Result<()> {
    match verb {
        StoreVerb::Gc {
            unused_for,
            dry_run,
        } => gc(session, *unused_for, *dry_run),
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
    Ok(())
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

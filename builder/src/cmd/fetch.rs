//! `nodeimg fetch`: warm the store, and write a bundle of it.

use anyhow::Result;
use serde_json::json;

use super::{Chosen, Session, inputs, warm_command};
use crate::cli::FetchArgs;
use crate::fetch::Fetcher;

pub fn run(session: &Session<'_>, args: &FetchArgs) -> Result<()> {
    let chosen = Chosen::load(&args.recipe)?;
    let locked = chosen.locked(&args.recipe)?;
    let store = session.store()?;
    let fetcher = Fetcher::new(
        &store,
        session.fetch_options(
            &chosen.recipe,
            &args.network,
            &warm_command(&args.recipe.recipe, &args.archs),
        )?,
        session.progress,
    );
    let fetched = inputs(&fetcher, &chosen.recipe, &locked, &args.archs)?;
    let blobs: Vec<_> = fetched.iter().flatten().map(|(_, blob)| &**blob).collect();
    let size: u64 = blobs.iter().map(|blob| blob.size()).sum();
    if let Some(path) = &args.bundle {
        store.export_bundle(&blobs, path)?;
        session.say(
            &json!({ "event": "bundle", "path": path, "blobs": blobs.len() }),
            &format!("wrote {}", path.display()),
        );
    }
    session.say(
        &json!({ "event": "fetched", "blobs": blobs.len(), "size": size }),
        &format!(
            "{} artifacts in the store, {} MB",
            blobs.len(),
            size / 1_000_000
        ),
    );
    Ok(())
}

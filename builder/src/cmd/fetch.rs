//! `nodeimg fetch`: warm the store, and write a bundle of it.

use anyhow::Result;
use serde_json::json;

use super::base::Relock;
use super::inputs::{Inputs, inputs};
use super::{Chosen, Session, warm_command};
use crate::cli::FetchArgs;
use crate::input::fetch::Fetcher;
use crate::store::Store;

pub fn run(session: &Session<'_>, args: &FetchArgs) -> Result<()> {
    let mut chosen = Chosen::load_for(&args.recipe, &args.outputs)?;
    let relock = args
        .relock_base
        .then(|| Relock::of(&args.recipe, None, &mut chosen))
        .transpose()?;
    let store = session.store()?;
    let warm = warm_command(&args.recipe.recipe, &args.archs);
    let options = session.fetch_options(&chosen.recipe, &args.network, &warm)?;
    let fetcher = Fetcher::new(&store, options, session.progress);
    let all = |chosen: &Chosen| {
        let locked = chosen.locked(&args.recipe)?;
        let fetched = inputs(&fetcher, &chosen.recipe, &locked, &args.archs)?;
        hand_over(session, args, &store, &fetched)
    };
    match relock {
        Some(relock) => relock.around(session, &mut chosen, &fetcher, all),
        None => all(&chosen),
    }
}

fn hand_over(
    session: &Session<'_>,
    args: &FetchArgs,
    store: &Store,
    fetched: &[Inputs<'_>],
) -> Result<()> {
    let blobs: Vec<_> = fetched.iter().flat_map(Inputs::blobs).collect();
    let size: u64 = blobs.iter().map(|blob| blob.size()).sum();
    if let Some(path) = &args.bundle {
        store.export_bundle(&blobs, path)?;
        session.say(
            &json!({ "event": "bundle", "path": path, "blobs": blobs.len() }),
            &format!("wrote {}", path.display()),
        );
    }
    for (asked, image) in fetched.iter().flat_map(|inputs| &inputs.images) {
        let top = &image.top.digest;
        session.say(
            &json!({
                "event": "image", "name": asked.name, "image": asked.image, "digest": top,
                "manifest": image.manifest.digest, "size": image.size(),
            }),
            &format!("{} is {top} ({} KB)", asked.image, image.size() / 1000),
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

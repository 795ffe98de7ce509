//! `nodeimg fetch`: warm the store, and write a bundle of it.

use std::collections::BTreeMap;

use anyhow::Result;
use nodeimg_values::arch::Arch;
use serde_json::json;

use super::{Session, warm_command};
use crate::cli::FetchArgs;
use crate::image::boot;
use crate::input::bring::{Fetched, Then, bring};
use crate::input::resolve::relock::around;
use crate::store::{Store, VerifiedBlob};

pub fn run(session: &Session<'_>, args: &FetchArgs) -> Result<()> {
    let mut chosen = args.recipe.choose(&args.outputs)?;
    let relock = match args.relock_base {
        true => Some(args.recipe.relock(None, &mut chosen)?),
        false => None,
    };
    let store = session.store()?;
    let archs = args.arch.archs()?;
    let warm = warm_command(&args.recipe.recipe, &archs);
    let fetcher = session.fetcher(&store, &chosen.recipe, &args.network, &warm)?;
    let roots = args.recipe.roots(&chosen.recipe)?;
    let progress = session.progress;
    around(relock.as_ref(), &mut chosen, &fetcher, progress, |chosen| {
        let locked = chosen.locked(boot::check_needs)?;
        args.recipe.remember(&store)?;
        session.share(&fetcher, &args.network.shared, &locked, &archs);
        let fetched = bring(&fetcher, &chosen.recipe, &locked, &archs, Then::Keep)?;
        chosen.verified(&locked, &roots, Some(&store), &archs)?;
        session.keep(&args.network, &chosen.recipe, &locked, &fetched)?;
        let proofs = chosen.proofs.keep(locked.lock(), &store)?;
        report(session, args, &store, &fetched, &proofs)
    })
}

fn report(
    session: &Session<'_>,
    args: &FetchArgs,
    store: &Store,
    fetched: &BTreeMap<Arch, Fetched<'_>>,
    proofs: &[VerifiedBlob],
) -> Result<()> {
    let blobs: Vec<_> = fetched.values().flat_map(Fetched::blobs).collect();
    let size: u64 = blobs.iter().map(|blob| blob.size()).sum();
    if let Some(path) = &args.bundle {
        let all: Vec<_> = blobs.iter().copied().chain(proofs).collect();
        store.export_bundle(&all, path)?;
        session.say(
            &json!({ "event": "bundle", "path": path, "blobs": all.len() }),
            &format!("wrote {}", path.display()),
        );
    }
    for input in fetched.values().flat_map(|fetched| &fetched.images) {
        let (asked, image) = (input.asked, &input.bytes);
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

//! `nodeimg trust`: the trusted roots of Sigstore.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nodeimg_values::atomic;
use nodeimg_values::date::Date;
use nodeimg_values::digest::Digest;
use serde_json::json;

use super::Session;
use crate::cli::TrustVerb;
use crate::input::fetch::Gone;
use crate::input::recipe::verify::{SigstoreInstance, TrustPart};
use crate::input::vouch::demand::instance;
use crate::input::vouch::roots::{GivenRoot, load};
use crate::store::Store;

pub fn run(session: &Session<'_>, verb: &TrustVerb) -> Result<()> {
    match verb {
        TrustVerb::Show { trusted_roots } => show(session, trusted_roots),
        TrustVerb::Update { directory } => update(session, directory),
    }
}

/// By hand only: a build has the roots that its recipe and its program have.
fn update(session: &Session<'_>, directory: &Path) -> Result<()> {
    // It fetches nothing that is kept: any place does for a store.
    let place = tempfile::tempdir().context("creating a temporary folder")?;
    let store = Store::open(&place.path().join("store"))?;
    let fetcher = session.bare_fetcher(&store)?;
    let now = i64::try_from(Date::now()?.0).unwrap_or(i64::MAX);
    for named in [SigstoreInstance::PublicGood, SigstoreInstance::Github] {
        let what = format!("the trusted root of {}", named.name());
        let fetch = |url: &str| match fetcher.small(url, &what) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is::<Gone>() => Ok(None),
            Err(error) => Err(error),
        };
        let root = nodeimg_trust::tuf::newest(instance(named), now, fetch)
            .with_context(|| format!("updating {what}"))?;
        let path = directory.join(format!("{}.json", named.name()));
        fs::create_dir_all(directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        atomic::rewrite_file(&path, &root)?;
        let digest = Digest::sha256(&root);
        session.say(
            &json!({ "event": "root", "instance": named, "path": path, "digest": digest }),
            &format!("wrote {} ({digest})", path.display()),
        );
    }
    Ok(())
}

fn show(session: &Session<'_>, given: &[GivenRoot]) -> Result<()> {
    let roots = load(&TrustPart::default(), given)?;
    for named in SigstoreInstance::ALL {
        let digest = roots.digest(instance(named));
        let from = given.iter().rfind(|given| given.instance == named);
        let from = from.map(|given| given.file.display().to_string());
        if session.global.json {
            println!(
                "{}",
                json!({ "instance": named, "digest": digest, "file": from })
            );
            continue;
        }
        let digest = digest.map_or_else(|| "none".to_owned(), ToString::to_string);
        println!(
            "{:12} {digest} {}",
            named.name(),
            from.as_deref().unwrap_or("(built in)")
        );
    }
    Ok(())
}

//! `nodeimg trust`: the trusted roots of Sigstore.

use anyhow::Result;
use serde_json::json;

use super::Session;
use crate::cli::TrustVerb;
use crate::input::recipe::verify::{SigstoreInstance, TrustPart};
use crate::input::vouch::demand::instance;
use crate::input::vouch::roots::{GivenRoot, load};

pub fn run(session: &Session<'_>, verb: &TrustVerb) -> Result<()> {
    match verb {
        TrustVerb::Show { trusted_roots } => show(session, trusted_roots),
    }
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

//! `nodeimg lock --check`: whether a lock fits its recipe, who vouches for what it pins, and
//! what of that another lock had otherwise.

use std::time::Instant;

use anyhow::{Context, Result};
use nodeimg_values::regular;
use serde_json::json;

use super::Session;
use crate::cli::LockArgs;
use crate::image::boot;
use crate::input::chosen::Chosen;
use crate::input::lock::Lock;
use crate::input::vouch;
use crate::input::vouch::standing::{self, Change};

pub fn run(session: &Session<'_>, args: &LockArgs, chosen: &Chosen) -> Result<()> {
    let locked = chosen.locked(boot::check_needs)?;
    let roots = args.recipe.roots(&chosen.recipe)?;
    let store = session.store_if_there()?;
    let begun = Instant::now();
    chosen.verified(&locked, &roots, store.as_ref(), &[])?;
    let took = begun.elapsed();
    let changes = match &args.against {
        Some(path) => {
            let text = regular::read_text(path)
                .with_context(|| format!("reading the lock {}", path.display()))?;
            let old = Lock::parse(&text, &path.display().to_string())?;
            standing::changes(&old, locked.lock())
        }
        None => Vec::new(),
    };
    let subjects = vouch::subjects(&chosen.recipe, locked.lock())?;
    let mut lines = vec![format!("{} matches the recipe", chosen.label)];
    let proofs = subjects.iter().filter(|one| one.vouch.proof.is_some());
    let proofs = proofs.count();
    if proofs > 0 {
        lines.push(format!(
            "verified the proofs of {proofs} inputs in {:.2} s",
            took.as_secs_f64()
        ));
    }
    lines.extend(standing::summary(&subjects));
    lines.extend(changes.iter().map(said));
    let mut event = json!({
        "event": "lock", "fits": true,
        "proofs": { "verified": proofs, "milliseconds": took.as_millis() },
        "trust": standing::json(&chosen.recipe, &subjects),
    });
    if args.against.is_some() {
        event["signers"] = json!(changes);
    }
    session.say(&event, &lines.join("\n"));
    Ok(())
}

fn said(change: &Change) -> String {
    format!(
        "{}: another signer\n  was: {}\n  now: {}",
        change.what,
        change.was.text(),
        change.now.text()
    )
}

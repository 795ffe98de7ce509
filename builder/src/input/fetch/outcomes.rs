//! What many downloads came to.

use anyhow::{Result, bail};

use super::failure::Gone;
use super::transfer::Outcome;
use crate::store::VerifiedBlob;

/// The blobs, or one error with every failure in it: [`Gone`] if each is.
pub(super) fn all_or_every_error(
    results: impl Iterator<Item = Result<Outcome>>,
) -> Result<Vec<VerifiedBlob>> {
    let (mut blobs, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(Outcome::Fetched(blob, _) | Outcome::Found(blob)) => blobs.push(blob),
            Err(error) => errors.push(error),
        }
    }
    match errors.len() {
        0 => Ok(blobs),
        1 => Err(errors.remove(0)),
        n => {
            let lines: Vec<String> = errors.iter().map(|e| format!("\n  {e:#}")).collect();
            let text = format!("{n} downloads failed:{}", lines.concat());
            match errors.iter().all(|error| error.is::<Gone>()) {
                true => Err(Gone(text).into()),
                false => bail!("{text}"),
            }
        }
    }
}

//! What a lock pins of the base system.

use anyhow::Result;
use nodeimg_values::date::Date;
use nodeimg_values::progress::Progress;

use crate::input::debian::{Keyring, Resolver};
use crate::input::fetch::Fetcher;
use crate::input::lock::Packages;
use crate::input::recipe::Base;

/// The packages that `base` asks for, as Debian has them now.
pub fn packages(
    base: &Base,
    fetcher: &Fetcher<'_>,
    keyring: Keyring,
    progress: &Progress,
) -> Result<Packages> {
    progress.step("resolving the base system");
    let resolved = Resolver::new(fetcher, base, keyring, Date::now()?).resolve()?;
    for note in &resolved.notes {
        progress.warn(note);
    }
    Ok(resolved.packages)
}

//! What a lock pins of the base system.

use anyhow::Result;
use nodeimg_values::date::Date;
use nodeimg_values::progress::Progress;

use crate::input::debian::{Keyring, Resolver};
use crate::input::fetch::Fetcher;
use crate::input::lock::Packages;
use crate::input::recipe::Base;

/// The packages that `base` asks for, as Debian has them now; `old` are those of the last lock.
pub fn packages(
    base: &Base,
    fetcher: &Fetcher<'_>,
    keyring: Keyring,
    old: &Packages,
    progress: &Progress,
) -> Result<Packages> {
    progress.step("resolving the base system");
    let resolver = Resolver::new(fetcher, base, keyring, Date::now()?).after(old);
    let resolved = resolver.resolve()?;
    for note in &resolved.notes {
        progress.warn(note);
    }
    Ok(resolved.packages)
}

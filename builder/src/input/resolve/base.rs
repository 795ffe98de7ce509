//! What a lock pins of the base system.

use std::collections::BTreeMap;

use anyhow::Result;
use nodeimg_values::date::Date;
use nodeimg_values::progress::Progress;

use crate::input::debian::{Keyring, Resolver, version};
use crate::input::fetch::Fetcher;
use crate::input::lock::{Index, Packages, PinnedPackage};
use crate::input::recipe::Base;

/// What is locked so far.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub packages: &'a Packages,
    /// Whether an index may be older than the one that is locked.
    pub allow_older: bool,
}

/// The packages that `base` asks for, as Debian has them now.
pub fn packages(
    base: &Base,
    fetcher: &Fetcher<'_>,
    keyring: Keyring,
    known: Known<'_>,
    progress: &Progress,
) -> Result<Packages> {
    progress.step("resolving the base system");
    let resolver = Resolver::new(fetcher, base, keyring, Date::now()?);
    let indexes: &[Index] = match known.allow_older {
        true => &[],
        false => &known.packages.indexes,
    };
    let resolved = resolver.not_before(indexes).resolve()?;
    for note in &resolved.notes {
        progress.warn(note);
    }
    let fallen = fallen(known.packages, &resolved.packages);
    if !fallen.is_empty() {
        progress.warn(&format!(
            "packages of the base system go back to an earlier version: {}",
            fallen.join(", ")
        ));
    }
    Ok(resolved.packages)
}

/// Every package whose version is earlier in `new`: `openssl (amd64) from 3.5.4-1 to 3.5.1-1`.
fn fallen(old: &Packages, new: &Packages) -> Vec<String> {
    let before: BTreeMap<_, _> = old
        .packages
        .iter()
        .map(|package| ((&package.name, package.arch), &package.version))
        .collect();
    let fell = |package: &PinnedPackage| {
        let before = before.get(&(&package.name, package.arch))?;
        let (name, arch, now) = (&package.name, package.arch, &package.version);
        let lower = version::compare(now, before).is_lt();
        lower.then(|| format!("{name} ({arch}) from {before} to {now}"))
    };
    new.packages.iter().filter_map(fell).collect()
}

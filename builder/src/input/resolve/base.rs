//! What a lock pins of the base system.

use std::collections::BTreeMap;

use anyhow::Result;
use nodeimg_values::date::Date;
use nodeimg_values::progress::Progress;

use super::{Publishers, debs};
use crate::input::debian::{Keyring, Resolver, version};
use crate::input::lock::{Index, Packages, PinnedPackage};
use crate::input::recipe::{Base, Deb};

/// What is locked so far.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub packages: &'a Packages,
    /// Whether an index may be older than the one that is locked.
    pub allow_older: bool,
    /// Whether to take what is at the URL of a package now, though the lock pins what was
    /// there.
    pub again: &'a (dyn Fn(&Deb) -> bool + Sync),
}

/// The packages that `base` asks for, as Debian has them now.
pub fn packages(
    base: &Base,
    publishers: &Publishers<'_>,
    keyring: Keyring,
    known: Known<'_>,
    progress: &Progress,
) -> Result<Packages> {
    progress.step("resolving the base system");
    let asked = debs::Asked {
        old: known.packages,
        again: known.again,
    };
    let (debs, told) = publishers.debs(base, asked)?;
    for warning in &told {
        progress.warn(warning);
    }
    let resolver = Resolver::new(publishers.fetcher, base, keyring, Date::now()?);
    let indexes: &[Index] = match known.allow_older {
        true => &[],
        false => &known.packages.indexes,
    };
    let resolver = resolver.not_before(indexes).with_debs(&debs);
    let resolved = resolver.resolve()?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nodeimg_values::arch::Arch;
    use nodeimg_values::digest::Digest;

    use super::*;
    use crate::input::lock::Place;
    use crate::input::recipe::tests::recipe;

    #[test]
    fn every_package_that_goes_back_is_named() {
        let base = recipe("[base]\nsuite = \"trixie\"\npackages = [\"a\"]\n")
            .base
            .unwrap();
        let packages = |versions: [&str; 3]| {
            let package = |(name, version): (&str, &str)| PinnedPackage {
                name: name.parse().unwrap(),
                arch: Arch::Amd64,
                version: version.to_owned(),
                place: Place::Archive {
                    suite: "trixie".parse().unwrap(),
                    component: Default::default(),
                    path: "pool/x.deb".to_owned(),
                },
                sha256: Digest::sha256(b""),
                size: 1,
            };
            let all = ["aa", "bb", "cc"].into_iter().zip(versions);
            Packages::new(&base, Vec::new(), all.map(package).collect())
        };
        let old = packages(["9.9.9-1", "1:1.0", "2.0"]);
        assert_eq!(
            fallen(&old, &packages(["3.5.9-1", "1:0.9~rc1", "2.0"])),
            [
                "aa (amd64) from 9.9.9-1 to 3.5.9-1",
                "bb (amd64) from 1:1.0 to 1:0.9~rc1"
            ]
        );
        assert_eq!(fallen(&old, &packages(["10.0", "2:0", "2.0-1"])), [""; 0]);
        assert_eq!(fallen(&Packages::default(), &old), [""; 0]);
    }
}

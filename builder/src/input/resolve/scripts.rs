//! The maintainer scripts of a lock that is being made.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use nodeimg_values::digest::Digest;
use nodeimg_values::parallel::{cores, in_parallel};

use crate::input::artifact::deb::{self, Identity};
use crate::input::debian::scripts::{Control, Unread};
use crate::input::fetch::Fetcher;
use crate::input::lock::{Packages, PinnedPackage};
use crate::input::recipe::Base;
use crate::store::{Lookup, Store, VerifiedBlob};

/// Fetches the packages of `new` that `old` did not pin, and refuses the lock
/// if one has a script that nobody has read.
pub fn check(
    fetcher: &Fetcher<'_>,
    base: &Base,
    new: &Packages,
    old: Option<&Packages>,
) -> Result<()> {
    let pinned: BTreeSet<&Digest> = old
        .into_iter()
        .flat_map(|old| old.packages.iter().map(|package| &package.sha256))
        .collect();
    let changed: Vec<&PinnedPackage> = new
        .packages
        .iter()
        .filter(|package| !pinned.contains(&package.sha256))
        .collect();
    let fetched = fetcher.bring(changed, |package| new.request(package))?;
    let controls = in_parallel(cores(), fetched.len(), |at| -> Result<_> {
        let (package, blob) = &fetched[at];
        Ok((*package, control(package, blob)?))
    });
    let mut unread = Unread::new(&base.accept_scripts)?;
    for read in controls {
        let (package, control) = read?;
        let older = || last(fetcher.store(), old?, package);
        unread.look_at(package.name.as_str(), &control, older);
    }
    unread.refuse()
}

fn control(package: &PinnedPackage, blob: &VerifiedBlob) -> Result<Control> {
    let identity = Identity {
        name: package.name.as_str(),
        version: &package.version,
        arch: package.arch,
    };
    deb::control_of(blob, identity).with_context(|| format!("reading {}", package.what()))
}

/// The package as it was pinned before, if its bytes are still here: it only
/// makes a message shorter.
fn last(store: &Store, old: &Packages, package: &PinnedPackage) -> Option<Control> {
    let same = |other: &&PinnedPackage| other.name == package.name && other.arch == package.arch;
    let before = old.packages.iter().find(same)?;
    match store.find(&before.expected()) {
        Ok(Lookup::Found(blob)) => control(before, &blob).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::input::debian::samples::package;
    use crate::input::fetch::Options;
    use crate::input::lock::Index;
    use crate::input::recipe::tests::recipe;
    use nodeimg_values::progress::{Mode, Progress};

    const BASE: &str = "[base]\nsuite = \"trixie\"\npackages = [\"tool\"]\n";

    fn packages(base: &Base, package: PinnedPackage) -> Packages {
        let index = Index {
            suite: "trixie".parse().unwrap(),
            archive: "debian".parse().unwrap(),
            url: None,
            date: "20260912T075541Z".parse().unwrap(),
            sha256: Digest::sha256(b"y"),
        };
        Packages::new(base, vec![index], vec![package])
    }

    #[test]
    fn an_update_that_brings_an_unknown_action_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(place.path()).unwrap();
        let progress = Progress::new(Mode::Quiet);
        let offline = Options {
            offline: true,
            ..Options::default()
        };
        let fetcher = Fetcher::new(&store, offline, &progress);
        let recipe = recipe(BASE);
        let base = recipe.base.as_ref().unwrap();
        let of = |version, postinst| packages(base, package(&store, version, postinst).0);
        let idle = of("1", "#!/bin/sh\nset -e\n");
        let acting = of("2", "#!/bin/sh\nset -e\nsetcap x /usr/bin/tool\n");
        check(&fetcher, base, &idle, None).unwrap();
        let error = check(&fetcher, base, &acting, Some(&idle)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("tool/postinst sha256:"), "{text}");
        assert!(text.contains("| setcap x /usr/bin/tool"), "{text}");
        // What was pinned already is not looked at again, nor fetched.
        check(&fetcher, base, &acting, Some(&acting)).unwrap();
        let mut gone = acting.clone();
        gone.packages[0].sha256 = Digest::sha256(b"elsewhere");
        check(&fetcher, base, &gone, Some(&gone)).unwrap();
        assert!(check(&fetcher, base, &gone, Some(&idle)).is_err());
    }
}

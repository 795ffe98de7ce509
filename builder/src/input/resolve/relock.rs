//! Locking the base system again while something else is done (`--relock-base`),
//! because no mirror has what the lock pins any more.
//!
//! ```text
//! fetch what is pinned ── gone from the mirrors? ── resolve ── write the lock ── fetch that
//! ```
//!
//! # Invariants
//! - Nothing is re-locked that the user has not asked for, and nothing that is
//!   still available.
//! - Only signed indexes say what the new packages are; artifacts keep what they
//!   are pinned to.
//! - A new lock is written before anything is made of it, and never over the lock
//!   of a built-in recipe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_values::atomic;
use nodeimg_values::epoch::Epoch;
use nodeimg_values::progress::Progress;
use serde_json::json;

use super::{Publishers, base};
use crate::input::bring::Missing;
use crate::input::chosen::{Chosen, read_if_there};
use crate::input::debian::Keyring;
use crate::input::fetch::Fetcher;
use crate::input::lock::{Lock, Packages, PinnedPackage, Pins, differences};
use crate::input::recipe::RecipeRef;
use crate::input::vouch::kept::Proofs;

/// What `--relock-base` may do, and where to.
#[derive(Clone, Debug)]
pub struct Relock {
    /// The lock to be written: the one that is named, the recipe's own, or for a
    /// built-in recipe one in the output directory.
    pub to: PathBuf,
    pub keyring: Keyring,
}

impl Relock {
    /// `out` is where the built-in recipes' new locks go; a verb without such a
    /// place needs to be told one.
    pub fn of(named: Option<&Path>, out: Option<&Path>, chosen: &mut Chosen) -> Result<Relock> {
        let own = named.map(Path::to_owned);
        let own = own.or_else(|| chosen.from.lock_path());
        let to = match (own, out, &chosen.from) {
            (Some(own), _, _) => own,
            (None, Some(out), RecipeRef::BuiltIn(name)) => out.join(format!("{name}.lock")),
            (None, _, recipe) => bail!(
                "`{recipe}` is built in and so is its lock: name the lock that --relock-base may \
                 write with --lock FILE"
            ),
        };
        let relock = Relock {
            to,
            keyring: Keyring::debian()?,
        };
        relock.earlier(named.is_some(), chosen)?;
        Ok(relock)
    }

    /// For a built-in recipe, what an earlier build re-locked, unless the
    /// program has a later lock by now.
    fn earlier(&self, is_named: bool, chosen: &mut Chosen) -> Result<()> {
        let RecipeRef::BuiltIn(name) = &chosen.from else {
            return Ok(());
        };
        let shipped = Chosen::shipped_lock(name);
        if is_named {
            // Named, but not there yet: it will be a change of the shipped one.
            if chosen.lock.is_none() {
                (chosen.label, chosen.lock) = shipped;
                chosen.proofs = Chosen::shipped_proofs(name);
            }
            return Ok(());
        }
        let label = self.to.display().to_string();
        let Some(text) = read_if_there(&self.to)? else {
            return Ok(());
        };
        let fitting = |text: &str, label: &str| {
            let lock = Lock::parse(text, label).ok()?;
            differences(&lock, &chosen.recipe)
                .is_empty()
                .then_some(lock.epoch)
        };
        let ours = fitting(&text, &label);
        let theirs = shipped.1.and_then(|text| fitting(&text, &shipped.0));
        if ours.is_some() && ours >= theirs {
            (chosen.label, chosen.lock) = (label, Some(text));
            chosen.proofs = Proofs::beside(&self.to)?;
        }
        Ok(())
    }

    fn relock(
        &self,
        chosen: &mut Chosen,
        fetcher: &Fetcher<'_>,
        progress: &Progress,
    ) -> Result<()> {
        let text = chosen.lock.as_deref().context("there is no lock")?;
        let old = Lock::parse(text, &chosen.label)?;
        let base = chosen.recipe.base.as_ref().context("there is none")?;
        let known = base::Known {
            packages: &old.pins.packages,
            allow_older: false,
            // Nobody has signed what is at a URL: it stays pinned as it is.
            again: &|_| false,
        };
        let publishers = Publishers {
            fetcher,
            known: &BTreeMap::new(),
        };
        let keyring = self.keyring.clone();
        let mut packages = base::packages(base, &publishers, keyring, known, progress)?;
        packages.unattended = true;
        let changed = changed(&old.pins.packages, &packages);
        if changed == 0 {
            bail!(
                "the mirror's indexes still list the packages that it does not have: it is being \
                 updated, or it is broken; try again later, or name another with --debian-mirror"
            );
        }
        let pins = Pins {
            packages,
            ..old.pins
        };
        let lock = Lock::new(&chosen.recipe, Epoch::now()?, pins);
        let text = lock.text();
        if let Some(parent) = self.to.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("creating {}", parent.display()))?;
        }
        chosen.proofs.write(&lock, &self.to)?;
        atomic::rewrite_file(&self.to, text.as_bytes())?;
        progress.say(
            &json!({ "event": "relocked", "path": self.to, "was": chosen.label, "changed": changed }),
            &format!(
                "{} pins packages that the mirrors no longer have: re-locked the base system in \
                 {}; {changed} packages changed (all signed by Debian)",
                chosen.label,
                self.to.display()
            ),
        );
        chosen.label = self.to.display().to_string();
        chosen.lock = Some(text);
        Ok(())
    }
}

/// Does `work`; if that fails for packages that are gone and the user allows it,
/// re-locks the base system and does it again.
pub fn around<T>(
    relock: Option<&Relock>,
    chosen: &mut Chosen,
    fetcher: &Fetcher<'_>,
    progress: &Progress,
    work: impl Fn(&Chosen) -> Result<T>,
) -> Result<T> {
    let (relock, error) = match (relock, work(chosen)) {
        (Some(relock), Err(error)) => (relock, error),
        (_, done) => return done,
    };
    match error.downcast_ref::<Missing>() {
        Some(missing) if missing.gone => {}
        Some(_) if fetcher.is_offline() => {
            return Err(error.context(
                "--relock-base cannot re-lock the base system: --offline forbids asking a mirror",
            ));
        }
        _ => return Err(error),
    }
    relock
        .relock(chosen, fetcher, progress)
        .with_context(|| format!("{error:#}\nre-locking the base system"))?;
    work(chosen)
}

/// How many packages of `new` are not the ones of `old`.
fn changed(old: &Packages, new: &Packages) -> usize {
    let known: BTreeMap<_, _> = old
        .packages
        .iter()
        .map(|package| ((&package.name, package.arch), &package.sha256))
        .collect();
    let same = |package: &&PinnedPackage| {
        known.get(&(&package.name, package.arch)) == Some(&&package.sha256)
    };
    new.packages.len() - new.packages.iter().filter(same).count()
}

#[cfg(test)]
mod tests;

//! From names to bytes: what a new lock pins.
//!
//! ```text
//! artifacts   by the publisher's checksum, or by the bytes themselves
//! images      by what a registry says of a name, or a file
//! base        by Debian's signed indexes; scripts: of none that nobody has read
//! versions    other versions in the recipe itself (`--update NAME=VERSION`)
//! relock      a new base system while something else is done (`--relock-base`)
//! ```
//! What the old lock pins stays, as long as the recipe asks for it and nobody asks for
//! something newer.

mod artifacts;
mod base;
pub mod digests;
mod images;
pub mod relock;
mod scripts;
pub mod versions;

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use nodeimg_values::parallel::in_parallel;
use nodeimg_values::progress::Progress;

use super::chosen::Needs;
use super::debian::Keyring;
use super::fetch::Fetcher;
use super::lock::{self, Entry, Lock, Packages, PinnedImage, Update};
use super::recipe::{LockRequest, Recipe};
use artifacts::Publishers;
use images::Pins;

/// A lock to be made.
pub struct Resolve<'a> {
    pub recipe: &'a Recipe,
    pub old: Option<&'a Lock>,
    pub updates: &'a [Update],
    /// Digests by URL that nobody is asked for.
    pub known: &'a BTreeMap<String, Digest>,
    pub needs: Needs,
    pub fetcher: &'a Fetcher<'a>,
    pub progress: &'a Progress,
}

impl Resolve<'_> {
    /// The old lock itself, if nothing else came of it.
    pub fn lock(&self) -> Result<Lock> {
        let entries = self.artifacts()?;
        let images = self.images()?;
        let packages = self.packages()?;
        // The image's time moves only when something else does.
        let at = |epoch| {
            let lock = Lock::new(self.recipe, epoch, entries.clone(), packages.clone());
            lock.with_images(images.clone())
        };
        match self.old.filter(|old| at(old.epoch) == **old) {
            Some(old) => Ok(old.clone()),
            None => Ok(at(Epoch::now()?)),
        }
    }

    fn artifacts(&self) -> Result<Vec<Entry>> {
        let publishers = Publishers {
            fetcher: self.fetcher,
            known: self.known,
        };
        let requests = self.recipe.lock_requests();
        // A thread each; the fetcher itself limits how many download at a time.
        let entries = in_parallel(requests.len(), requests.len(), |at| {
            match self.kept(&requests[at]) {
                Some(entry) => Ok(entry.clone()),
                None => publishers.resolve(&requests[at]),
            }
        });
        let problems: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry.as_ref().err())
            .map(|error| format!("{error:#}"))
            .collect();
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        entries.into_iter().collect()
    }

    /// What the old lock pins, unless it is to be something newer.
    fn kept(&self, request: &LockRequest) -> Option<&Entry> {
        let again = |update: &Update| {
            update.covers(&request.name)
                || update.is_of_kubernetes() && self.recipe.follows_kubernetes(&request.name)
        };
        self.old
            .and_then(|lock| lock.answer(request))
            .filter(|_| !self.updates.iter().any(again))
    }

    fn images(&self) -> Result<Vec<PinnedImage>> {
        let pins = Pins {
            fetcher: self.fetcher,
            known: self.known,
            old: self
                .old
                .map(|lock| lock.images.as_slice())
                .unwrap_or_default(),
            updates: self.updates,
        };
        pins.of(self.recipe)
    }

    /// Of the base system, each script of them read by somebody.
    fn packages(&self) -> Result<Packages> {
        let mut pinned = match &self.recipe.base {
            Some(base) => match self.kept_base()? {
                Some(old) => old.clone(),
                None => base::packages(base, self.fetcher, Keyring::debian()?, self.progress)?,
            },
            None => Packages::default(),
        };
        (self.needs)(self.recipe, &pinned.packages)?;
        if let Some(base) = &self.recipe.base {
            let read = self.old.map(|lock| &lock.packages);
            let read = read.filter(|packages| !packages.unattended);
            scripts::check(self.fetcher, base, &pinned, read)?;
            pinned.unattended = false;
        }
        Ok(pinned)
    }

    /// The old packages, if they still answer what the recipe asks.
    fn kept_base(&self) -> Result<Option<&Packages>> {
        let named = lock::BASE.parse()?;
        let update = self.updates.iter().any(|update| update.covers(&named));
        let base = self.recipe.base.as_ref();
        Ok(self
            .old
            .map(|old| &old.packages)
            .filter(|packages| !update && base.is_some_and(|base| packages.answer(base))))
    }
}

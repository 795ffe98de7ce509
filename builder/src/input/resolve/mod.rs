//! From names to bytes: what a new lock pins.
//!
//! ```text
//! artifacts   by the publisher's checksum, or by the bytes themselves
//! images      by what a registry says of a name, or a file
//! debs        by themselves, at a URL
//! base        by Debian's signed indexes; scripts: of none that nobody has read
//! vouch       who vouches for those bytes: signatures and their proofs
//! versions    other versions in the recipe itself (`--update NAME=VERSION`)
//! relock      a new base system while something else is done (`--relock-base`)
//! ```
//! What the old lock pins stays, as long as the recipe asks for it and nobody asks for
//! something newer.

mod artifacts;
mod base;
mod debs;
pub mod digests;
mod images;
pub mod relock;
mod scripts;
pub mod versions;
pub mod vouch;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use nodeimg_values::parallel::in_parallel;
use nodeimg_values::progress::Progress;

use super::artifact::oci_image::local::Local;
use super::chosen::Needs;
use super::debian::Keyring;
use super::fetch::Fetcher;
use super::lock::{
    self, Lock, Packages, Pin, PinnedArtifact, PinnedImage, Pins, TopDigest, Update, Vouch,
};
use super::recipe::request::{ImageRequest, LockRequest, requests};
use super::recipe::{Deb, Recipe};
use super::vouch::kept::Proofs;
use vouch::Vouching;

/// A lock to be made.
pub struct Resolve<'a> {
    pub recipe: &'a Recipe,
    pub old: Option<&'a Lock>,
    pub updates: &'a [Update],
    /// Digests by URL that nobody is asked for.
    pub known: &'a BTreeMap<String, Digest>,
    pub needs: Needs,
    /// Whether an index of Debian may be older than the one that is locked.
    pub allow_older: bool,
    pub fetcher: &'a Fetcher<'a>,
    pub progress: &'a Progress,
    pub vouching: Vouching<'a>,
}

/// Who says which bytes something is.
struct Publishers<'a> {
    fetcher: &'a Fetcher<'a>,
    /// Digests by URL that nobody is asked for; of an image by `oci://` and its name.
    known: &'a BTreeMap<String, Digest>,
}

impl Resolve<'_> {
    /// The old lock itself, if nothing else came of it; and the proofs of both.
    pub fn lock(&self) -> Result<(Lock, Proofs)> {
        let none = Pins::default();
        let old = self.old.map_or(&none, |lock| &lock.pins);
        let publishers = Publishers {
            fetcher: self.fetcher,
            known: self.known,
        };
        let pins = Pins {
            artifacts: self.artifacts(&publishers, &old.artifacts)?,
            images: self.images(&publishers, &old.images)?,
            packages: self.packages(&publishers, &old.packages)?,
        };
        let now = Epoch::now()?;
        let round = vouch::Round {
            recipe: self.recipe,
            old: self.old,
            fetcher: self.fetcher,
            progress: self.progress,
            fresh: self.fresh(&pins, old),
        };
        let (pins, proofs) = self.vouching.of(&round, pins, now)?;
        // The image's time moves only when something else does.
        let at = |epoch| Lock::new(self.recipe, epoch, pins.clone());
        match self.old.filter(|old| at(old.epoch) == **old) {
            Some(old) => Ok((old.clone(), proofs)),
            // Who vouches for the bytes is not in the image.
            None if self.old.is_some_and(|old| old.pins.bare() == pins.bare()) => {
                let epoch = self.old.map_or(now, |old| old.epoch);
                Ok((at(epoch), proofs))
            }
            None => Ok((at(self.warned(now)), proofs)),
        }
    }

    /// The pins that were resolved now, by a publisher and not by a list of digests.
    fn fresh(&self, pins: &Pins, old: &Pins) -> BTreeSet<String> {
        let artifacts = pins.artifacts.iter().map(|pin| &pin.request);
        let artifacts = artifacts
            .filter(|request| self.kept(&old.artifacts, *request).is_none())
            .filter(|request| !self.known.contains_key(&request.url))
            .map(LockRequest::what);
        let images = pins.images.iter().map(|pin| &pin.request);
        let images = images
            .filter(|request| self.kept(&old.images, *request).is_none())
            .filter(|request| !self.known.contains_key(&format!("oci://{}", request.image)))
            .map(LockRequest::what);
        artifacts.chain(images).collect()
    }

    /// Says if it is earlier than that of the old lock.
    fn warned(&self, now: Epoch) -> Epoch {
        if let Some(old) = self.old.filter(|old| now < old.epoch) {
            let (now, old) = (now.0, old.epoch.0);
            self.progress.warn(&format!(
                "the time of images goes back from {old} to {now} (seconds since 1970): is this \
                 machine's clock right?"
            ));
        }
        now
    }

    fn artifacts(
        &self,
        publishers: &Publishers<'_>,
        old: &[PinnedArtifact],
    ) -> Result<Vec<PinnedArtifact>> {
        let artifacts = self.recipe.artifacts.iter();
        let requests: Vec<_> = artifacts
            .flat_map(|asked| {
                let of = requests(std::slice::from_ref(asked));
                of.into_iter().map(move |request| (asked, request))
            })
            .collect();
        // A thread each; the fetcher itself limits how many download at a time.
        let pins = in_parallel(requests.len(), requests.len(), |at| {
            let (asked, request) = &requests[at];
            self.pin(old, request, |request| publishers.artifact(asked, request))
        });
        let problems: Vec<_> = pins
            .iter()
            .filter_map(|pin| pin.as_ref().err())
            .map(|error| format!("{error:#}"))
            .collect();
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        pins.into_iter().collect()
    }

    fn images(&self, publishers: &Publishers<'_>, old: &[PinnedImage]) -> Result<Vec<PinnedImage>> {
        let mut pins = Vec::new();
        for image in &self.recipe.images {
            // A registry is asked once for all architectures.
            let named = OnceCell::new();
            let resolve = |request: &ImageRequest| {
                let digest = match (image.source(request.arch), named.get()) {
                    (Some(path), _) => Local::open(&path, &image.image)?.digest().clone(),
                    (None, Some(digest)) => Digest::clone(digest),
                    (None, None) => {
                        let digest = publishers.image(image)?;
                        named.get_or_init(|| digest).clone()
                    }
                };
                Ok(TopDigest { digest })
            };
            for request in requests(std::slice::from_ref(image)) {
                pins.push(self.pin(old, &request, resolve)?);
            }
        }
        Ok(pins)
    }

    /// What the old lock pins, unless it is to be something newer.
    fn pin<R: LockRequest, B: Clone>(
        &self,
        old: &[Pin<R, B>],
        request: &R,
        resolve: impl Fn(&R) -> Result<B>,
    ) -> Result<Pin<R, B>> {
        match self.kept(old, request) {
            Some(pin) => Ok(pin.clone()),
            None => Ok(Pin {
                bytes: resolve(request)?,
                request: request.clone(),
                vouch: Vouch::default(),
            }),
        }
    }

    /// The old pin, if nobody asks for something newer.
    fn kept<'p, R: LockRequest, B>(
        &self,
        old: &'p [Pin<R, B>],
        request: &R,
    ) -> Option<&'p Pin<R, B>> {
        let (name, _) = request.key();
        let again = |update: &Update| {
            update.covers(name) || update.is_of_kubernetes() && self.recipe.follows_kubernetes(name)
        };
        lock::answer(old, request).filter(|_| !self.updates.iter().any(again))
    }

    /// Of the base system, each script of them read by somebody.
    fn packages(&self, publishers: &Publishers<'_>, old: &Packages) -> Result<Packages> {
        let Some(base) = &self.recipe.base else {
            (self.needs)(self.recipe, &[])?;
            return Ok(Packages::default());
        };
        let named = lock::BASE.parse()?;
        let whole = self.updates.iter().any(|update| update.covers(&named));
        let of_one = |deb: &Deb| {
            let mut updates = self.updates.iter();
            updates.any(|update| update.is_of(deb.name.as_str()))
        };
        let again = whole || base.debs.iter().any(of_one);
        let mut pinned = match old.answer(base) && !again {
            true => old.clone(),
            false => {
                let again = |deb: &Deb| whole || of_one(deb);
                let known = base::Known {
                    packages: old,
                    allow_older: self.allow_older,
                    again: &again,
                };
                let keyring = Keyring::debian()?;
                base::packages(base, publishers, keyring, known, self.progress)?
            }
        };
        (self.needs)(self.recipe, &pinned.packages)?;
        let read = Some(old).filter(|packages| !packages.unattended);
        scripts::check(self.fetcher, base, &pinned, read)?;
        pinned.unattended = false;
        Ok(pinned)
    }
}

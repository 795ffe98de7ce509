//! The lock: exactly which bytes a recipe means.
//!
//! ```toml
//! # Written by `nodeimg lock`. Not for editing: `digest` covers all of it.
//! version = 1
//! recipe = "sha256:…"        # of the artifact requests, see Recipe::digest
//! epoch = 1790000000         # the image's one time, seconds since 1970
//! digest = "sha256:…"        # of everything else in this file
//!
//! [[artifact]]
//! name = "runc"
//! arch = "amd64"
//! version = "1.4.3"
//! url = "https://…"
//! checksum = "https://…"     # the publisher's checksum file, if there is one
//! sha256 = "…"
//! size = 12345               # bytes, if known
//! verified = "sigstore"      # who vouches for them, see [`Vouch`]; of images too
//!
//! [[image]]                  # a container image
//! name = "pause"
//! arch = "amd64"
//! image = "registry.k8s.io/pause:3.10.2"
//! digest = "sha256:…"        # of what that named: an index, or one manifest
//!
//! [[index]]                  # a suite of Debian, if there is a base system
//! suite = "trixie-security"
//! archive = "debian-security"
//! url = "https://…"          # only of another publisher's repository, called as its archive
//! date = "20261120T001242Z"  # of its Release file
//! sha256 = "…"               # of the text that was signed
//!
//! [[package]]
//! name = "systemd"
//! arch = "amd64"             # the image's
//! version = "257.13-1"
//! suite = "trixie"
//! component = "non-free-firmware"   # if it is not main
//! path = "pool/main/s/…"
//! sha256 = "…"
//! size = 12345
//!
//! [[package]]                # one that its publisher offers by itself
//! name = "tool"
//! arch = "amd64"
//! version = "1.2-1"          # of its control file
//! url = "https://…"          # in the place of suite, component and path
//! sha256 = "…"
//! size = 12345
//! ```
//!
//! # Invariants
//! [`Locked`] exists only for a lock that is whole and fits its recipe: everything in it
//! is there once, in order, and belongs to something.

mod differences;
mod package;
mod pin;
mod update;
mod vouch;
mod whole;

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use serde::Deserialize;

use crate::input::recipe::{Artifact, ContainerImage, Recipe};
use pin::joined;

pub use differences::differences;
pub use package::{Index, Packages, PinnedPackage, Place, is_archive_path, is_version};
pub use pin::{Pin, PinnedArtifact, PinnedImage, Pins, TopDigest, answer};
pub use update::{BASE, KUBERNETES, Update};
pub use vouch::Vouch;

const FORMAT: u32 = 1;
const HEADER: &str = "# Written by `nodeimg lock`. Not for editing: `digest` covers all of it.\n";

/// A lock file. (Unknown keys are refused by [`Lock::parse`], which compares
/// the whole text.)
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Lock {
    version: u32,
    recipe: Digest,
    pub epoch: Epoch,
    digest: Digest,
    #[serde(flatten)]
    pub pins: Pins,
}

impl Lock {
    /// `pins` in any order.
    pub fn new(recipe: &Recipe, epoch: Epoch, pins: Pins) -> Lock {
        let mut lock = Lock {
            version: FORMAT,
            recipe: recipe.digest(),
            epoch,
            digest: Digest::sha256(b""),
            pins: pins.sorted(),
        };
        lock.digest = Digest::sha256(lock.body().as_bytes());
        lock
    }

    /// Reads a lock's text; `label` names it in messages. What an editor or git make of
    /// its beginning (a byte order mark), its empty lines and the ends of its lines means
    /// nothing.
    ///
    /// # Errors
    /// Not a lock, of a later format, changed by hand, or not whole.
    pub fn parse(text: &str, label: &str) -> Result<Lock> {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        if let Some(line) = text.lines().position(is_conflict) {
            bail!(
                "{label}:{} has the marks of a merge conflict: take the lock of one side, \
                 then run `nodeimg lock`",
                line + 1
            );
        }
        let lock: Lock = toml::from_str(&text).with_context(|| {
            format!(
                "{label} is not a lock that this nodeimg can read: run `nodeimg lock` to \
                create a new one"
            )
        })?;
        if lock.version != FORMAT {
            bail!(
                "{label} has format {}, but this nodeimg reads {FORMAT}: re-create it with \
                 `nodeimg lock`",
                lock.version
            );
        }
        if lock.digest != Digest::sha256(lock.body().as_bytes()) {
            bail!(
                "{label} was edited by hand (its `digest` does not match its content): revert the \
                 change, or re-create it with `nodeimg lock --update`"
            );
        }
        // What is written from the parsed values must be the very lines: a
        // comment, another order or an unknown key alike came by hand.
        let own = lock.text();
        let mut wanted = lines(&own);
        if let Some((line, _)) =
            lines(&text).find(|(_, line)| wanted.next().is_none_or(|(_, own)| own != *line))
        {
            bail!(
                "{label}:{line} is not as `nodeimg lock` has written it, though its values may be: \
                 revert the change, or re-create the lock with `nodeimg lock --update`"
            );
        }
        lock.pins.check().with_context(|| {
            format!(
                "{label} is not a lock that nodeimg has written: revert the change, or re-create \
                 it with `nodeimg lock --update`"
            )
        })?;
        Ok(lock)
    }

    /// The whole file.
    pub fn text(&self) -> String {
        let (head, tables) = self.parts();
        format!("{HEADER}{head}digest = \"{}\"\n{tables}", self.digest)
    }

    fn body(&self) -> String {
        let (head, tables) = self.parts();
        head + &tables
    }

    fn parts(&self) -> (String, String) {
        let head = format!(
            "version = {}\nrecipe = \"{}\"\n{}epoch = {}\n",
            self.version,
            self.recipe,
            self.pins.packages.head(),
            self.epoch.0
        );
        (head, self.pins.text())
    }

    /// The lock for a build of `recipe`.
    ///
    /// # Errors
    /// The lock is stale; every key that differs is named.
    pub fn check(self, recipe: &Recipe, label: &str) -> Result<Locked> {
        let differences = differences(&self, recipe);
        if !differences.is_empty() {
            bail!(
                "{label} does not match the recipe: run `nodeimg lock`\n  {}",
                differences.join("\n  ")
            );
        }
        Ok(Locked {
            lock: self,
            with_base: recipe.needs_base(),
        })
    }
}

/// Those that say something, without blanks at their ends, and their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(str::trim_end).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(at, line)| (at + 1, line))
}

/// Of git, with its own name of a side behind.
fn is_conflict(line: &str) -> bool {
    line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ")
}

/// A lock that fits its recipe.
#[derive(Debug)]
pub struct Locked {
    lock: Lock,
    /// Whether anything asked for has the base system in it.
    with_base: bool,
}

impl Locked {
    pub fn epoch(&self) -> Epoch {
        self.lock.epoch
    }

    /// Each artifact of the recipe with its pin, for each of `archs`.
    ///
    /// # Errors
    /// The recipe has no URL of some artifact for one of them.
    pub fn artifacts<'a>(
        &'a self,
        recipe: &'a Recipe,
        archs: &[Arch],
    ) -> Result<Vec<(&'a Artifact, &'a PinnedArtifact)>> {
        joined(&recipe.artifacts, &self.lock.pins.artifacts, archs)
    }

    /// Each container image of the recipe, likewise.
    pub fn images<'a>(
        &'a self,
        recipe: &'a Recipe,
        archs: &[Arch],
    ) -> Result<Vec<(&'a ContainerImage, &'a PinnedImage)>> {
        joined(&recipe.images, &self.lock.pins.images, archs)
    }

    /// # Errors
    /// The recipe cannot be built for `arch`.
    pub fn check_arch(&self, recipe: &Recipe, arch: Arch) -> Result<()> {
        self.artifacts(recipe, &[arch])?;
        self.images(recipe, &[arch])?;
        Ok(())
    }

    /// The packages of the base system for `archs`, by name; none if the recipe
    /// does not need it, see [`Recipe::needs_base`].
    pub fn packages(&self, archs: &[Arch]) -> Vec<&PinnedPackage> {
        let all = self.lock.pins.packages.packages.iter();
        all.filter(|package| self.with_base && archs.contains(&package.arch))
            .collect()
    }

    /// Whether the base system was locked while nobody was looking.
    pub fn unattended(&self) -> bool {
        self.lock.pins.packages.unattended
    }

    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Everything that the lock pins.
    pub fn pins(&self) -> &Pins {
        &self.lock.pins
    }

    /// Stands for the whole lock.
    pub fn digest(&self) -> &Digest {
        &self.lock.digest
    }
}

#[cfg(test)]
mod tests;

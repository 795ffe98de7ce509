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
//!
//! [[image]]                  # a container image, see `image`
//! name = "pause"
//! arch = "amd64"
//! image = "registry.k8s.io/pause:3.10.2"
//! digest = "sha256:…"
//!
//! [[index]]                  # a suite of Debian, if there is a base system
//! suite = "trixie-security"
//! archive = "debian-security"
//! date = "20261120T001242Z"  # of its Release file
//! sha256 = "…"               # of the text that was signed
//!
//! [[package]]
//! name = "systemd"
//! arch = "amd64"             # the image's
//! version = "257.13-1"
//! suite = "trixie"
//! path = "pool/main/s/…"
//! sha256 = "…"
//! size = 12345
//! ```
//!
//! # Invariants
//! [`Locked`] exists only for a lock that is whole and fits its recipe.

mod image;
mod package;
mod update;

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::{Digest, Expected};
use nodeimg_values::epoch::Epoch;
use serde::{Deserialize, Serialize};

use crate::input::recipe::value::{Name, Version};
use crate::input::recipe::{LockRequest, Recipe};

pub use image::PinnedImage;
pub use package::{Index, Packages, PinnedPackage};
pub use update::{BASE, KUBERNETES, Update};

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
    #[serde(default, rename = "artifact")]
    pub entries: Vec<Entry>,
    #[serde(default, rename = "image")]
    pub images: Vec<PinnedImage>,
    #[serde(flatten)]
    pub packages: Packages,
}

/// One artifact for one architecture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub name: Name,
    pub arch: Arch,
    pub version: Version,
    pub url: String,
    pub checksum: Option<String>,
    /// What the bytes must be.
    #[serde(flatten)]
    pub bytes: Expected,
}

impl Entry {
    pub fn new(request: LockRequest, bytes: Expected) -> Entry {
        Entry {
            name: request.name,
            arch: request.arch,
            version: request.version,
            url: request.url,
            checksum: request.checksum,
            bytes,
        }
    }

    /// As messages name it: `containerd 2.3.4 (arm64)`.
    pub fn what(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.arch)
    }

    fn is_of(&self, request: &LockRequest) -> bool {
        self.name == request.name && self.arch == request.arch
    }

    /// The key in which this differs from what the recipe asks, both values.
    fn differs(&self, request: &LockRequest) -> Option<(&'static str, String, String)> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        [
            (
                "version",
                request.version.to_string(),
                self.version.to_string(),
            ),
            ("url", request.url.clone(), self.url.clone()),
            ("checksum", text(&request.checksum), text(&self.checksum)),
        ]
        .into_iter()
        .find(|(_, asked, locked)| asked != locked)
    }
}

impl Lock {
    /// `entries` in any order: the file's order is by name and architecture.
    pub fn new(recipe: &Recipe, epoch: Epoch, mut entries: Vec<Entry>, packages: Packages) -> Lock {
        entries.sort_by(|a, b| (&a.name, a.arch).cmp(&(&b.name, b.arch)));
        let mut lock = Lock {
            version: FORMAT,
            recipe: recipe.digest(),
            epoch,
            digest: Digest::sha256(b""),
            entries,
            images: Vec::new(),
            packages: packages.sorted(),
        };
        lock.digest = Digest::sha256(lock.body().as_bytes());
        lock
    }

    /// With these container images, in any order.
    #[must_use]
    pub fn with_images(mut self, mut images: Vec<PinnedImage>) -> Lock {
        images.sort_by(|a, b| (&a.name, a.arch).cmp(&(&b.name, b.arch)));
        self.images = images;
        self.digest = Digest::sha256(self.body().as_bytes());
        self
    }

    /// Reads a lock's text; `label` names it in messages.
    ///
    /// # Errors
    /// Not a lock, of a later format, or changed by hand.
    pub fn parse(text: &str, label: &str) -> Result<Lock> {
        let lock: Lock = toml::from_str(text).with_context(|| {
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
        // What is written from the parsed values must be the very text: a
        // comment, another order or a changed value alike came by hand.
        if lock.digest != Digest::sha256(lock.body().as_bytes()) || lock.text() != text {
            bail!(
                "{label} was edited by hand (its `digest` does not match its content): revert the \
                 change, or re-create it with `nodeimg lock --update`"
            );
        }
        Ok(lock)
    }

    /// The whole file.
    pub fn text(&self) -> String {
        let (head, entries) = self.parts();
        format!("{HEADER}{head}digest = \"{}\"\n{entries}", self.digest)
    }

    fn body(&self) -> String {
        let (head, entries) = self.parts();
        head + &entries
    }

    fn parts(&self) -> (String, String) {
        let head = format!(
            "version = {}\nrecipe = \"{}\"\n{}epoch = {}\n",
            self.version,
            self.recipe,
            self.packages.head(),
            self.epoch.0
        );
        let mut entries = String::new();
        for entry in &self.entries {
            // Strings and numbers always serialise; writing to a String cannot fail.
            let table = toml::to_string(entry).unwrap_or_default();
            let _ = write!(entries, "\n[[artifact]]\n{table}");
        }
        image::write(&self.images, &mut entries);
        self.packages.write(&mut entries);
        (head, entries)
    }

    /// The entry that answers `request` as it stands, if there is one.
    pub fn answer(&self, request: &LockRequest) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.is_of(request) && entry.differs(request).is_none())
    }

    /// The version of Kubernetes that `recipe` asks for and what is locked instead,
    /// if that is all that is wrong with those artifacts.
    fn other_kubernetes(&self, recipe: &Recipe) -> Option<(Version, String)> {
        let asked = recipe.kubernetes.clone()?;
        let follows = |entry: &&Entry| recipe.follows_kubernetes(&entry.name);
        let mut locked: Vec<_> = self.entries.iter().filter(follows).collect();
        locked.retain(|entry| entry.version != asked);
        let mut versions: Vec<_> = locked.iter().map(|e| format!("`{}`", e.version)).collect();
        versions.sort();
        versions.dedup();
        (!versions.is_empty()).then(|| (asked, versions.join(", ")))
    }

    /// Every way in which this does not fit `recipe`, by key.
    pub fn differences(&self, recipe: &Recipe) -> Vec<String> {
        let requests = recipe.lock_requests();
        let mut found = Vec::new();
        let moved = self.other_kubernetes(recipe);
        if let Some((asked, locked)) = &moved {
            found.push(format!(
                "kubernetes: the recipe says `{asked}`, the lock has {locked}"
            ));
        }
        for request in &requests {
            if moved.is_some() && recipe.follows_kubernetes(&request.name) {
                continue;
            }
            let key = format!("artifact.{}", request.name);
            match self.entries.iter().find(|entry| entry.is_of(request)) {
                None => found.push(format!("{key}: not in the lock for {}", request.arch)),
                Some(entry) => found.extend(entry.differs(request).map(|(what, asked, locked)| {
                    format!(
                        "{key}.{what} ({}): the recipe says `{asked}`, the lock `{locked}`",
                        request.arch
                    )
                })),
            }
        }
        for entry in &self.entries {
            if !requests.iter().any(|request| entry.is_of(request)) {
                found.push(format!(
                    "artifact.{}: in the lock for {}, not in the recipe",
                    entry.name, entry.arch
                ));
            }
        }
        found.extend(image::differences(&self.images, &recipe.image_requests()));
        found.extend(self.packages.differences(recipe.base.as_ref()));
        if found.is_empty() && self.recipe != recipe.digest() {
            found.push(format!(
                "recipe: the recipe's digest is `{}`, the lock says `{}`",
                recipe.digest(),
                self.recipe
            ));
        }
        found
    }

    /// The lock for a build of `recipe`.
    ///
    /// # Errors
    /// The lock is stale; every key that differs is named.
    pub fn check(self, recipe: &Recipe, label: &str) -> Result<Locked> {
        let differences = self.differences(recipe);
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

    /// What a build for `arch` needs.
    ///
    /// # Errors
    /// The recipe has no URL of some artifact for `arch`.
    pub fn entries(&self, recipe: &Recipe, arch: Arch) -> Result<Vec<&Entry>> {
        let missing = recipe
            .artifacts
            .iter()
            .find(|artifact| artifact.url.get(arch).is_none());
        if let Some(artifact) = missing {
            bail!(
                "artifact.{}.url has no entry for {arch}: this recipe cannot be built for it",
                artifact.name
            );
        }
        Ok(self
            .lock
            .entries
            .iter()
            .filter(|entry| entry.arch == arch)
            .collect())
    }

    /// The container images for `arch`, by name.
    ///
    /// # Errors
    /// The recipe has no source of some image for `arch`.
    pub fn images(&self, recipe: &Recipe, arch: Arch) -> Result<Vec<&PinnedImage>> {
        let missing = recipe.images.iter().find(|i| i.request(arch).is_none());
        if let Some(image) = missing {
            bail!(
                "artifact.{}.source has no entry for {arch}: this recipe cannot be built for it",
                image.name
            );
        }
        let all = self.lock.images.iter();
        Ok(all.filter(|image| image.arch == arch).collect())
    }

    /// The packages of the base system for `arch`, by name; none if the recipe
    /// does not need it, see [`Recipe::needs_base`].
    pub fn packages(&self, arch: Arch) -> impl Iterator<Item = &PinnedPackage> {
        let all = self.lock.packages.packages.iter();
        all.filter(move |package| self.with_base && package.arch == arch)
    }

    /// Whether the base system was locked while nobody was looking.
    pub fn unattended(&self) -> bool {
        self.lock.packages.unattended
    }

    /// Where `package` stays for good.
    pub fn url(&self, package: &PinnedPackage) -> Result<String> {
        self.lock.packages.url(package)
    }

    /// Stands for the whole lock.
    pub fn digest(&self) -> &Digest {
        &self.lock.digest
    }
}

#[cfg(test)]
mod tests;

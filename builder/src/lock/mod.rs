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
//! checksum = "https://…"     # the publisher's checksum file, where there is one
//! sha256 = "…"
//! size = 12345               # bytes, where known
//! ```
//!
//! # Invariants
//! [`Locked`] exists only for a lock that is whole and fits its recipe.

mod update;

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::arch::Arch;
use crate::digest::{Algorithm, Digest, Expected};
use crate::recipe::value::{Name, Version};
use crate::recipe::{LockRequest, Recipe};
use crate::tree::Epoch;

pub use update::Update;

const FORMAT: u32 = 1;
const HEADER: &str = "# Written by `nodeimg lock`. Not for editing: `digest` covers all of it.\n";

/// A lock file.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    recipe: Digest,
    pub epoch: Epoch,
    digest: Digest,
    #[serde(default, rename = "artifact")]
    pub entries: Vec<Entry>,
}

/// One artifact for one architecture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub name: Name,
    pub arch: Arch,
    pub version: Version,
    pub url: String,
    pub checksum: Option<String>,
    sha256: Option<String>,
    sha512: Option<String>,
    size: Option<u64>,
}

impl Entry {
    pub fn new(request: LockRequest, known: &Expected) -> Entry {
        Entry {
            name: request.name,
            arch: request.arch,
            version: request.version,
            url: request.url,
            checksum: request.checksum,
            sha256: known.sha256.as_ref().map(|d| d.hex().to_owned()),
            sha512: known.sha512.as_ref().map(|d| d.hex().to_owned()),
            size: known.size,
        }
    }

    /// As messages name it: `containerd 2.3.4 (arm64)`.
    pub fn what(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.arch)
    }

    /// What the bytes must be.
    pub fn expected(&self) -> Result<Expected> {
        let digest = |algorithm, hex: &Option<String>| {
            hex.as_ref()
                .map(|hex| Digest::new(algorithm, hex))
                .transpose()
        };
        let expected = Expected {
            sha256: digest(Algorithm::Sha256, &self.sha256)?,
            sha512: digest(Algorithm::Sha512, &self.sha512)?,
            size: self.size,
        };
        if expected.digests().next().is_none() {
            bail!("no digest for {}", self.what());
        }
        Ok(expected)
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
    pub fn new(recipe: &Recipe, epoch: Epoch, mut entries: Vec<Entry>) -> Lock {
        entries.sort_by(|a, b| (&a.name, a.arch).cmp(&(&b.name, b.arch)));
        let mut lock = Lock {
            version: FORMAT,
            recipe: recipe.digest(),
            epoch,
            digest: Digest::sha256(b""),
            entries,
        };
        lock.digest = Digest::sha256(lock.body().as_bytes());
        lock
    }

    /// Reads a lock's text; `label` names it in messages.
    ///
    /// # Errors
    /// Not a lock, of a later format, or changed by hand.
    pub fn parse(text: &str, label: &str) -> Result<Lock> {
        let lock: Lock = toml::from_str(text).with_context(|| {
            format!("{label} is no lock of this nodeimg: make it anew with `nodeimg lock`")
        })?;
        if lock.version != FORMAT {
            bail!(
                "{label} has format {}, this nodeimg reads {FORMAT}: make it anew with `nodeimg lock`",
                lock.version
            );
        }
        // What is written from the parsed values must be the very text: a
        // comment, another order or a changed value alike came by hand.
        if lock.digest != Digest::sha256(lock.body().as_bytes()) || lock.text() != text {
            bail!(
                "{label} was edited by hand (its `digest` does not cover what it says): \
                 take the change back, or make it anew with `nodeimg lock --update`"
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
            "version = {}\nrecipe = \"{}\"\nepoch = {}\n",
            self.version, self.recipe, self.epoch.0
        );
        let mut entries = String::new();
        for entry in &self.entries {
            // Strings and numbers always serialise; writing to a String cannot fail.
            let table = toml::to_string(entry).unwrap_or_default();
            let _ = write!(entries, "\n[[artifact]]\n{table}");
        }
        (head, entries)
    }

    /// The entry that answers `request` as it stands, if there is one.
    pub fn answer(&self, request: &LockRequest) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.is_of(request) && entry.differs(request).is_none())
    }

    /// Every way in which this does not fit `recipe`, by key.
    pub fn differences(&self, recipe: &Recipe) -> Vec<String> {
        let requests = recipe.lock_requests();
        let mut found = Vec::new();
        for request in &requests {
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
                "{label} does not fit the recipe: run `nodeimg lock`\n  {}",
                differences.join("\n  ")
            );
        }
        Ok(Locked { lock: self })
    }
}

/// A lock that fits its recipe.
#[derive(Debug)]
pub struct Locked {
    lock: Lock,
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
                "artifact.{}.url has nothing for {arch}: this recipe cannot be built for it",
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

    /// Stands for the whole lock.
    pub fn digest(&self) -> &Digest {
        &self.lock.digest
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::recipe::tests::recipe;

    fn lock() -> (Recipe, Lock) {
        let recipe = recipe("");
        let known = Expected {
            sha256: Some(Digest::sha256(b"x")),
            ..Expected::default()
        };
        let entries = recipe
            .lock_requests()
            .into_iter()
            .map(|request| Entry::new(request, &known))
            .collect();
        let lock = Lock::new(&recipe, Epoch(1_790_000_000), entries);
        (recipe, lock)
    }

    #[test]
    fn the_text_reads_back_and_fits() {
        let (recipe, lock) = lock();
        let again = Lock::parse(&lock.text(), "x.lock").unwrap();
        assert_eq!(again, lock);
        let locked = again.check(&recipe, "x.lock").unwrap();
        assert_eq!(
            locked.entries(&recipe, Arch::Arm64).unwrap().len(),
            recipe.artifacts.len()
        );
    }

    #[test]
    fn an_edited_lock_is_refused() {
        let (_, lock) = lock();
        let other = Digest::sha256(b"y");
        let hex = Digest::sha256(b"x");
        for edited in [
            lock.text().replacen(hex.hex(), other.hex(), 1),
            lock.text().replace("1790000000", "1790000001"),
            lock.text() + "\n# a note\n",
        ] {
            let error = Lock::parse(&edited, "x.lock").unwrap_err().to_string();
            assert!(error.contains("edited by hand"), "{error}");
        }
        for broken in ["", "version = 1", "[[artifact]]", "\0"] {
            let error = format!("{:#}", Lock::parse(broken, "x.lock").unwrap_err());
            assert!(error.starts_with("x.lock is no lock"), "{error}");
        }
    }

    #[test]
    fn a_stale_lock_names_the_key() {
        let (_, lock) = lock();
        let newer = recipe("[[artifact]]\nname = \"runc\"\nversion = \"9.9.9\"\n");
        let error = lock
            .clone()
            .check(&newer, "x.lock")
            .unwrap_err()
            .to_string();
        assert!(error.contains("artifact.runc.version (amd64)"), "{error}");
        assert!(error.contains("9.9.9"), "{error}");
        let requests = newer.lock_requests();
        let of = |name: &str| requests.iter().find(|r| r.name.as_str() == name).unwrap();
        assert!(lock.answer(of("runc")).is_none());
        assert!(lock.answer(of("containerd")).is_some());
    }

    #[test]
    fn settings_that_move_no_bytes_leave_the_lock_alone() {
        let (_, lock) = lock();
        assert!(
            lock.check(&recipe("[kubelet]\nmax_pods = 17\n"), "x.lock")
                .is_ok()
        );
    }
}

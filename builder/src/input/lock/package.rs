//! The base system's part of a lock: Debian packages and the indexes that they
//! were found in.

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;
use nodeimg_values::date::Date;
use nodeimg_values::digest::{Digest, Expected, sha256_hex};
use serde::{Deserialize, Serialize};

use crate::input::fetch::{Mirrors, Request};
use crate::input::recipe::value::Name;
use crate::input::recipe::{Base, Component, PackageName};

/// Where packages come from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    pub suite: Name,
    pub archive: Name,
    /// Of another publisher's repository, which the archive is then called after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Of the Release file.
    pub date: Date,
    /// Of its signed text.
    #[serde(with = "sha256_hex")]
    pub sha256: Digest,
}

/// One package for one architecture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PinnedPackage {
    pub name: PackageName,
    pub arch: Arch,
    pub version: String,
    #[serde(flatten)]
    pub place: Place,
    #[serde(with = "sha256_hex")]
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// Where a package is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// In the archive of one of the lock's indexes.
    Archive {
        suite: Name,
        #[serde(default, skip_serializing_if = "Component::is_main")]
        component: Component,
        /// In the archive, without a slash at its beginning.
        path: String,
    },
    /// By itself, as a `[[base.deb]]` of the recipe says.
    Url { url: String },
}

impl PinnedPackage {
    /// Of the archive's components; one that is by itself has none.
    pub fn component(&self) -> Component {
        match &self.place {
            Place::Archive { component, .. } => *component,
            Place::Url { .. } => Component::Main,
        }
    }

    /// Of the archive that it is in.
    pub fn suite(&self) -> Option<&Name> {
        match &self.place {
            Place::Archive { suite, .. } => Some(suite),
            Place::Url { .. } => None,
        }
    }

    /// Where it is by itself.
    pub fn own_url(&self) -> Option<&str> {
        match &self.place {
            Place::Archive { .. } => None,
            Place::Url { url } => Some(url),
        }
    }

    /// As messages name it: `libc6 2.41-12 (arm64)`.
    pub fn what(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.arch)
    }

    /// What the bytes must be.
    pub fn expected(&self) -> Expected {
        Expected::of(&self.sha256, Some(self.size))
    }
}

/// The base system; nothing if the recipe has none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Packages {
    /// Of what the recipe asked for, see [`Base::digest`].
    #[serde(default)]
    pub(super) base: Option<Digest>,
    /// Re-locked without a person watching: what a build would refuse until a
    /// person has read it, unknown maintainer scripts, it only warns of.
    #[serde(default)]
    pub unattended: bool,
    #[serde(default, rename = "index")]
    pub indexes: Vec<Index>,
    #[serde(default, rename = "package")]
    pub packages: Vec<PinnedPackage>,
}

impl Packages {
    pub fn new(base: &Base, indexes: Vec<Index>, packages: Vec<PinnedPackage>) -> Packages {
        Packages {
            base: Some(base.digest()),
            unattended: false,
            indexes,
            packages,
        }
    }

    /// Whether they answer what `base` asks.
    pub fn answer(&self, base: &Base) -> bool {
        self.base.as_ref() == Some(&base.digest())
    }

    /// The lines of the lock's head.
    pub(super) fn head(&self) -> String {
        let digest = self.base.as_ref();
        let mut head = digest.map_or_else(String::new, |digest| format!("base = \"{digest}\"\n"));
        if self.unattended {
            head.push_str("unattended = true\n");
        }
        head
    }

    /// Where `package` stays for good.
    ///
    /// An index is published after the time that it states, so the archive as
    /// it was a day later is asked for: what an index names is kept for longer
    /// than that.
    pub fn url(&self, package: &PinnedPackage) -> Result<String> {
        let (suite, path) = match &package.place {
            Place::Archive { suite, path, .. } => (suite, path),
            Place::Url { url } => return Ok(url.clone()),
        };
        let index = self.indexes.iter().find(|index| index.suite == *suite);
        let index = index.with_context(|| {
            format!(
                "{}: the lock has no index of the suite {suite}",
                package.what()
            )
        })?;
        if let Some(url) = &index.url {
            return Ok(format!("{url}/{path}"));
        }
        Ok(Mirrors::snapshot(
            index.archive.as_str(),
            index.date.plus_days(1),
            path,
        ))
    }

    /// What brings its bytes.
    pub fn request(&self, package: &PinnedPackage) -> Result<Request> {
        Ok(Request {
            what: package.what(),
            url: self.url(package)?,
            want: package.expected(),
            max_size: package.size,
            accept: None,
        })
    }
}

/// Whether `version` is one of a package
/// ([Debian Policy 5.6.12](https://www.debian.org/doc/debian-policy/ch-controlfields.html#version)).
pub fn is_version(version: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b".+-:~".contains(&b);
    !version.is_empty() && version.bytes().all(inner)
}

/// Whether `path` is one of a file in an archive, which a mirror can be asked for:
/// `pool/main/o/openssl/openssl_3.5.4-1_amd64.deb`.
pub fn is_archive_path(path: &str) -> bool {
    let good = |part: &str| {
        let shown = part.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        !part.is_empty() && !part.starts_with('.') && shown
    };
    path.split('/').all(good)
}

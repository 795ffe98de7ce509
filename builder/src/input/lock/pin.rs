//! What the inputs in a lock have in common, whatever they are.

use std::fmt::Write;

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::{Digest, Expected};
use serde::{Deserialize, Serialize};

use super::package::{Packages, PinnedPackage};
use super::vouch::Vouch;
use crate::input::recipe::request::{ArtifactRequest, Asked, ImageRequest, LockRequest};

/// What a recipe asks for, and which bytes that is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pin<R, B> {
    #[serde(flatten)]
    pub request: R,
    #[serde(flatten)]
    pub bytes: B,
    #[serde(flatten)]
    pub vouch: Vouch,
}

pub type PinnedArtifact = Pin<ArtifactRequest, Expected>;

/// The digest stands for all that it leads to, so nothing else is written down,
/// and a lock can be made from a known digest without asking the registry.
pub type PinnedImage = Pin<ImageRequest, TopDigest>;

/// What an image's name stood for: an index, or one manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TopDigest {
    pub digest: Digest,
}

/// Everything that a lock pins.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Pins {
    #[serde(default, rename = "artifact")]
    pub artifacts: Vec<PinnedArtifact>,
    #[serde(default, rename = "image")]
    pub images: Vec<PinnedImage>,
    #[serde(flatten)]
    pub packages: Packages,
}

impl Pins {
    /// In the order of the file: by name and architecture.
    pub(super) fn sorted(mut self) -> Pins {
        sort(&mut self.artifacts);
        sort(&mut self.images);
        sort(&mut self.packages.packages);
        self.packages.indexes.sort();
        self
    }

    /// Without who vouches for them: what moves the bytes of an image.
    pub fn bare(&self) -> Pins {
        let mut bare = self.clone().sorted();
        for pin in &mut bare.artifacts {
            pin.vouch = Vouch::default();
        }
        for pin in &mut bare.images {
            pin.vouch = Vouch::default();
        }
        bare
    }

    /// Their tables.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        write("artifact", &self.artifacts, &mut text);
        write("image", &self.images, &mut text);
        write("index", &self.packages.indexes, &mut text);
        write("package", &self.packages.packages, &mut text);
        text
    }
}

/// By which an input is found.
pub(super) trait Keyed {
    fn key(&self) -> (&str, Arch);
}

impl<R: LockRequest, B> Keyed for Pin<R, B> {
    fn key(&self) -> (&str, Arch) {
        let (name, arch) = self.request.key();
        (name.as_str(), arch)
    }
}

impl Keyed for PinnedPackage {
    fn key(&self) -> (&str, Arch) {
        (self.name.as_str(), self.arch)
    }
}

fn sort<P: Keyed>(pins: &mut [P]) {
    pins.sort_by(|a, b| a.key().cmp(&b.key()));
}

fn write<T: Serialize>(table: &str, entries: &[T], to: &mut String) {
    for entry in entries {
        // Strings and numbers always serialise; writing to a String cannot fail.
        let text = toml::to_string(entry).unwrap_or_default();
        let _ = write!(to, "\n[[{table}]]\n{text}");
    }
}

/// The pin of the name and architecture of `request`, whatever else that says.
pub(super) fn find<'a, R: LockRequest, B>(
    pins: &'a [Pin<R, B>],
    request: &R,
) -> Option<&'a Pin<R, B>> {
    pins.iter().find(|pin| pin.request.key() == request.key())
}

/// The pin that answers `request` as it stands, if there is one.
pub fn answer<'a, R: LockRequest, B>(pins: &'a [Pin<R, B>], request: &R) -> Option<&'a Pin<R, B>> {
    find(pins, request).filter(|pin| pin.request == *request)
}

/// What a recipe lists, with its pin.
type Joined<'a, A, B> = (&'a A, &'a Pin<<A as Asked>::Request, B>);

/// Each of `asked` with its pin, for each of `archs`.
///
/// # Errors
/// The recipe does not say where one is for an architecture.
pub(super) fn joined<'a, A: Asked, B>(
    asked: &'a [A],
    pins: &'a [Pin<A::Request, B>],
    archs: &[Arch],
) -> Result<Vec<Joined<'a, A, B>>> {
    let mut joined = Vec::new();
    for &arch in archs {
        for asked in asked {
            let (name, place) = (asked.name(), A::PLACE);
            let request = asked.request(arch).with_context(|| {
                format!(
                    "artifact.{name}.{place} has no entry for {arch}: this recipe cannot be built \
                     for it"
                )
            })?;
            let pin = answer(pins, &request)
                .with_context(|| format!("{} is not in the lock", request.what()))?;
            joined.push((asked, pin));
        }
    }
    Ok(joined)
}

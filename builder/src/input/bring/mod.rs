//! From a lock to the bytes that it pins: what `build` and `fetch` share.

mod images;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use nodeimg_values::arch::Arch;
use nodeimg_values::trace;

use crate::input::MAX_DOWNLOAD;
use crate::input::artifact::deb;
use crate::input::artifact::oci_image::Image;
use crate::input::fetch::{Fetcher, Gone, Request};
use crate::input::lock::{Locked, PinnedArtifact, PinnedImage, PinnedPackage};
use crate::input::recipe::request::LockRequest;
use crate::input::recipe::{Artifact, ContainerImage, Recipe};
use crate::store::VerifiedBlob;

/// What the recipe asks for, what the lock pins of that, and its bytes.
pub struct Input<'a, A, P, B> {
    pub asked: &'a A,
    pub pin: &'a P,
    pub bytes: B,
}

/// A pinned package with its bytes.
pub type FetchedPackage<'a> = (&'a PinnedPackage, VerifiedBlob);

/// Everything that a build for one architecture is made of.
#[derive(Default)]
pub struct Fetched<'a> {
    /// In the recipe's order.
    pub artifacts: Vec<Input<'a, Artifact, PinnedArtifact, Arc<VerifiedBlob>>>,
    /// Each container image of the recipe, whole.
    pub images: Vec<Input<'a, ContainerImage, PinnedImage, Image>>,
    /// Of the base system, by name.
    pub packages: Vec<FetchedPackage<'a>>,
}

impl Fetched<'_> {
    pub fn blobs(&self) -> impl Iterator<Item = &VerifiedBlob> {
        let artifacts = self.artifacts.iter().map(|artifact| &*artifact.bytes);
        let images = self.images.iter().flat_map(|image| image.bytes.blobs());
        artifacts
            .chain(self.packages.iter().map(|(_, blob)| blob))
            .chain(images.map(|blob| &**blob))
    }
}

/// What is done with a package whose bytes arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// Nothing more: whoever fetches may be another than who builds.
    Keep,
    /// Unpacked into the store, while others are downloaded.
    Unpack,
}

/// The bytes of everything that is pinned for `archs`.
pub fn bring<'a>(
    fetcher: &Fetcher<'_>,
    recipe: &'a Recipe,
    locked: &'a Locked,
    archs: &[Arch],
    then: Then,
) -> Result<BTreeMap<Arch, Fetched<'a>>> {
    let mut all: BTreeMap<Arch, Fetched<'_>> = BTreeMap::new();
    for arch in archs {
        all.entry(*arch).or_default();
    }
    let archs: Vec<Arch> = all.keys().copied().collect();
    // All architectures in one go: the downloads run side by side.
    let artifacts = locked.artifacts(recipe, &archs)?;
    for ((asked, pin), blob) in fetcher.bring(artifacts, |(_, pin)| Ok(request(pin)))? {
        let bytes = Arc::new(blob);
        let artifact = Input { asked, pin, bytes };
        let of_arch = all.entry(pin.request.arch).or_default();
        of_arch.artifacts.push(artifact);
    }
    for (package, blob) in packages(fetcher, locked, &archs, then)? {
        let of_arch = all.entry(package.arch).or_default();
        of_arch.packages.push((package, blob));
    }
    for ((asked, pin), bytes) in images::bring(fetcher, locked.images(recipe, &archs)?)? {
        let image = Input { asked, pin, bytes };
        all.entry(pin.request.arch).or_default().images.push(image);
    }
    Ok(all)
}

fn request(pin: &PinnedArtifact) -> Request {
    let want = pin.bytes.clone();
    Request {
        what: pin.request.what(),
        url: pin.request.url.clone(),
        max_size: want.size.unwrap_or(MAX_DOWNLOAD),
        want,
        accept: None,
    }
}

fn packages<'a>(
    fetcher: &Fetcher<'_>,
    locked: &'a Locked,
    archs: &[Arch],
    then: Then,
) -> Result<Vec<FetchedPackage<'a>>> {
    let arrived = |request: &Request, blob: &VerifiedBlob| {
        if then == Then::Unpack {
            let _span = trace::span("package", || format!("unpack {}", request.what));
            // What is wrong with it is told by the build, which unpacks it again then.
            let _ = deb::unpack_ahead(fetcher.store(), blob);
        }
    };
    let pinned = &locked.pins().packages;
    let request = |package: &&PinnedPackage| pinned.request(package);
    let all = locked.packages(archs).into_iter();
    let (single, archived): (Vec<_>, Vec<_>) = all.partition(|pin| pin.own_url().is_some());
    let single = fetcher
        .bring_with(single, request, &arrived)
        .map_err(|error| {
            let gone = error.is::<Gone>();
            match gone {
                // No index has another.
                true => anyhow!(
                    "{error:#}\nthe publisher has dropped a package that `base.deb` of the recipe \
                 names: correct its `url`, or use a bundle that has it"
                ),
                false => error,
            }
        })?;
    let archived = fetcher
        .bring_with(archived, request, &arrived)
        .map_err(|error| {
            let gone = error.is::<Gone>();
            let text = match gone {
                true => format!(
                    "{error:#}\nthe mirrors have dropped a pinned package: `nodeimg lock --update \
                 base` pins Debian's current packages, as does --relock-base of `build` and \
                 `fetch`"
                ),
                false => format!("{error:#}"),
            };
            anyhow::Error::from(Missing { gone, text })
        })?;
    let mut fetched: Vec<_> = archived.into_iter().chain(single).collect();
    fetched.sort_by(|(a, _), (b, _)| (a.arch, &a.name).cmp(&(b.arch, &b.name)));
    Ok(fetched)
}

/// Packages of the base system that are not available.
#[derive(Debug)]
pub struct Missing {
    /// There is no such file on any mirror that answers.
    pub gone: bool,
    text: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Missing {}

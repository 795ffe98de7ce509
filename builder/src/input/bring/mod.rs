//! From a lock to the bytes that it pins: what `build` and `fetch` share.

mod images;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;

use crate::input::MAX_DOWNLOAD;
use crate::input::artifact::oci_image::Image;
use crate::input::fetch::{Fetcher, Gone, Request};
use crate::input::lock::{Entry, Locked, PinnedPackage};
use crate::input::recipe::{Artifact, ContainerImage, Recipe};
use crate::store::VerifiedBlob;

/// A pinned package with its bytes.
pub type FetchedPackage<'a> = (&'a PinnedPackage, VerifiedBlob);

/// Everything that a build for one architecture is made of.
pub struct Fetched<'a> {
    /// Each artifact of the recipe with its bytes.
    pub artifacts: Vec<(&'a Artifact, Arc<VerifiedBlob>)>,
    /// Each package of the base system with its bytes.
    pub packages: Vec<FetchedPackage<'a>>,
    /// Each container image of the recipe, whole.
    pub images: Vec<(&'a ContainerImage, Image)>,
}

impl Fetched<'_> {
    pub fn blobs(&self) -> impl Iterator<Item = &VerifiedBlob> {
        let artifacts = self.artifacts.iter().map(|(_, blob)| &**blob);
        let images = self.images.iter().flat_map(|(_, image)| image.blobs());
        artifacts
            .chain(self.packages.iter().map(|(_, blob)| blob))
            .chain(images.map(|blob| &**blob))
    }
}

/// The bytes of every artifact and package for `archs`, in the order of `archs`.
pub fn bring<'a>(
    fetcher: &Fetcher<'_>,
    recipe: &'a Recipe,
    locked: &'a Locked,
    archs: &[Arch],
) -> Result<Vec<Fetched<'a>>> {
    // All architectures in one go: the downloads run side by side.
    let mut entries = Vec::new();
    for arch in archs {
        entries.push(locked.entries(recipe, *arch)?);
    }
    let all: Vec<&Entry> = entries.iter().flatten().copied().collect();
    let mut artifacts = fetcher.fetch(&requests(&all)?)?.into_iter();
    let mut packages = packages(fetcher, locked, archs)?.into_iter();
    let mut images = images::fetch(fetcher, recipe, locked, archs)?.into_iter();
    let mut all_fetched = Vec::new();
    for (arch, entries) in archs.iter().zip(&entries) {
        all_fetched.push(Fetched {
            artifacts: of_arch(recipe, entries, &mut artifacts)?,
            packages: locked.packages(*arch).zip(&mut packages).collect(),
            images: images.next().unwrap_or_default(),
        });
    }
    Ok(all_fetched)
}

fn requests(entries: &[&Entry]) -> Result<Vec<Request>> {
    let request = |entry: &&Entry| {
        let mut want = entry.bytes.clone();
        if want.sha256.is_some() {
            // One digest says it all, and SHA-512 costs four times SHA-256; that
            // the two belong together was seen when the lock was made.
            want.sha512 = None;
        }
        let max_size = want.size.unwrap_or(MAX_DOWNLOAD);
        Ok(Request {
            what: entry.what(),
            url: entry.url.clone(),
            want,
            max_size,
            accept: None,
        })
    };
    entries.iter().map(request).collect()
}

fn packages(fetcher: &Fetcher<'_>, locked: &Locked, archs: &[Arch]) -> Result<Vec<VerifiedBlob>> {
    let pinned = archs.iter().flat_map(|arch| locked.packages(*arch));
    let requests = pinned.map(|package| {
        Ok(Request {
            what: package.what(),
            url: locked.url(package)?,
            want: package.expected(),
            max_size: package.size,
            accept: None,
        })
    });
    let fetched = fetcher.fetch(&requests.collect::<Result<Vec<_>>>()?);
    fetched.map_err(|error| {
        let gone = error.is::<Gone>();
        let text = match gone {
            true => format!(
                "{error:#}\nthe mirrors have dropped a pinned package: `nodeimg lock --update \
                 base` pins Debian's current packages, as does --relock-base of `build` and \
                 `fetch`"
            ),
            false => format!("{error:#}"),
        };
        Missing { gone, text }.into()
    })
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

fn of_arch<'a>(
    recipe: &'a Recipe,
    entries: &[&Entry],
    blobs: &mut impl Iterator<Item = VerifiedBlob>,
) -> Result<Vec<(&'a Artifact, Arc<VerifiedBlob>)>> {
    let mut by_name = BTreeMap::new();
    for entry in entries {
        let blob = blobs
            .next()
            .with_context(|| format!("{} was not fetched", entry.what()))?;
        by_name.insert(entry.name.as_str(), Arc::new(blob));
    }
    let of_artifact = |artifact: &'a Artifact| {
        let blob = by_name.remove(artifact.name.as_str());
        Ok((
            artifact,
            blob.with_context(|| format!("artifact `{}` is not in the lock", artifact.name))?,
        ))
    };
    recipe.artifacts.iter().map(of_artifact).collect()
}

//! What a lock pins of container images.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use nodeimg_formats::oci::{ACCEPTED, Document, MAX_DOCUMENT};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::{Digest, Expected};

use crate::input::artifact::oci_image::local::Local;
use crate::input::fetch::{Fetcher, Request};
use crate::input::lock::{PinnedImage, Update};
use crate::input::recipe::{ContainerImage, Recipe};

/// What pins images.
pub struct Pins<'a> {
    pub fetcher: &'a Fetcher<'a>,
    /// By URL; of an image `oci://` and its name.
    pub known: &'a BTreeMap<String, Digest>,
    /// Those of the lock so far.
    pub old: &'a [PinnedImage],
    pub updates: &'a [Update],
}

impl Pins<'_> {
    /// Every image of `recipe`, for every architecture.
    pub fn of(&self, recipe: &Recipe) -> Result<Vec<PinnedImage>> {
        let mut pinned = Vec::new();
        for image in &recipe.images {
            let update = self.updates.iter().any(|update| update.covers(&image.name));
            // A registry is asked once for all of them.
            let mut named: Option<Digest> = None;
            for request in Arch::ALL.iter().filter_map(|arch| image.request(*arch)) {
                let kept = self.old.iter().find(|old| old.answers(&request));
                if let Some(kept) = kept.filter(|_| !update) {
                    pinned.push(kept.clone());
                    continue;
                }
                let digest = match (image.source(request.arch), &named) {
                    (Some(path), _) => Local::open(&path, &image.image)?.digest().clone(),
                    (None, Some(digest)) => digest.clone(),
                    (None, None) => self.named(image)?,
                };
                if image.source(request.arch).is_none() {
                    named = Some(digest.clone());
                }
                pinned.push(PinnedImage::new(request, digest));
            }
        }
        Ok(pinned)
    }

    /// What an image's name stands for in its registry.
    fn named(&self, image: &ContainerImage) -> Result<Digest> {
        let known = self.known.get(&format!("oci://{}", image.image));
        match (image.image.digest(), known) {
            (Some(own), Some(known)) if own != known => bail!(
                "artifact.{}.image says {own}, but the list of digests says {known}",
                image.name
            ),
            (Some(digest), _) | (None, Some(digest)) => return Ok(digest.clone()),
            (None, None) => {}
        }
        let request = Request {
            what: format!("the image {}", image.name),
            url: image.image.manifest_url(),
            want: Expected::default(),
            max_size: MAX_DOCUMENT,
            accept: Some(ACCEPTED),
        };
        let what = || format!("resolving {}", image.image);
        let (blob, measured) = self.fetcher.download(&request).with_context(what)?;
        let bytes = std::fs::read(blob.path())
            .with_context(|| format!("reading {}", blob.path().display()))?;
        // A registry that answers with a page of its own is met here.
        Document::parse(&bytes, None).with_context(what)?;
        Ok(measured.sha256)
    }
}

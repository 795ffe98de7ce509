//! What a lock pins of container images.

use anyhow::{Context, Result, bail};
use nodeimg_formats::oci::{ACCEPTED, Document, MAX_DOCUMENT};
use nodeimg_values::digest::{Digest, Expected};

use super::Publishers;
use crate::input::fetch::Request;
use crate::input::recipe::ContainerImage;

impl Publishers<'_> {
    /// What an image's name stands for in its registry.
    pub fn image(&self, image: &ContainerImage) -> Result<Digest> {
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

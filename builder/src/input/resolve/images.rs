//! What a lock pins of container images.

use anyhow::{Context, Result, bail};
use nodeimg_formats::oci::{ACCEPTED, Document, MAX_DOCUMENT};
use nodeimg_values::arch::Arch;
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
        let document = Document::parse(&bytes, None).with_context(what)?;
        for why in lacking(&document) {
            let name = &image.name;
            self.fetcher
                .warn(&format!("artifact.{name}.image: {}: {why}", image.image));
        }
        Ok(measured.sha256)
    }
}

/// The architectures that an index has nothing for: a build for them would fail. What one
/// manifest is for, its configuration says, which a lock does not read.
fn lacking(document: &Document) -> Vec<String> {
    let Document::Index(index) = document else {
        return Vec::new();
    };
    let lacking = Arch::ALL
        .into_iter()
        .filter_map(|arch| index.select(arch).err());
    lacking.map(|error| format!("{error:#}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_architecture_that_an_index_lacks_is_told() {
        let of = |archs: &[&str]| {
            let digest = Digest::sha256(b"x");
            let manifests: Vec<String> = archs
                .iter()
                .map(|arch| {
                    format!(
                        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"platform":{{"os":"linux","architecture":"{arch}"}}}}"#
                    )
                })
                .collect();
            let text = format!(
                r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
                manifests.join(",")
            );
            lacking(&Document::parse(text.as_bytes(), None).unwrap())
        };
        assert!(of(&["amd64", "arm64"]).is_empty());
        assert_eq!(
            of(&["amd64"]),
            ["it has no image for linux/arm64: it is for linux/amd64"]
        );
        assert_eq!(of(&["s390x"]).len(), 2);
    }
}

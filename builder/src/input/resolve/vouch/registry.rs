//! Signatures of container images, in their registry: cosign's tag `sha256-HEX.sig`, and
//! bundles that refer to the image
//! ([cosign](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md),
//! [referrers](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers)).

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use nodeimg_formats::oci::{ACCEPTED, MAX_DOCUMENT, Reference};
use nodeimg_trust::{Proof, collect};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::{Digest, Expected};
use serde::Deserialize;

use super::ask::{Ask, Got};
use crate::input::fetch::{Request, shown};
use crate::input::recipe::ContainerImage;

/// Of cosign's bundles.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// Of cosign's signatures on a layer.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// No signature's payload and no bundle is longer, in bytes.
const MAX_PART: u64 = 1 << 20;
/// Promoted images have a signature for each registry that they went through.
const MAX_SIGNATURES: usize = 64;

/// What is read of an index or a manifest here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    manifests: Vec<Part>,
    #[serde(default)]
    layers: Vec<Part>,
    subject: Option<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Every signature that the registry has of the image with this digest.
pub(super) fn signatures(
    ask: &Ask<'_>,
    image: &ContainerImage,
    arch: Arch,
    digest: &Digest,
) -> Result<Got<Vec<Proof>>> {
    if image.source(arch).is_some() {
        let why = "it is read from a file, and signatures are in a registry";
        return Ok(Got::Not(why.to_owned()));
    }
    let registry = Registry {
        ask,
        image: &image.image,
    };
    let mut proofs = Vec::new();
    let classic = registry.classic(digest)?;
    if let Got::There(more) = classic {
        proofs.extend(more);
    }
    let referring = registry.referring(digest)?;
    match referring {
        Got::There(more) => proofs.extend(more),
        Got::Not(why) if proofs.is_empty() => return Ok(Got::Not(why)),
        Got::Not(_) => {}
    }
    Ok(match proofs.is_empty() {
        true => Got::Not(format!(
            "{} has no signature of it",
            image.image.repository()
        )),
        false => Got::There(proofs),
    })
}

struct Registry<'a> {
    ask: &'a Ask<'a>,
    image: &'a Reference,
}

impl Registry<'_> {
    /// Cosign's own tag: a layer for each signature.
    fn classic(&self, digest: &Digest) -> Result<Got<Vec<Proof>>> {
        let tag = format!("sha256-{}.sig", digest.hex());
        let document = match self.document(&self.image.tag_url(&tag))? {
            Got::There(document) => document,
            Got::Not(why) => return Ok(Got::Not(why)),
        };
        let mut proofs = Vec::new();
        let signed = document.layers.iter();
        let signed = signed.filter(|layer| layer.annotations.contains_key(SIGNATURE));
        for layer in signed.take(MAX_SIGNATURES) {
            match self.part(layer) {
                Got::There(payload) => {
                    proofs.push(collect::from_cosign_layer(&layer.annotations, &payload)?);
                }
                Got::Not(why) => return Ok(Got::Not(why)),
            }
        }
        Ok(Got::There(proofs))
    }

    /// Bundles in manifests whose subject is the image; a registry without that API has
    /// their list at a tag.
    fn referring(&self, digest: &Digest) -> Result<Got<Vec<Proof>>> {
        let list = match self.document(&self.image.referrers_url(digest))? {
            Got::There(list) => list,
            Got::Not(_) => {
                let tag = format!("sha256-{}", digest.hex());
                match self.document(&self.image.tag_url(&tag))? {
                    Got::There(list) => list,
                    Got::Not(why) => return Ok(Got::Not(why)),
                }
            }
        };
        let mut proofs = Vec::new();
        // A registry may answer with the image itself: only what says that it is a bundle.
        let bundles = list.manifests.iter();
        let bundles = bundles.filter(|part| part.artifact_type.starts_with(BUNDLE));
        for part in bundles.take(MAX_SIGNATURES) {
            let Got::There(manifest) = self.document(&self.image.document_url(&part.digest))?
            else {
                continue;
            };
            let is_of_it = manifest
                .subject
                .as_ref()
                .is_some_and(|s| s.digest == *digest);
            let layers = manifest.layers.iter().filter(|_| is_of_it);
            for layer in layers.filter(|layer| layer.media_type.starts_with(BUNDLE)) {
                if let Got::There(bundle) = self.part(layer) {
                    proofs.push(collect::from_bundle(&bundle)?);
                }
            }
        }
        Ok(Got::There(proofs))
    }

    fn document(&self, url: &str) -> Result<Got<Document>> {
        let bytes = match self.bytes(url, Expected::default(), MAX_DOCUMENT) {
            Got::There(bytes) => bytes,
            Got::Not(why) => return Ok(Got::Not(why)),
        };
        let document = serde_json::from_slice(&bytes);
        document
            .map(Got::There)
            .with_context(|| format!("what came from {} is not a manifest", shown(url)))
    }

    fn part(&self, part: &Part) -> Got<Vec<u8>> {
        let url = self.image.blob_url(&part.digest);
        self.bytes(&url, Expected::of(&part.digest, Some(part.size)), MAX_PART)
    }

    fn bytes(&self, url: &str, want: Expected, max_size: u64) -> Got<Vec<u8>> {
        let accept = match want.size {
            Some(_) => "*/*",
            None => ACCEPTED,
        };
        self.ask.once(url, || {
            let request = Request {
                what: format!("a signature of {}", self.image),
                url: url.to_owned(),
                want: want.clone(),
                max_size,
                accept: Some(accept),
            };
            let (blob, _) = self.ask.fetcher.download(&request)?;
            fs::read(blob.path()).with_context(|| format!("reading {}", blob.path().display()))
        })
    }
}

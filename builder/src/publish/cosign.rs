//! Signatures of published documents, as cosign makes and finds them.
//!
//! ```text
//! {"critical":{"identity":..,"image":{"docker-manifest-digest":"sha256:.."},..}}   what is signed
//! REPO:sha256-HEX.sig        manifest of all signatures of a document: cosign verify
//! the same, as a referrer    cosign verify --experimental-oci11, oras discover
//! ```
//! [Format](https://github.com/sigstore/cosign/blob/v2.5.0/specs/SIGNATURE_SPEC.md). Signed are
//! indexes and manifests, so that a client that resolves a tag, or one architecture of it, finds
//! a signature of the document that it got.
//!
//! # Invariants
//! Signatures that are there stay; a document that this key has signed is not signed twice.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_formats::oci::artifact::{Artifact, fallback_tag};
use nodeimg_formats::oci::{CONFIG, Descriptor, MANIFEST};
use nodeimg_signing::signer::Signer;
use nodeimg_values::digest::Digest;
use serde_json::json;

use crate::input::fetch::push::{Blob, By, Repository, Source};

/// What cosign looks for among referrers.
const KIND: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// No document has more signatures than this.
const MOST: usize = 100;

/// The text that is signed for a document; it depends on the repository and the digest only.
fn payload(repository: &str, digest: &Digest) -> String {
    json!({
        "critical": {
            "identity": { "docker-reference": repository },
            "image": { "docker-manifest-digest": digest.to_string() },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string()
}

/// The signatures of a document that are there.
fn layers(repository: &Repository<'_>, tag: &str) -> Result<Vec<Descriptor>> {
    let Some(document) = repository.tagged(tag)? else {
        return Ok(Vec::new());
    };
    let found = Artifact::parse(&document.bytes);
    let found = found.with_context(|| format!("{}:{tag}, where signatures are", repository.name()));
    Ok(found?.layers)
}

fn tag_of(digest: &Digest) -> String {
    format!("{}.sig", fallback_tag(digest))
}

/// Whether one of `layers` is a signature of `payload` by this key.
fn is_among(layers: &[Descriptor], payload: &str, signer: &Signer<'_>) -> bool {
    let digest = Digest::sha256(payload.as_bytes());
    layers.iter().any(|layer| {
        let signature = layer.annotation(SIGNATURE).unwrap_or_default();
        let signature = STANDARD.decode(signature).unwrap_or_default();
        layer.digest == digest && signer.public.has_signed(payload.as_bytes(), &signature)
    })
}

/// Whether this key has signed the document `digest` of the repository.
pub fn has(repository: &Repository<'_>, signer: &Signer<'_>, digest: &Digest) -> Result<bool> {
    let payload = payload(&repository.name(), digest);
    let layers = layers(repository, &tag_of(digest))?;
    Ok(is_among(&layers, &payload, signer))
}

/// Signs a document of the repository. Whether there was anything to do.
///
/// # Errors
/// Those of the key and of the registry; the tag of signatures names something else.
pub fn sign(
    repository: &Repository<'_>,
    signer: &Signer<'_>,
    subject: &Descriptor,
) -> Result<bool> {
    let tag = tag_of(&subject.digest);
    let payload = payload(&repository.name(), &subject.digest);
    let mut layers = layers(repository, &tag)?;
    if is_among(&layers, &payload, signer) {
        return Ok(false);
    }
    if layers.len() >= MOST {
        bail!("{}:{tag} has {MOST} signatures already", repository.name());
    }
    let signature = signer.sign(&tag, payload.as_bytes())?;
    let signature = signature.context("a key on another machine cannot sign what is published")?;
    let own = Descriptor::of(PAYLOAD, payload.as_bytes());
    layers.push(own.annotated(SIGNATURE, &STANDARD.encode(signature)));
    let blob = Blob::of("what is signed", Source::bytes(payload))?;
    repository.send(&blob)?;
    let config = config(&layers)?;
    repository.send(&config)?;
    let described = Descriptor::new(CONFIG, config.digest.clone(), config.size());
    let mut artifact = Artifact::new(Some(KIND), described, layers);
    artifact.subject = Some(Descriptor::new(
        &subject.media_type,
        subject.digest.clone(),
        subject.size,
    ));
    repository.refer(&artifact)?;
    repository.put(By::Tag(&tag), MANIFEST, &artifact.bytes()?)?;
    Ok(true)
}

/// That of an image, as cosign writes it: some readers take signatures for images.
fn config(layers: &[Descriptor]) -> Result<Blob> {
    let parts: Vec<String> = layers
        .iter()
        .map(|layer| layer.digest.to_string())
        .collect();
    let config = json!({
        "architecture": "", "os": "", "config": {},
        "rootfs": { "type": "layers", "diff_ids": parts },
    });
    Blob::of(
        "the configuration of a signature",
        Source::bytes(config.to_string()),
    )
}

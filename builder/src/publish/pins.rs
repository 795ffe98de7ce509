//! A shared store: what a lock pins, as blobs of a repository, and manifests that keep them
//! from being collected.
//!
//! ```text
//! REPO:lock-HEX32-ARCH      manifest of all blobs of a lock for one architecture
//! REPO:lock-HEX32-ARCH-2    what is too much for one: some registries take 500 layers
//! ```
//! Whoever has the lock has the names of its blobs. Packages that Debian's mirrors drop stay
//! for as long as the tag does.

use std::collections::BTreeMap;

use anyhow::Result;
use nodeimg_formats::oci::artifact::{Artifact, EMPTY, EMPTY_BYTES, SHA512};
use nodeimg_formats::oci::{Descriptor, MANIFEST};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;

use super::layout::empty;
use super::media;
use super::send::{Published, send_all};
use crate::input::fetch::push::{Blob, By, Repository, Source};
use crate::store::VerifiedBlob;

/// Less than any registry takes.
const LAYERS: usize = 450;
/// More parts no lock has.
const PARTS: usize = 4;

/// The tags of a lock for one architecture; most have the first alone.
pub fn tags(lock: &Digest, arch: Arch) -> Vec<String> {
    let first = format!("lock-{}-{arch}", &lock.hex()[..32]);
    let more = (2..=PARTS).map(|part| format!("{first}-{part}"));
    std::iter::once(first.clone()).chain(more).collect()
}

/// Brings what `lock` pins for `arch` into the repository.
pub fn keep(
    repository: &Repository<'_>,
    lock: &Digest,
    arch: Arch,
    blobs: &[&VerifiedBlob],
) -> Result<Published> {
    let mut sorted: BTreeMap<&str, &VerifiedBlob> = BTreeMap::new();
    for blob in blobs {
        sorted.insert(blob.sha256().hex(), blob);
    }
    let all: Vec<&VerifiedBlob> = sorted.into_values().collect();
    let mut told = Published::default();
    let tags = tags(lock, arch);
    let manifests: Vec<(String, Vec<u8>, &[&VerifiedBlob])> = tags
        .into_iter()
        .zip(all.chunks(LAYERS))
        .map(|(tag, part)| Ok((tag, manifest(part)?, part)))
        .collect::<Result<_>>()?;
    for (tag, bytes, part) in manifests {
        if repository.digest_of(&tag)? == Some(Digest::sha256(&bytes)) {
            told.there += part.len();
            continue;
        }
        let mut files = vec![empty()?];
        for blob in part {
            files.push(Blob {
                what: format!("sha256:{}", &blob.sha256().hex()[..12]),
                digest: blob.sha256().clone(),
                source: Source::file(blob.path())?,
            });
        }
        send_all(repository, &files, &mut told)?;
        repository.put(By::Tag(&tag), MANIFEST, &bytes)?;
        told.tags.push(tag);
    }
    told.unchanged = told.tags.is_empty();
    Ok(told)
}

fn manifest(blobs: &[&VerifiedBlob]) -> Result<Vec<u8>> {
    let layers = blobs.iter().map(|blob| {
        let layer = Descriptor::new(media::PINNED, blob.sha256().clone(), blob.size());
        match blob.sha512() {
            Some(sha512) => layer.annotated(SHA512, sha512.hex()),
            None => layer,
        }
    });
    let config = Descriptor::of(EMPTY, EMPTY_BYTES);
    Artifact::new(Some(media::PINS), config, layers.collect()).bytes()
}

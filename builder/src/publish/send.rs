//! Brings a directory into a repository: blobs, manifests, what belongs to them, tags.

use std::collections::BTreeMap;

use anyhow::Result;
use nodeimg_formats::oci::{Descriptor, INDEX};
use nodeimg_signing::signer::Signer;
use nodeimg_values::parallel::in_parallel;

use super::container::{self, Image};
use super::cosign;
use super::directory::Directory;
use super::join;
use super::layout::{self, Entry, Layout};
use crate::input::fetch::push::{Blob, By, Outcome, Repository, Source};

/// What publishing came to.
#[derive(Debug, Default)]
pub struct Published {
    /// Nothing was there to do.
    pub unchanged: bool,
    /// Names of tags that are for users.
    pub tags: Vec<String>,
    /// `sha256:…` of the index of this architecture.
    pub digest: String,
    /// Blobs by how they came there.
    pub sent: usize,
    pub mounted: usize,
    pub there: usize,
    /// In bytes.
    pub bytes: u64,
    /// Signatures that were made.
    pub signed: usize,
}

/// What to publish beside the directory itself.
#[derive(Default)]
pub struct Extras<'a> {
    /// nodeimg-update for the directory's architecture, for the container image of the update.
    pub updater: Option<Source>,
    /// A tag more, of this architecture alone.
    pub key: Option<String>,
    /// Signs all documents.
    pub signer: Option<&'a Signer<'a>>,
}

/// Publishes `directory` as `tag`.
pub fn publish(
    repository: &Repository<'_>,
    directory: &Directory,
    tag: &str,
    extras: &Extras<'_>,
) -> Result<Published> {
    let layout = layout::of(directory)?;
    let images = [
        container::of_disk(directory)?,
        container::of_update(directory, extras.updater.as_ref())?,
    ];
    let images: Vec<Image> = images.into_iter().flatten().collect();
    let mut told = Published {
        digest: layout.index.descriptor.digest.to_string(),
        tags: vec![tag.to_owned()],
        ..Published::default()
    };
    let suffixes = images.iter().map(|image| format!("{tag}{}", image.suffix));
    told.tags.extend(suffixes);
    let own = join::tag_of(tag, directory.arch);
    let mut wanted = vec![(own, &layout.index)];
    for image in &images {
        let tag = format!("{tag}{}", image.suffix);
        wanted.push((join::tag_of(&tag, directory.arch), &image.index));
    }
    let key = extras.key.clone().map(|key| (key, &layout.index));
    let has_key = match &key {
        Some(key) => has_all(repository, std::slice::from_ref(key))?,
        None => true,
    };
    told.unchanged = has_key && has_all(repository, &wanted)?;
    if !told.unchanged {
        send(repository, directory, &layout, &images, &mut told)?;
        put_tags(repository, &wanted)?;
    }
    for tag in &told.tags {
        told.unchanged &= !join::join(repository, tag)?;
    }
    if let Some(signer) = extras.signer {
        told.signed = sign(repository, signer, &layout, &images, &told.tags)?;
        told.unchanged &= told.signed == 0;
    }
    // Last: who finds it asks no further.
    if !has_key {
        put_tags(repository, key.as_slice())?;
    }
    Ok(told)
}

/// Blobs, manifests, and what belongs to them; no tag.
fn send(
    repository: &Repository<'_>,
    directory: &Directory,
    layout: &Layout,
    images: &[Image],
    told: &mut Published,
) -> Result<()> {
    let blobs = blobs(directory, images)?;
    send_all(repository, &blobs, told)?;
    let entries = layout
        .entries
        .iter()
        .chain(images.iter().map(|image| &image.entry));
    for Entry { bytes, descriptor } in entries {
        repository.put_once(&descriptor.media_type, bytes)?;
    }
    for artifact in &layout.referrers {
        repository.refer(artifact)?;
    }
    Ok(())
}

fn put_tags(repository: &Repository<'_>, wanted: &[(String, &Entry)]) -> Result<()> {
    for (tag, index) in wanted {
        repository.put(By::Tag(tag), INDEX, &index.bytes)?;
    }
    Ok(())
}

/// Signs the indexes and manifests of this architecture and what `tags` name now; how many
/// signatures were made.
fn sign(
    repository: &Repository<'_>,
    signer: &Signer<'_>,
    layout: &Layout,
    images: &[Image],
    tags: &[String],
) -> Result<usize> {
    let of_images = images.iter().flat_map(|image| [&image.entry, &image.index]);
    let own = layout.entries.iter().chain([&layout.index]);
    let own = own.chain(of_images).map(|entry| entry.descriptor.clone());
    let mut all: BTreeMap<String, Descriptor> =
        own.map(|one| (one.digest.to_string(), one)).collect();
    for tag in tags {
        if let Some(document) = repository.tagged(tag)? {
            let joined = Descriptor::of(INDEX, &document.bytes);
            all.insert(joined.digest.to_string(), joined);
        }
    }
    let mut made = 0;
    for subject in all.values() {
        made += usize::from(cosign::sign(repository, signer, subject)?);
    }
    Ok(made)
}

/// Each of these tags is written after all that it names.
fn has_all(repository: &Repository<'_>, wanted: &[(String, &Entry)]) -> Result<bool> {
    for (tag, index) in wanted {
        if repository.digest_of(tag)?.as_ref() != Some(&index.descriptor.digest) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Each once, the largest first: it takes the longest.
fn blobs(directory: &Directory, images: &[Image]) -> Result<Vec<Blob>> {
    let mut all: BTreeMap<String, Blob> = BTreeMap::new();
    let own = directory.items.iter().map(|item| item.blob.clone());
    let of_images = images.iter().flat_map(|image| image.blobs.clone());
    for blob in own.chain(of_images).chain([layout::empty()?]) {
        all.entry(blob.digest.to_string()).or_insert(blob);
    }
    let mut all: Vec<Blob> = all.into_values().collect();
    all.sort_by_key(|blob| std::cmp::Reverse(blob.size()));
    Ok(all)
}

/// Sends blobs; if one cannot be sent, no more are begun.
pub fn send_all(repository: &Repository<'_>, blobs: &[Blob], told: &mut Published) -> Result<()> {
    let failed = std::sync::atomic::AtomicBool::new(false);
    let results = in_parallel(repository.jobs(), blobs.len(), |at| {
        if failed.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(None);
        }
        let outcome = repository.send(&blobs[at]);
        failed.fetch_or(outcome.is_err(), std::sync::atomic::Ordering::Relaxed);
        outcome.map(Some)
    });
    for (result, blob) in results.into_iter().zip(blobs) {
        match result? {
            Some(Outcome::Sent) => {
                told.sent += 1;
                told.bytes += blob.size();
            }
            Some(Outcome::Mounted) => told.mounted += 1,
            Some(Outcome::There) => told.there += 1,
            None => {}
        }
    }
    Ok(())
}

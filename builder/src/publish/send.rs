//! Brings a directory into a repository: blobs, manifests, what belongs to them, tags.

use std::collections::BTreeMap;

use anyhow::Result;
use nodeimg_formats::oci::INDEX;
use nodeimg_values::parallel::in_parallel;

use super::container::{self, Image};
use super::directory::Directory;
use super::join;
use super::layout::{self, Entry};
use crate::input::fetch::push::{Blob, By, Outcome, Repository, Source};

/// Blobs on their way at a time.
const UPLOADS: usize = 4;

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
}

/// What to publish beside the directory itself.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// nodeimg-update for the directory's architecture, for the container image of the update.
    pub updater: Option<Source>,
    /// A tag more, of this architecture alone.
    pub key: Option<String>,
}

/// Publishes `directory` as `tag`.
pub fn publish(
    repository: &Repository<'_>,
    directory: &Directory,
    tag: &str,
    extras: &Extras,
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
    wanted.extend(extras.key.clone().map(|key| (key, &layout.index)));
    if has_all(repository, &wanted)? {
        told.unchanged = true;
    } else {
        let blobs = blobs(directory, &images)?;
        send_all(repository, &blobs, &mut told)?;
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
        for (tag, index) in &wanted {
            repository.put(By::Tag(tag), INDEX, &index.bytes)?;
        }
    }
    for tag in &told.tags {
        told.unchanged &= !join::join(repository, tag)?;
    }
    Ok(told)
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
    let results = in_parallel(UPLOADS, blobs.len(), |at| {
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

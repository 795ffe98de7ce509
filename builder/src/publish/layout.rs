//! The manifests of a directory: its files, its update, each of its disks; and what belongs to
//! them.

use anyhow::{Context, Result, bail};
use nodeimg_formats::oci::artifact::{Annotations, Artifact, EMPTY, EMPTY_BYTES, List, TITLE};
use nodeimg_formats::oci::{Descriptor, INDEX, Platform};
use nodeimg_formats::update::{self, PAYLOAD_TYPE};
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::CHECKSUMS;

use super::directory::{Directory, Item};
use super::media;
use crate::input::fetch::push::{Blob, Source};
use crate::output::disk_files;
use crate::output::provenance;
use crate::output::sbom::{CYCLONEDX, SPDX};
use crate::output::sign::{SIGNATURE, SIGNED};

/// A document of a repository, and how an index names it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub bytes: Vec<u8>,
    pub descriptor: Descriptor,
}

/// All documents of one architecture.
#[derive(Debug)]
pub struct Layout {
    /// Files, update, disks: in the order in which the index has them.
    pub entries: Vec<Entry>,
    /// What belongs to them.
    pub referrers: Vec<Artifact>,
    pub index: Entry,
}

/// The configuration of what has none.
pub fn empty() -> Result<Blob> {
    Blob::of("the empty configuration", Source::bytes(EMPTY_BYTES))
}

/// The manifests of `directory`.
pub fn of(directory: &Directory) -> Result<Layout> {
    let mut entries = vec![files(directory)?];
    if let Some(update) = &directory.update {
        entries.push(of_update(directory, update)?);
    }
    let subjects: Vec<Descriptor> = entries
        .iter()
        .map(|entry| Descriptor::of(&entry.descriptor.media_type, &entry.bytes))
        .collect();
    for (name, kind) in [(disk_files::ZST, "raw"), (disk_files::QCOW2, "qcow2")] {
        if let Some(item) = directory.item(name) {
            entries.push(disk(directory, item, kind)?);
        }
    }
    let mut referrers = Vec::new();
    for subject in &subjects {
        referrers.extend(belongings(directory, subject));
    }
    let index = index(directory, &entries)?;
    Ok(Layout {
        entries,
        referrers,
        index,
    })
}

/// The index of one architecture.
pub fn index(directory: &Directory, entries: &[Entry]) -> Result<Entry> {
    let manifests = entries.iter().map(|entry| entry.descriptor.clone());
    let mut list = List::new(manifests.collect());
    list.annotations = media::annotations(&directory.name, &directory.version, "");
    let bytes = list.bytes()?;
    let descriptor = Descriptor::of(INDEX, &bytes);
    Ok(Entry { bytes, descriptor })
}

/// What an index says of a manifest for `arch`.
pub fn platform(arch: Arch) -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: arch.name().to_owned(),
        variant: String::new(),
    }
}

pub fn entry(
    directory: &Directory,
    mut artifact: Artifact,
    title: &str,
    more: &[(&str, &str)],
) -> Result<Entry> {
    let version = &directory.version;
    artifact.annotations = media::annotations(title, version, &directory.created);
    let more = more
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let more: Annotations = more.collect();
    artifact.annotations.extend(more.clone());
    let bytes = artifact.bytes()?;
    let mut descriptor = Descriptor::of(&artifact.media_type, &bytes);
    descriptor.platform = Some(platform(directory.arch));
    if !more.is_empty() {
        descriptor.annotations = Some(more);
    }
    if let Some(kind) = &artifact.artifact_type {
        descriptor = descriptor.annotated(media::KIND, kind);
    }
    descriptor.artifact_type = artifact.artifact_type;
    Ok(Entry { bytes, descriptor })
}

fn layer(item: &Item) -> Descriptor {
    Descriptor::new(item.media_type, item.blob.digest.clone(), item.blob.size())
        .annotated(TITLE, &item.name)
}

fn files(directory: &Directory) -> Result<Entry> {
    let layers = directory.items.iter().map(|item| {
        let layer = layer(item);
        let Some(unpacked) = &item.unpacks else {
            return layer;
        };
        let layer = layer
            .annotated(media::UNPACKS, &unpacked.name)
            .annotated(media::UNPACKED_DIGEST, &unpacked.digest.to_string())
            .annotated(media::UNPACKED_SIZE, &unpacked.size.to_string());
        match unpacked.only {
            true => layer.annotated(media::UNPACKED_ONLY, "true"),
            false => layer,
        }
    });
    let config = Descriptor::of(EMPTY, EMPTY_BYTES);
    let artifact = Artifact::new(Some(media::FILES), config, layers.collect());
    let title = format!("{}-{}", directory.name, directory.arch);
    entry(directory, artifact, &title, &[])
}

/// The files of an update, as a node takes them: its manifest as the configuration.
fn of_update(directory: &Directory, update: &update::Manifest) -> Result<Entry> {
    let stem = update.stem();
    if update.architecture != directory.arch.name() {
        bail!(
            "the update is for {}, the image for {}: build it again",
            update.architecture.escape_debug(),
            directory.arch
        );
    }
    let find = |name: &str| {
        let found = directory.item(name);
        found.with_context(|| format!("the update has no file {name}: build the image again"))
    };
    let manifest = find(&format!("{stem}{}", update::SUFFIX))?;
    let packed = update.uki.compressed.as_ref().map(|packed| &packed.file);
    let names = [
        packed.unwrap_or(&update.uki.content.file),
        &update.root.content.file,
        &update.verity.file,
    ];
    let mut layers = Vec::new();
    for name in names {
        layers.push(layer(find(name)?));
    }
    if let Some(signed) = directory.item(&format!("{stem}{}", update::SIGNED_SUFFIX)) {
        layers.push(layer(signed));
    }
    let config = Descriptor::new(
        PAYLOAD_TYPE,
        manifest.blob.digest.clone(),
        manifest.blob.size(),
    );
    let artifact = Artifact::new(Some(update::ARTIFACT_TYPE), config, layers);
    entry(directory, artifact, &stem, &[])
}

/// One file alone, by which Ironic, podman and their kind find a disk.
fn disk(directory: &Directory, item: &Item, kind: &str) -> Result<Entry> {
    let config = Descriptor::of(EMPTY, EMPTY_BYTES);
    let artifact = Artifact::new(Some(media::DISK), config, vec![layer(item)]);
    entry(directory, artifact, &item.name, &[(media::DISK_TYPE, kind)])
}

/// Bills of materials, provenance and signatures, for one manifest.
fn belongings(directory: &Directory, subject: &Descriptor) -> Vec<Artifact> {
    let one = |kind: &str, names: &[&str]| {
        let found: Vec<&Item> = names
            .iter()
            .filter_map(|name| directory.item(name))
            .collect();
        let first = found.first().filter(|first| first.name == names[0])?;
        let config = Descriptor::of(EMPTY, EMPTY_BYTES);
        let layers = found.iter().map(|item| layer(item)).collect();
        let mut artifact = Artifact::new(Some(kind), config, layers);
        artifact.subject = Some(subject.clone());
        artifact.annotations =
            media::annotations(&first.name, &directory.version, &directory.created);
        Some(artifact)
    };
    let all = [
        one(media::SPDX, &[SPDX]),
        one(media::CYCLONEDX, &[CYCLONEDX]),
        one(media::IN_TOTO, &[provenance::FILE]),
        one(update::ENVELOPE_LAYER, &[SIGNED]),
        one(media::CHECKSUMS, &[CHECKSUMS, SIGNATURE]),
    ];
    all.into_iter().flatten().collect()
}

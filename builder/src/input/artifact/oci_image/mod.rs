//! Container images as artifacts: pinned by one digest, baked as one archive or, for all
//! of them, as a store.
//!
//! ```text
//! lock: digest of what the name stood for ── follow ──▶ index ▶ manifest ▶ configuration, layers
//!                                                                   │
//! a runtime that imports images:                                    │
//! /usr/lib/nodeimg/images/NAME.tar     an OCI archive of them  ◀────┤
//! /usr/lib/nodeimg/images/NAME.names   the digest of its manifest, then every name, a line each
//! a runtime that reads a store:                                     │
//! /usr/lib/containers/storage          see `store`             ◀────┘
//! ```
//! Archives are imported on the node by `nodeimg-images.service`, before the
//! kubelet starts, see `overlay/containerd-images`. Where the bytes come from is not
//! said here: [`follow`] is told by who calls it.
//!
//! # Invariants
//! - An [`Image`] is whole, and every byte of it was verified by the digest
//!   that its verified parent states, the topmost by the lock.
//! - An archive's bytes depend on the image and its names alone.
//! - No layer of an image that is baked holds a device node.

mod archive;
mod chain;
mod flat;
mod layer;
pub mod local;
pub mod store;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::sync::Arc;

use anyhow::{Context, Result};
use nodeimg_values::digest::Digest;
use nodeimg_values::parallel::{decoders, in_parallel};
use nodeimg_values::trace;

use crate::store::{Store, VerifiedBlob};
use crate::tree::{Content, ImagePath, Node, Origin};

pub use chain::{ImageBlob, Part, Start, follow};

/// Where the baked images are in the node image.
pub const DIRECTORY: &str = "/usr/lib/nodeimg/images";

/// A whole image for one architecture.
#[derive(Clone, Debug)]
pub struct Image {
    /// What the lock pins: the index, or the manifest itself.
    pub top: Blob,
    pub manifest: Blob,
    /// The manifest's own.
    pub media_type: String,
    pub config: Blob,
    /// The lowest first.
    pub layers: Vec<Blob>,
    /// What each of them unpacks to.
    pub diff_ids: Vec<Digest>,
}

/// A document or layer with the digest that its parent names it by.
#[derive(Clone, Debug)]
pub struct Blob {
    pub digest: Digest,
    pub bytes: Arc<VerifiedBlob>,
}

impl Image {
    /// Everything that must be in the store for a build without a network,
    /// nothing twice.
    pub fn blobs(&self) -> Vec<&Arc<VerifiedBlob>> {
        let mut blobs: Vec<&Arc<VerifiedBlob>> = Vec::new();
        for blob in [&self.top].into_iter().chain(self.baked()) {
            if !blobs.iter().any(|b| b.sha256() == blob.bytes.sha256()) {
                blobs.push(&blob.bytes);
            }
        }
        blobs
    }

    /// What goes into the archive; the index names other machines' images too,
    /// and stays behind.
    fn baked(&self) -> impl Iterator<Item = &Blob> {
        [&self.manifest, &self.config]
            .into_iter()
            .chain(&self.layers)
    }

    /// In bytes, of what goes into the archive.
    pub fn size(&self) -> u64 {
        self.baked().map(|blob| blob.bytes.size()).sum()
    }
}

/// Refuses images, by the names of their artifacts, with a layer that has a device node: all
/// of them are unpacked for that, once ever.
pub fn refuse_devices(store: &Store, images: &[(&str, &Image)]) -> Result<()> {
    let layers = images
        .iter()
        .flat_map(|(artifact, image)| image.layers.iter().map(move |layer| (artifact, layer)));
    let mut layers: Vec<_> = layers.collect();
    // The largest first, so that none is left for one core in the end.
    layers.sort_by_key(|(_, layer)| Reverse(layer.bytes.size()));
    let looked = in_parallel(decoders(), layers.len(), |at| {
        let (artifact, layer) = layers[at];
        let _span = trace::span("artifact", || format!("look into a layer of {artifact}"));
        layer::refuse_devices(store, layer)
            .with_context(|| format!("baking the container image {artifact}"))
    });
    looked.into_iter().collect()
}

/// The files that make `image` part of a node image, under each of `names`. Its layers were
/// looked into ([`refuse_devices`]).
pub fn nodes(artifact: &str, image: &Image, names: &[String]) -> Result<Vec<(ImagePath, Node)>> {
    let context = || format!("baking the container image {artifact}");
    let archive = archive::content(image, names).with_context(context)?;
    let mut list = format!("{}\n", image.manifest.digest);
    for name in names {
        list.push_str(name);
        list.push('\n');
    }
    let file = |suffix: &str, content| -> Result<_> {
        let path: ImagePath = format!("{DIRECTORY}/{artifact}.{suffix}").parse()?;
        let origin = Origin::Artifact(artifact.to_owned());
        Ok((path, Node::file(content, 0o644, origin)))
    };
    Ok(vec![
        file("names", Content::inline(list.into_bytes()))?,
        file("tar", archive)?,
    ])
}

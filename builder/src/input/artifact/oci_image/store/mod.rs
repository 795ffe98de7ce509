//! A read-only store of container images, for a runtime that is told where it lies
//! ([containers/storage](https://github.com/containers/storage/blob/main/docs/containers-storage.conf.5.md),
//! an additional image store of its driver `overlay`).
//!
//! ```text
//! /usr/lib/containers/storage
//!     overlay-images/images.json         what there is, and by which names
//!                    images.lock         empty; without it the whole store is ignored
//!                    IMAGE/FILE          configuration, manifest, index
//!     overlay-layers/layers.json
//!                    layers.lock         empty; without it every image is an error
//!     overlay/LAYER/diff/...             the image's files, all layers applied
//!                   link                 LINK
//!             l/LINK -> ../LAYER/diff
//! ```
//! IMAGE is the configuration's digest, which is what the kubelet calls an image by; the
//! others are names of our own.
//!
//! # Invariants
//! - One layer an image, and no digest of a layer that a registry has: what is pulled
//!   later must never rest on a layer that the next node image may lack.
//! - The bytes depend on the images and their names alone.

mod check;
#[cfg(test)]
mod tests;
mod written;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_values::digest::Digest;
use nodeimg_values::parallel::{decoders, in_parallel};

use super::flat::{File, Files};
use super::layer::{self, Member};
use super::{Blob, Image};
use crate::store::Store;
use crate::tree::{Content, ImagePath, Node, Origin};
use written::{IMAGES, LAYERS, WrittenImage, WrittenLayer};

pub use check::problems;

/// Where the runtime's configuration has to say that the store is.
pub const DIRECTORY: &str = "/usr/lib/containers/storage";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// One image of the recipe.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The artifact's name.
    pub artifact: &'a str,
    pub image: &'a Image,
    pub names: Vec<String>,
}

/// Whether `path` is of a store: what lies there follows the rules of its container and is
/// never the node's own.
pub fn holds(path: &ImagePath) -> bool {
    let below = path.as_str().strip_prefix(DIRECTORY);
    below.is_some_and(|below| below.starts_with('/'))
}

/// The files of a store with these images.
pub fn nodes(store: &Store, asked: &[Asked<'_>]) -> Result<Vec<(ImagePath, Node)>> {
    let unpacked = unpack_all(store, asked)?;
    let mut nodes = Nodes::default();
    let mut images: BTreeMap<&Digest, WrittenImage> = BTreeMap::new();
    let mut layers = Vec::new();
    for one in asked {
        let image = one.image;
        let context = || format!("baking the container image {}", one.artifact);
        let known = images
            .entry(&image.config.digest)
            .or_insert_with(|| WrittenImage::new(&image.config.digest, &image.manifest.digest));
        if known.layer.is_empty() {
            let layer = layer_of(&unpacked, one, &mut nodes).with_context(context)?;
            known.layer.clone_from(&layer.id);
            layers.push(layer);
        }
        known.names.extend(one.names.iter().cloned());
        for (item, blob) in items(image) {
            if known.add(&item, blob) {
                let place = format!("{IMAGES}/{}/{}", known.id, file_name(&item));
                nodes.file(one, &place, Content::whole(blob.bytes.clone()))?;
            }
        }
    }
    let images: Vec<_> = images.into_values().collect();
    layers.sort_by(|a: &WrittenLayer, b| a.id.cmp(&b.id));
    for (folder, name, list) in [
        (IMAGES, "images", serde_json::to_vec(&images)?),
        (LAYERS, "layers", serde_json::to_vec(&layers)?),
    ] {
        nodes.own(&format!("{folder}/{name}.json"), list)?;
        nodes.own(&format!("{folder}/{name}.lock"), Vec::new())?;
    }
    Ok(nodes.0)
}

/// Members of layers by the digests of their blobs.
type Unpacked<'a> = BTreeMap<&'a Digest, Vec<Member>>;

/// Every layer of all images, each unpacked once.
fn unpack_all<'a>(store: &Store, asked: &'a [Asked<'_>]) -> Result<Unpacked<'a>> {
    let mut packed = BTreeMap::new();
    for one in asked {
        for layer in one.image.layers.iter().zip(&one.image.diff_ids) {
            packed.insert(layer.0.bytes.sha256(), (one.artifact, layer));
        }
    }
    let packed: Vec<_> = packed.into_iter().collect();
    let done = in_parallel(decoders(), packed.len(), |at| {
        let (digest, (artifact, (layer, diff_id))) = packed[at];
        let members = layer::read(store, layer, diff_id);
        let members = members.with_context(|| format!("baking the container image {artifact}"))?;
        Ok((digest, members))
    });
    done.into_iter().collect()
}

/// The image's files as a layer of their own.
fn layer_of(unpacked: &Unpacked<'_>, asked: &Asked<'_>, nodes: &mut Nodes) -> Result<WrittenLayer> {
    let image = asked.image;
    let layers = image.layers.iter();
    let members = layers.filter_map(|layer| unpacked.get(layer.bytes.sha256()));
    let files = Files::of(members.map(Vec::as_slice))?;
    let identity = format!(
        "nodeimg flattened container image {}",
        image.manifest.digest
    );
    let identity = Digest::sha256(identity.as_bytes());
    let layer = WrittenLayer::new(&identity, files.size());
    let link = link_name(&layer.id);
    let home = format!("overlay/{}", layer.id);
    nodes.file(
        asked,
        &format!("{home}/link"),
        Content::inline(link.as_bytes()),
    )?;
    let target = format!("../{}/diff", layer.id);
    nodes.put(
        &format!("overlay/l/{link}"),
        Node::symlink(target, origin(asked)),
    )?;
    for (path, File { stat, kind, .. }) in files.into_files() {
        let place = format!("{home}/diff/{path}");
        let origin = origin(asked);
        nodes.put(place.trim_end_matches('/'), Node { stat, kind, origin })?;
    }
    Ok(layer)
}

/// What the image's description is, by the names that the runtime looks for.
fn items(image: &Image) -> Vec<(String, &Blob)> {
    let of = |blob: &Blob| format!("manifest-{}", blob.digest);
    let mut items = vec![
        (image.config.digest.to_string(), &image.config),
        ("manifest".to_owned(), &image.manifest),
        (of(&image.manifest), &image.manifest),
    ];
    if image.top.digest != image.manifest.digest {
        items.push((of(&image.top), &image.top));
    }
    items
}

/// An item's file: its name, or that in base64 where the name is more than digits, lowercase
/// letters and dots. Of an ASCII name without `?` that is never a `/`.
fn file_name(item: &str) -> String {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.';
    match item.bytes().all(plain) {
        true => item.to_owned(),
        false => format!("={}", STANDARD.encode(item)),
    }
}

/// 26 characters: the mount options of an overlay have room for a page alone.
fn link_name(layer: &str) -> String {
    let hash = Digest::sha256(format!("link {layer}").as_bytes());
    let bits: Vec<u8> = hash
        .hex()
        .bytes()
        .filter_map(|digit| char::from(digit).to_digit(16))
        .flat_map(|digit| (0..4).rev().map(move |at| (digit >> at & 1) as u8))
        .collect();
    let five = |bits: &[u8]| bits.iter().fold(0, |all, bit| all << 1 | usize::from(*bit));
    bits.chunks(5)
        .take(26)
        .map(|bits| char::from(BASE32[five(bits)]))
        .collect()
}

fn origin(asked: &Asked<'_>) -> Origin {
    Origin::Artifact(asked.artifact.to_owned())
}

/// The store as it grows.
#[derive(Default)]
struct Nodes(Vec<(ImagePath, Node)>);

impl Nodes {
    fn put(&mut self, place: &str, node: Node) -> Result<()> {
        let path = format!("{DIRECTORY}/{place}").parse();
        let path = path.context("it has a file that a node image cannot hold")?;
        self.0.push((path, node));
        Ok(())
    }

    fn file(&mut self, asked: &Asked<'_>, place: &str, content: Content) -> Result<()> {
        self.put(place, Node::file(content, 0o644, origin(asked)))
    }

    /// Of no single image.
    fn own(&mut self, place: &str, bytes: Vec<u8>) -> Result<()> {
        let origin = Origin::Recipe("artifact".to_owned());
        let node = Node::file(Content::inline(bytes), 0o644, origin);
        self.0.push((format!("{DIRECTORY}/{place}").parse()?, node));
        Ok(())
    }
}

//! From pinned digests to whole images: index, manifest, then the rest, each
//! step for all images at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use nodeimg_formats::oci::{self, Descriptor, Document, MAX_DOCUMENT, Manifest};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;

use super::{Blob, Image};
use crate::store::VerifiedBlob;
use crate::tree::Content;

/// Where one image for one architecture begins.
#[derive(Clone, Debug)]
pub struct Start<T> {
    /// What the caller knows it by.
    pub of: T,
    /// For messages: "the image pause (arm64)".
    pub what: String,
    pub arch: Arch,
    /// What the lock pins.
    pub digest: Digest,
}

/// What a blob is in its image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// An index or a manifest.
    Document,
    Config,
    Layer,
}

/// One blob that an image is made of.
#[derive(Debug)]
pub struct ImageBlob<'s, T> {
    pub image: &'s Start<T>,
    pub part: Part,
    pub digest: Digest,
    /// In bytes; unknown of the topmost.
    pub size: Option<u64>,
}

impl Part {
    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Part::Document => "manifest",
            Part::Config => "configuration",
            Part::Layer => "layer",
        }
    }
}

impl<'s, T> ImageBlob<'s, T> {
    fn of(image: &'s Start<T>, part: Part, descriptor: &Descriptor) -> ImageBlob<'s, T> {
        ImageBlob {
            image,
            part,
            digest: descriptor.digest.clone(),
            size: Some(descriptor.size),
        }
    }
}

/// What a topmost document says of one architecture.
enum Top {
    Image(Box<Manifest>),
    /// Its index leads to this manifest.
    Below(Box<Descriptor>),
}

/// Blobs by the digest that their parent names them by.
struct Blobs(BTreeMap<Digest, Arc<VerifiedBlob>>);

impl Blobs {
    fn get(&self, digest: &Digest) -> Result<Blob> {
        let bytes = self.0.get(digest);
        Ok(Blob {
            digest: digest.clone(),
            bytes: Arc::clone(bytes.with_context(|| format!("{digest} was not fetched"))?),
        })
    }
}

/// Every image of `starts`. `get` brings blobs, each verified by its digest.
pub fn follow<T: Clone>(
    starts: &[Start<T>],
    get: impl for<'s> Fn(Vec<ImageBlob<'s, T>>) -> Result<Vec<(ImageBlob<'s, T>, VerifiedBlob)>>,
) -> Result<Vec<(T, Image)>> {
    let get = |mut wanted: Vec<_>| {
        // A layer may be in an image many times, and in many images.
        let mut seen = BTreeSet::new();
        wanted.retain(|blob: &ImageBlob<'_, T>| seen.insert(blob.digest.clone()));
        let got = get(wanted)?.into_iter();
        let by_digest = got.map(|(wanted, blob)| (wanted.digest, Arc::new(blob)));
        anyhow::Ok(Blobs(by_digest.collect()))
    };
    let top = |image| ImageBlob {
        image,
        part: Part::Document,
        digest: Digest::clone(&image.digest),
        size: None,
    };
    let tops = get(starts.iter().map(top).collect())?;
    let mut read = Vec::new();
    for image in starts {
        let blob = tops.get(&image.digest)?;
        let top = read_top(image, &blob).with_context(|| image.at(&blob))?;
        read.push((image, blob, top));
    }
    let mut below = Vec::new();
    for (image, _, top) in &read {
        if let Top::Below(descriptor) = top {
            below.push(ImageBlob::of(*image, Part::Document, descriptor));
        }
    }
    let below = get(below)?;
    let mut images = Vec::new();
    for (image, top, read) in read {
        let (blob, manifest) = match read {
            Top::Image(manifest) => (top.clone(), manifest),
            Top::Below(descriptor) => {
                let blob = below.get(&descriptor.digest)?;
                let manifest = read_manifest(&descriptor, &blob);
                let manifest = manifest.with_context(|| image.at(&blob))?;
                (blob, manifest)
            }
        };
        images.push((image, top, blob, manifest));
    }
    let parts = get(images.iter().flat_map(|(i, _, _, m)| parts(i, m)).collect())?;
    let whole = images.into_iter().map(|(image, top, manifest, read)| {
        let whole = complete(image, top, manifest, *read, &parts)?;
        Ok((image.of.clone(), whole))
    });
    whole.collect()
}

/// What a manifest names.
fn parts<'s, T>(image: &'s Start<T>, manifest: &Manifest) -> Vec<ImageBlob<'s, T>> {
    let layers = manifest.layers.iter();
    let layers = layers.map(|layer| ImageBlob::of(image, Part::Layer, layer));
    [ImageBlob::of(image, Part::Config, &manifest.config)]
        .into_iter()
        .chain(layers)
        .collect()
}

fn complete<T>(
    image: &Start<T>,
    top: Blob,
    manifest: Blob,
    read: Manifest,
    parts: &Blobs,
) -> Result<Image> {
    let config = parts.get(&read.config.digest)?;
    let layers = read.layers.iter().map(|layer| parts.get(&layer.digest));
    let layers = layers.collect::<Result<Vec<_>>>()?;
    let diff_ids = oci::diff_ids(&small(&config)?, image.arch, layers.len())
        .with_context(|| image.at(&manifest))?;
    Ok(Image {
        top,
        manifest,
        media_type: read.media_type,
        config,
        layers,
        diff_ids,
    })
}

impl<T> Start<T> {
    /// Where a bad document was met.
    fn at(&self, blob: &Blob) -> String {
        format!("{}: {}", self.what, blob.digest)
    }
}

fn read_top<T>(image: &Start<T>, blob: &Blob) -> Result<Top> {
    Ok(match Document::parse(&small(blob)?, None)? {
        Document::Manifest(manifest) => Top::Image(manifest),
        Document::Index(index) => Top::Below(Box::new(index.select(image.arch)?.clone())),
    })
}

fn read_manifest(descriptor: &Descriptor, blob: &Blob) -> Result<Box<Manifest>> {
    match Document::parse(&small(blob)?, Some(&descriptor.media_type))? {
        Document::Manifest(manifest) => Ok(manifest),
        Document::Index(_) => bail!("it is an index in an index, which is not supported"),
    }
}

/// A document's bytes.
fn small(blob: &Blob) -> Result<Vec<u8>> {
    let size = blob.bytes.size();
    ensure!(
        size <= MAX_DOCUMENT,
        "it has {size} bytes, more than a document of an image may have"
    );
    let content = Content::whole(Arc::clone(&blob.bytes));
    content.head(size).context("reading it from the store")
}

//! From pinned digests to whole images: index, manifest, then the rest, each
//! step for all images at once.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use nodeimg_formats::oci::{self, Descriptor, Document, MAX_DOCUMENT, Manifest};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;

use super::{Blob, Image};
use crate::store::VerifiedBlob;
use crate::tree::Content;

/// One image for one architecture.
#[derive(Clone, Debug)]
pub struct Asked {
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
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which of those asked for it belongs to.
    pub image: usize,
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

impl Wanted {
    fn of(image: usize, part: Part, descriptor: &Descriptor) -> Wanted {
        Wanted {
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
    Below(Descriptor),
}

/// Every image of `asked`, in that order. `get` brings blobs in the order in
/// which they are wanted, each verified by its digest.
pub fn follow(
    asked: &[Asked],
    get: impl Fn(&[Wanted]) -> Result<Vec<VerifiedBlob>>,
) -> Result<Vec<Image>> {
    let wanted: Vec<Wanted> = (0..asked.len())
        .map(|image| Wanted {
            image,
            part: Part::Document,
            digest: asked[image].digest.clone(),
            size: None,
        })
        .collect();
    let tops = blobs(&wanted, &get)?;
    let read: Vec<Top> = std::iter::zip(asked, &tops)
        .map(|(asked, blob)| read_top(asked, blob).with_context(|| asked.at(blob)))
        .collect::<Result<_>>()?;
    let below = |(image, top): (usize, &Top)| match top {
        Top::Image(_) => None,
        Top::Below(descriptor) => Some(Wanted::of(image, Part::Document, descriptor)),
    };
    let wanted: Vec<Wanted> = read.iter().enumerate().filter_map(below).collect();
    let mut manifests = blobs(&wanted, &get)?.into_iter();
    let mut images = Vec::new();
    for ((asked, top), read) in std::iter::zip(asked, tops).zip(read) {
        let (blob, manifest) = match read {
            Top::Image(manifest) => (top.clone(), manifest),
            Top::Below(descriptor) => {
                let blob = manifests.next().context("a manifest was not fetched")?;
                let manifest = read_manifest(&descriptor, &blob);
                let manifest = manifest.with_context(|| asked.at(&blob))?;
                (blob, manifest)
            }
        };
        images.push((top, blob, manifest));
    }
    complete(asked, images, &get)
}

/// Brings what the manifests name: (topmost, manifest, what that says).
fn complete(
    asked: &[Asked],
    images: Vec<(Blob, Blob, Box<Manifest>)>,
    get: &impl Fn(&[Wanted]) -> Result<Vec<VerifiedBlob>>,
) -> Result<Vec<Image>> {
    let mut wanted = Vec::new();
    for (image, (_, _, manifest)) in images.iter().enumerate() {
        wanted.push(Wanted::of(image, Part::Config, &manifest.config));
        let layers = manifest.layers.iter();
        wanted.extend(layers.map(|layer| Wanted::of(image, Part::Layer, layer)));
    }
    let mut parts = blobs(&wanted, get)?.into_iter();
    let mut whole = Vec::new();
    for (asked, (top, manifest, read)) in std::iter::zip(asked, images) {
        let config = parts.next().context("a configuration was not fetched")?;
        let layers: Vec<Blob> = parts.by_ref().take(read.layers.len()).collect();
        oci::check_config(&small(&config)?, asked.arch, layers.len())
            .with_context(|| asked.at(&manifest))?;
        whole.push(Image {
            top,
            manifest,
            media_type: read.media_type,
            config,
            layers,
        });
    }
    Ok(whole)
}

impl Asked {
    /// Where a bad document was met.
    fn at(&self, blob: &Blob) -> String {
        format!("{}: {}", self.what, blob.digest)
    }
}

fn read_top(asked: &Asked, blob: &Blob) -> Result<Top> {
    Ok(match Document::parse(&small(blob)?, None)? {
        Document::Manifest(manifest) => Top::Image(manifest),
        Document::Index(index) => Top::Below(index.select(asked.arch)?.clone()),
    })
}

fn read_manifest(descriptor: &Descriptor, blob: &Blob) -> Result<Box<Manifest>> {
    match Document::parse(&small(blob)?, Some(&descriptor.media_type))? {
        Document::Manifest(manifest) => Ok(manifest),
        Document::Index(_) => bail!("it is an index in an index, which is not supported"),
    }
}

fn blobs(
    wanted: &[Wanted],
    get: &impl Fn(&[Wanted]) -> Result<Vec<VerifiedBlob>>,
) -> Result<Vec<Blob>> {
    let got = get(wanted)?;
    ensure!(
        got.len() == wanted.len(),
        "expected {} blobs of images, got {}",
        wanted.len(),
        got.len()
    );
    let blob = |(wanted, bytes): (&Wanted, VerifiedBlob)| Blob {
        digest: wanted.digest.clone(),
        bytes: Arc::new(bytes),
    };
    Ok(wanted.iter().zip(got).map(blob).collect())
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

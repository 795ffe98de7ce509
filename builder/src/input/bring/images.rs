//! The bytes of container images.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};
use std::path::PathBuf;

use anyhow::{Context, Result};
use nodeimg_formats::oci::{ACCEPTED, MAX_DOCUMENT};
use nodeimg_values::digest::Expected;

use crate::input::MAX_DOWNLOAD;
use crate::input::artifact::oci_image::local::Local;
use crate::input::artifact::oci_image::{Image, ImageBlob, Part, Start, follow};
use crate::input::fetch::{Fetcher, Request};
use crate::input::lock::PinnedImage;
use crate::input::recipe::ContainerImage;
use crate::input::recipe::request::LockRequest;
use crate::store::{Lookup, VerifiedBlob};

/// What a configuration or layer is asked for by.
const ANY: &str = "*/*";

/// An image of the recipe, for one architecture.
type Pair<'a> = (&'a ContainerImage, &'a PinnedImage);

/// Each of `images`, whole.
pub fn bring<'a>(fetcher: &Fetcher<'_>, images: Vec<Pair<'a>>) -> Result<Vec<(Pair<'a>, Image)>> {
    let start = |asked: Pair<'a>| Start {
        of: asked,
        what: asked.1.request.what(),
        arch: asked.1.request.arch,
        digest: asked.1.bytes.digest.clone(),
    };
    let bring = Bring {
        fetcher,
        opened: RefCell::default(),
    };
    let starts: Vec<_> = images.into_iter().map(start).collect();
    follow(&starts, |blobs| bring.all(blobs))
}

/// Where blobs come from: files of this machine, or registries.
struct Bring<'a> {
    fetcher: &'a Fetcher<'a>,
    /// The files that were read, by what is of them.
    opened: RefCell<BTreeMap<String, Local>>,
}

type BlobOf<'s, 'a> = ImageBlob<'s, Pair<'a>>;

impl Bring<'_> {
    fn all<'s, 'a>(
        &self,
        blobs: Vec<BlobOf<'s, 'a>>,
    ) -> Result<Vec<(BlobOf<'s, 'a>, VerifiedBlob)>> {
        let (here, remote): (Vec<_>, Vec<_>) = blobs
            .into_iter()
            .partition(|wanted| source(wanted).is_some());
        let mut found = self.fetcher.bring(remote, |wanted| Ok(request(wanted)))?;
        for wanted in here {
            let blob = self.local(&wanted);
            let blob = blob.with_context(|| wanted.image.what.clone())?;
            found.push((wanted, blob));
        }
        Ok(found)
    }

    /// With a warm store the file itself is not needed.
    fn local(&self, wanted: &BlobOf<'_, '_>) -> Result<VerifiedBlob> {
        let want = Expected::of(&wanted.digest, wanted.size);
        let store = self.fetcher.store();
        if let Lookup::Found(blob) = store.find(&want)? {
            return Ok(blob);
        }
        let mut opened = self.opened.borrow_mut();
        let local = match opened.entry(wanted.image.what.clone()) {
            Occupied(entry) => entry.into_mut(),
            Vacant(entry) => {
                let path = source(wanted).context("it is in no file")?;
                entry.insert(Local::open(&path, &wanted.image.of.0.image)?)
            }
        };
        local.bring(store, &want)
    }
}

/// The file or directory that its image is read from.
fn source(wanted: &BlobOf<'_, '_>) -> Option<PathBuf> {
    wanted.image.of.0.source(wanted.image.arch)
}

fn request(wanted: &BlobOf<'_, '_>) -> Request {
    let image = &wanted.image.of.0.image;
    let (url, max_size, accept) = match wanted.part {
        Part::Document => (image.document_url(&wanted.digest), MAX_DOCUMENT, ACCEPTED),
        Part::Config | Part::Layer => (image.blob_url(&wanted.digest), MAX_DOWNLOAD, ANY),
    };
    Request {
        what: format!("{}: {}", wanted.image.what, wanted.part.name()),
        url,
        want: Expected::of(&wanted.digest, wanted.size),
        max_size: wanted.size.unwrap_or(max_size).min(max_size),
        accept: Some(accept),
    }
}

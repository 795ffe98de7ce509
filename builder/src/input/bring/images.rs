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
use crate::input::artifact::oci_image::{Image, Part, Piece, Start, follow};
use crate::input::fetch::{Fetcher, Request};
use crate::input::lock::PinnedImage;
use crate::input::recipe::ContainerImage;
use crate::input::recipe::request::Request as _;
use crate::store::{Lookup, VerifiedBlob};

/// What a configuration or layer is asked for by.
const ANY: &str = "*/*";

/// An image of the recipe, for one architecture.
type Asked<'a> = (&'a ContainerImage, &'a PinnedImage);

/// Each of `images`, whole.
pub fn bring<'a>(fetcher: &Fetcher<'_>, images: Vec<Asked<'a>>) -> Result<Vec<(Asked<'a>, Image)>> {
    let start = |asked: Asked<'a>| Start {
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
    follow(&starts, |pieces| bring.all(pieces))
}

/// Where blobs come from: files of this machine, or registries.
struct Bring<'a> {
    fetcher: &'a Fetcher<'a>,
    /// The files that were read, by what is of them.
    opened: RefCell<BTreeMap<String, Local>>,
}

type PieceOf<'s, 'a> = Piece<'s, Asked<'a>>;

impl Bring<'_> {
    fn all<'s, 'a>(
        &self,
        pieces: Vec<PieceOf<'s, 'a>>,
    ) -> Result<Vec<(PieceOf<'s, 'a>, VerifiedBlob)>> {
        let (here, remote): (Vec<_>, Vec<_>) = pieces
            .into_iter()
            .partition(|piece| source(piece).is_some());
        let mut found = self.fetcher.bring(remote, |piece| Ok(request(piece)))?;
        for piece in here {
            let blob = self.local(&piece);
            let blob = blob.with_context(|| piece.image.what.clone())?;
            found.push((piece, blob));
        }
        Ok(found)
    }

    /// With a warm store the file itself is not needed.
    fn local(&self, piece: &PieceOf<'_, '_>) -> Result<VerifiedBlob> {
        let want = Expected::of(&piece.digest, piece.size);
        let store = self.fetcher.store();
        if let Lookup::Found(blob) = store.find(&want)? {
            return Ok(blob);
        }
        let mut opened = self.opened.borrow_mut();
        let local = match opened.entry(piece.image.what.clone()) {
            Occupied(entry) => entry.into_mut(),
            Vacant(entry) => {
                let path = source(piece).context("it is in no file")?;
                entry.insert(Local::open(&path, &piece.image.of.0.image)?)
            }
        };
        local.bring(store, &want)
    }
}

/// The file or directory that its image is read from.
fn source(piece: &PieceOf<'_, '_>) -> Option<PathBuf> {
    piece.image.of.0.source(piece.image.arch)
}

fn request(piece: &PieceOf<'_, '_>) -> Request {
    let image = &piece.image.of.0.image;
    let (url, max_size, accept) = match piece.part {
        Part::Document => (image.document_url(&piece.digest), MAX_DOCUMENT, ACCEPTED),
        Part::Config | Part::Layer => (image.blob_url(&piece.digest), MAX_DOWNLOAD, ANY),
    };
    Request {
        what: format!("{}: {}", piece.image.what, piece.part.name()),
        url,
        want: Expected::of(&piece.digest, piece.size),
        max_size: piece.size.unwrap_or(max_size).min(max_size),
        accept: Some(accept),
    }
}

//! The bytes of container images.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};
use std::path::PathBuf;

use anyhow::{Context, Result};
use nodeimg_formats::oci::{ACCEPTED, MAX_DOCUMENT};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Expected;

use crate::input::MAX_DOWNLOAD;
use crate::input::artifact::oci_image::local::Local;
use crate::input::artifact::oci_image::{Asked, Image, Part, Wanted, follow};
use crate::input::fetch::{Fetcher, Request};
use crate::input::lock::Locked;
use crate::input::recipe::{ContainerImage, Recipe};
use crate::store::{Lookup, VerifiedBlob};

/// What a configuration or layer is asked for by.
const ANY: &str = "*/*";

/// The images of every architecture in `archs`, in that order.
pub fn fetch<'a>(
    fetcher: &Fetcher<'_>,
    recipe: &'a Recipe,
    locked: &Locked,
    archs: &[Arch],
) -> Result<Vec<Vec<(&'a ContainerImage, Image)>>> {
    let mut jobs = Vec::new();
    for arch in archs {
        for pinned in locked.images(recipe, *arch)? {
            let image = recipe.images.iter().find(|i| i.name == pinned.name);
            let image = image.with_context(|| format!("no image `{}`", pinned.name))?;
            jobs.push((image, pinned));
        }
    }
    let asked: Vec<Asked> = jobs
        .iter()
        .map(|(_, pinned)| Asked {
            what: format!("the image {} ({})", pinned.name, pinned.arch),
            arch: pinned.arch,
            digest: pinned.digest.clone(),
        })
        .collect();
    let images: Vec<&ContainerImage> = jobs.iter().map(|(image, _)| *image).collect();
    let bring = Bring {
        fetcher,
        images: &images,
        asked: &asked,
        opened: RefCell::default(),
    };
    let mut found = follow(&asked, |wanted| bring.all(wanted))?.into_iter();
    let mut result = Vec::new();
    for arch in archs {
        let count = asked.iter().filter(|asked| asked.arch == *arch).count();
        let of_arch = jobs.iter().filter(|(_, pinned)| pinned.arch == *arch);
        let names: Vec<&ContainerImage> = of_arch.map(|(image, _)| *image).collect();
        result.push(names.into_iter().zip(found.by_ref().take(count)).collect());
    }
    Ok(result)
}

/// Where blobs come from: files of this machine, or registries.
struct Bring<'a> {
    fetcher: &'a Fetcher<'a>,
    /// What each of `asked` is of.
    images: &'a [&'a ContainerImage],
    asked: &'a [Asked],
    /// The files to read for the images that are `asked` for.
    opened: RefCell<BTreeMap<usize, Local>>,
}

impl Bring<'_> {
    fn all(&self, wanted: &[Wanted]) -> Result<Vec<VerifiedBlob>> {
        let is_local = |wanted: &Wanted| self.images[wanted.image].source(self.arch(wanted));
        let remote: Vec<Request> = wanted
            .iter()
            .filter(|wanted| is_local(wanted).is_none())
            .map(|wanted| self.request(wanted))
            .collect();
        let mut fetched = self.fetcher.fetch(&remote)?.into_iter();
        let mut blobs = Vec::new();
        for wanted in wanted {
            blobs.push(match is_local(wanted) {
                None => fetched
                    .next()
                    .context("a download ended without a result")?,
                Some(path) => {
                    let what = || self.asked[wanted.image].what.clone();
                    self.local(wanted, path).with_context(what)?
                }
            });
        }
        Ok(blobs)
    }

    /// With a warm store the file itself is not needed.
    fn local(&self, wanted: &Wanted, path: PathBuf) -> Result<VerifiedBlob> {
        let want = Expected::of(&wanted.digest, wanted.size);
        let store = self.fetcher.store();
        if let Lookup::Found(blob) = store.find(&want)? {
            return Ok(blob);
        }
        let mut opened = self.opened.borrow_mut();
        let local = match opened.entry(wanted.image) {
            Occupied(entry) => entry.into_mut(),
            Vacant(entry) => entry.insert(Local::open(&path, &self.images[wanted.image].image)?),
        };
        local.bring(store, &want)
    }

    fn arch(&self, wanted: &Wanted) -> Arch {
        self.asked[wanted.image].arch
    }

    fn request(&self, wanted: &Wanted) -> Request {
        let image = &self.images[wanted.image].image;
        let (url, max_size, accept) = match wanted.part {
            Part::Document => (image.document_url(&wanted.digest), MAX_DOCUMENT, ACCEPTED),
            Part::Config | Part::Layer => (image.blob_url(&wanted.digest), MAX_DOWNLOAD, ANY),
        };
        Request {
            what: format!("{}: {}", self.asked[wanted.image].what, wanted.part.name()),
            url,
            want: Expected::of(&wanted.digest, wanted.size),
            max_size: wanted.size.unwrap_or(max_size).min(max_size),
            accept: Some(accept),
        }
    }
}

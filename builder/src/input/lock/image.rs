//! Container images in a lock.
//!
//! ```toml
//! [[image]]
//! name = "pause"
//! arch = "amd64"
//! image = "registry.k8s.io/pause:3.10.2"
//! digest = "sha256:…"        # of what that named: an index, or one manifest
//! ```
//! The digest stands for all that it leads to, so nothing else is written down,
//! and a lock can be made from a known digest without asking the registry.

use std::fmt::Write;

use nodeimg_formats::oci::Reference;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::input::recipe::ImageRequest;
use crate::input::recipe::value::Name;

/// One container image for one architecture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedImage {
    pub name: Name,
    pub arch: Arch,
    pub image: Reference,
    pub digest: Digest,
}

impl PinnedImage {
    pub fn new(request: ImageRequest, digest: Digest) -> PinnedImage {
        PinnedImage {
            name: request.name,
            arch: request.arch,
            image: request.image,
            digest,
        }
    }

    fn is_of(&self, request: &ImageRequest) -> bool {
        self.name == request.name && self.arch == request.arch
    }

    /// Whether this is what `request` asks for.
    pub fn answers(&self, request: &ImageRequest) -> bool {
        self.is_of(request) && self.image == request.image
    }
}

/// Every way in which `pinned` does not fit `requests`, by key.
pub fn differences(pinned: &[PinnedImage], requests: &[ImageRequest]) -> Vec<String> {
    let mut found = Vec::new();
    for request in requests {
        let key = format!("artifact.{}", request.name);
        match pinned.iter().find(|image| image.is_of(request)) {
            None => found.push(format!("{key}: not in the lock for {}", request.arch)),
            Some(image) if image.image != request.image => found.push(format!(
                "{key}.image ({}): the recipe says `{}`, the lock `{}`",
                request.arch, request.image, image.image
            )),
            Some(_) => {}
        }
    }
    for image in pinned {
        if !requests.iter().any(|request| image.is_of(request)) {
            found.push(format!(
                "artifact.{}: in the lock for {}, not in the recipe",
                image.name, image.arch
            ));
        }
    }
    found
}

/// The tables of `images`.
pub fn write(images: &[PinnedImage], to: &mut String) {
    for image in images {
        // Strings always serialise; writing to a String cannot fail.
        let table = toml::to_string(image).unwrap_or_default();
        let _ = write!(to, "\n[[image]]\n{table}");
    }
}

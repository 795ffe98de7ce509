//! What the manifest says of each input.

use anyhow::Result;
use nodeimg_trust::How;

use super::Built;
use super::manifest::{Artifact, ContainerImage, Index, Package, PinnedInputs};
use crate::input::artifact::oci_image::Image;
use crate::input::bring::Input;
use crate::input::lock::{Index as PinnedIndex, PinnedArtifact, PinnedImage, PinnedPackage};
use crate::input::recipe;

/// Each kind by name, as the lock has them.
pub fn of(built: &Built<'_>) -> Result<PinnedInputs> {
    let fetched = built.fetched;
    let mut artifacts: Vec<_> = fetched.artifacts.iter().map(|a| artifact(a.pin)).collect();
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    let mut images: Vec<_> = fetched.images.iter().map(image).collect();
    images.sort_by(|a, b| a.name.cmp(&b.name));
    let pinned = &built.locked.pins().packages;
    let packages = fetched.packages.iter();
    let packages = packages.map(|(pin, _)| Ok(package(pin, pinned.url(pin)?)));
    let indexes = match fetched.packages.is_empty() {
        true => Vec::new(),
        false => pinned.indexes.iter().map(index).collect(),
    };
    Ok(PinnedInputs {
        artifacts,
        images,
        indexes,
        packages: packages.collect::<Result<_>>()?,
    })
}

fn artifact(pin: &PinnedArtifact) -> Artifact {
    let known = pin.bytes.clone();
    Artifact {
        name: pin.request.name.to_string(),
        version: pin.request.version.to_string(),
        url: pin.request.url.clone(),
        sha256: known.sha256,
        sha512: known.sha512,
        size: known.size,
        vouch: pin.vouch.clone(),
    }
}

fn image(image: &Input<'_, recipe::ContainerImage, PinnedImage, Image>) -> ContainerImage {
    let pin = image.pin;
    ContainerImage {
        name: pin.request.name.to_string(),
        image: pin.request.image.to_string(),
        digest: pin.bytes.digest.clone(),
        manifest: image.bytes.manifest.digest.clone(),
        names: image.asked.names(&pin.bytes.digest),
        size: image.bytes.size(),
        vouch: pin.vouch.clone(),
    }
}

fn index(pin: &PinnedIndex) -> Index {
    Index {
        suite: pin.suite.to_string(),
        archive: pin.archive.to_string(),
        url: pin.url.clone(),
        date: pin.date.to_string(),
        sha256: pin.sha256.clone(),
        // Without that, there is no lock.
        verified: How::OpenPgp,
    }
}

fn package(pin: &PinnedPackage, url: String) -> Package {
    Package {
        name: pin.name.to_string(),
        version: pin.version.clone(),
        suite: pin.suite().map(ToString::to_string),
        component: (!pin.component().is_main()).then(|| pin.component().to_string()),
        url,
        sha256: pin.sha256.clone(),
        size: pin.size,
    }
}

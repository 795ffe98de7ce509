//! Container images that a recipe bakes: artifacts of the kind `oci_image`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nodeimg_formats::oci::Reference;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::{ArtifactKind, ArtifactPart};
use super::problems::Problems;
use super::request::{Asked, ImageRequest};
use super::source::Step;
use super::value::Name;
use super::verify::VerifyPart;

/// A file or directory for every architecture, or one each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a path, or a table of one path per architecture (amd64, arm64)"
)]
pub enum PathPerArch {
    One(String),
    Each(BTreeMap<Arch, String>),
}

impl PathPerArch {
    pub fn get(&self, arch: Arch) -> Option<&str> {
        match self {
            PathPerArch::One(path) => Some(path),
            PathPerArch::Each(paths) => paths.get(&arch).map(String::as_str),
        }
    }

    /// Each path, to be changed.
    pub fn paths_mut(&mut self) -> Vec<&mut String> {
        match self {
            PathPerArch::One(path) => vec![path],
            PathPerArch::Each(paths) => paths.values_mut().collect(),
        }
    }
}

/// One container image of the recipe.
#[derive(Clone, Debug)]
pub struct ContainerImage {
    pub name: Name,
    pub image: Reference,
    /// Where it is read from; a registry otherwise.
    source: Option<PathPerArch>,
    /// More names for it on the node.
    pub also: Vec<Reference>,
    /// Who vouches for it.
    pub verify: Option<VerifyPart>,
}

impl Asked for ContainerImage {
    type Request = ImageRequest;
    const PLACE: &'static str = "source";

    fn name(&self) -> &Name {
        &self.name
    }

    fn request(&self, arch: Arch) -> Option<ImageRequest> {
        if let Some(source) = &self.source {
            source.get(arch)?;
        }
        Some(ImageRequest {
            name: self.name.clone(),
            arch,
            image: self.image.clone(),
        })
    }
}

impl ContainerImage {
    /// The file or directory that it is read from.
    pub fn source(&self, arch: Arch) -> Option<PathBuf> {
        let source = self.source.as_ref()?;
        source.get(arch).map(PathBuf::from)
    }

    /// What the recipe calls it.
    pub fn called(&self) -> impl Iterator<Item = &Reference> {
        [&self.image].into_iter().chain(&self.also)
    }

    /// The names that a store has it under, and that a runtime's configuration pins.
    pub fn kept_names(&self) -> impl Iterator<Item = String> {
        self.called().map(Reference::kept_name)
    }

    /// Every name by which a node can ask for it; `digest` is the pinned one.
    pub fn names(&self, digest: &Digest) -> Vec<String> {
        let mut names = self.image.names(digest);
        for name in self.also.iter().flat_map(|also| also.names(digest)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Whether `part` has only keys that go with its kind.
pub fn keys(part: &ArtifactPart, problems: &mut Problems<'_>) {
    let table = [Step::Key("artifact"), Step::Named(part.name.as_str())];
    let of_image = [
        ("image", part.image.is_some()),
        ("source", part.source.is_some()),
        ("as", !part.also.is_empty()),
    ];
    let of_file = [
        ("version", part.version.is_some()),
        ("url", part.url.is_some()),
        ("checksum", part.checksum.is_some()),
        ("arch_names", !part.arch_names.is_empty()),
        ("files", !part.files.is_empty()),
        ("max_unpacked", part.max_unpacked.is_some()),
        ("allow_setuid", part.allow_setuid.is_some()),
    ];
    let (set, why): (&[_], _) = match part.kind {
        Some(ArtifactKind::OciImage) => (
            &of_file,
            "not for a container image: its name, version and location are in `image`",
        ),
        Some(_) => (&of_image, "only for `kind = \"oci_image\"`"),
        None => return,
    };
    for (key, _) in set.iter().filter(|(_, is_set)| *is_set) {
        problems.add(&[table[0], table[1], Step::Key(key)], why);
    }
}

/// The images among the artifacts.
pub fn images(parts: &[ArtifactPart], problems: &mut Problems<'_>) -> Vec<ContainerImage> {
    let mut images: Vec<ContainerImage> = Vec::new();
    for part in parts {
        if part.kind != Some(ArtifactKind::OciImage) {
            continue;
        }
        let table = [Step::Key("artifact"), Step::Named(part.name.as_str())];
        let Some(image) = part.image.clone() else {
            problems.add(&table, "`image` is missing: name the container image");
            continue;
        };
        for name in part.also.iter().chain([&image]) {
            let other = images.iter().find(|other| {
                let names = other.also.iter().chain([&other.image]);
                names
                    .into_iter()
                    .any(|there| there.kept_name() == name.kept_name())
            });
            if let Some(other) = other {
                let message = format!("`{name}` is already baked by the artifact `{}`", other.name);
                problems.add(&table, &message);
            }
        }
        images.push(ContainerImage {
            name: part.name.clone(),
            image,
            source: part.source.clone(),
            also: part.also.clone(),
            verify: part.verify.clone(),
        });
    }
    images
}

//! What a recipe asks of its lock, whatever the kind of input: one thing, for one
//! architecture.

use nodeimg_formats::oci::Reference;
use nodeimg_values::arch::Arch;
use serde::{Deserialize, Serialize};

use super::value::{Name, Version};

/// What an `[[artifact]]` of a recipe is to the lock.
pub trait Asked {
    type Request: LockRequest;
    /// The key that may lack an architecture.
    const PLACE: &'static str;

    fn name(&self) -> &Name;

    /// `None` if the recipe does not say where it is for `arch`.
    fn request(&self, arch: Arch) -> Option<Self::Request>;
}

/// Which bytes the lock has to know.
pub trait LockRequest: Clone + PartialEq + Serialize {
    fn key(&self) -> (&Name, Arch);

    /// As messages name it: `containerd 2.3.4 (arm64)`.
    fn what(&self) -> String;

    /// The keys of the recipe that decide which bytes, and what they say.
    fn values(&self) -> Vec<(&'static str, String)>;
}

/// All that `asked` asks for, for every architecture that it has.
pub fn requests<A: Asked>(asked: &[A]) -> Vec<A::Request> {
    let of = |asked: &A| Arch::ALL.map(|arch| asked.request(arch));
    asked.iter().flat_map(of).flatten().collect()
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ArtifactRequest {
    pub name: Name,
    pub arch: Arch,
    pub version: Version,
    pub url: String,
    pub checksum: Option<String>,
}

impl LockRequest for ArtifactRequest {
    fn key(&self) -> (&Name, Arch) {
        (&self.name, self.arch)
    }

    fn what(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.arch)
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let checksum = self.checksum.clone();
        vec![
            ("version", self.version.to_string()),
            ("url", self.url.clone()),
            ("checksum", checksum.unwrap_or_else(|| "none".to_owned())),
        ]
    }
}

/// One container image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImageRequest {
    pub name: Name,
    pub arch: Arch,
    pub image: Reference,
}

impl LockRequest for ImageRequest {
    fn key(&self) -> (&Name, Arch) {
        (&self.name, self.arch)
    }

    fn what(&self) -> String {
        format!("the image {} ({})", self.name, self.arch)
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        vec![("image", self.image.to_string())]
    }
}

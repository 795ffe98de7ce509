//! The recipe: what the author of an image asks for.
//!
//! [`file`](mod@file) is what a TOML file may say, [`merge`] lays one over another,
//! [`Recipe`] is the whole, checked: everything that a build needs to know but
//! for the bytes, which the lock pins.
//!
//! # Invariants
//! A [`Recipe`] has passed every check of [`check`]; no later room doubts it.

mod area;
mod base;
mod check;
pub mod component;
pub mod credential_provider;
mod deb;
pub mod disk;
mod extra;
pub mod file;
mod first_boot;
pub mod handler;
mod image;
pub mod kubernetes;
mod library;
mod load;
mod merge;
pub mod network;
pub mod output;
mod problems;
mod profile;
pub mod registries;
mod repository;
pub mod request;
pub mod runtime;
mod script;
mod services;
pub mod source;
pub mod sysupdate;
pub mod update;
pub mod url;
pub mod value;
pub mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use nodeimg_seed::contract::profile::Profile;
use nodeimg_seed::contract::registries::Public;
use nodeimg_values::arch::Arch;
use nodeimg_values::date::Date;
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;

use crate::input::artifact::{self, InstallRule, Selector, Spec};
use crate::tree::ImagePath;
use credential_provider::CredentialProvider;
use file::{
    ClusterPart, DiskPart, FirstBootPart, KubeProxyPart, KubeletPart, SysctlValue, SysextPart,
};
use handler::Handler;
use output::OutputKind;
use request::{ArtifactRequest, Asked, requests};
use runtime::Runtime;
use url::{PerArch, UrlTemplate};
use value::{Name, Version, Word};
use verify::{TrustPart, VerifyPart};

pub use area::Component;
pub use base::{Base, PackageName};
pub use deb::Deb;
pub use file::RecipeFile;
pub use image::ContainerImage;
pub use library::{BUILT_IN_OVERLAY, built_in, built_in_names};
pub use load::{RecipeRef, load, load_edited, load_for, portable};
pub use merge::with_extra;
pub use repository::Repository;
pub use script::AcceptedScript;
pub use source::nearest;

/// A whole, checked recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub name: Name,
    pub version: Version,
    /// Of every artifact that [follows](Artifact::follows_kubernetes) it.
    pub kubernetes: Option<Version>,
    pub description: Option<String>,
    pub profile: &'static Profile,
    pub runtime: &'static Runtime,
    /// The image of every pod's first container, if the recipe names one.
    pub sandbox_image: Option<String>,
    pub outputs: Vec<&'static OutputKind>,
    pub sysext: SysextPart,
    pub disk: DiskPart,
    pub first_boot: FirstBootPart,
    pub modules: Vec<Word>,
    /// Those and the initrd's, each with the place where it stands, for messages.
    pub module_places: Vec<(Word, String)>,
    pub writable: Vec<ImagePath>,
    /// Folders laid over the built-in overlay, as (name in messages, place).
    pub overlays: Vec<(String, PathBuf)>,
    /// From Debian packages, if the image has one.
    pub base: Option<Base>,
    pub cluster: ClusterPart,
    pub kubelet: KubeletPart,
    pub kube_proxy: KubeProxyPart,
    /// What RuntimeClasses of the cluster can name.
    pub handlers: Vec<&'static Handler>,
    /// Programs that the kubelet asks for logins.
    pub credential_providers: Vec<CredentialProvider>,
    /// Of container images, by name.
    pub registries: BTreeMap<String, Public>,
    pub enable: Vec<Word>,
    /// Those that the recipe itself names, each with its place there.
    pub enable_places: Vec<(Word, String)>,
    pub mask: Vec<Word>,
    pub sysctl: BTreeMap<String, SysctlValue>,
    pub mirrors: BTreeMap<String, String>,
    /// Who must vouch for the inputs.
    pub trust: TrustPart,
    /// Whether the image has the program that updates it.
    pub has_updater: bool,
    /// Which nodes may take this version.
    pub rollout: update::Rollout,
    pub artifacts: Vec<Artifact>,
    /// Container images to be baked.
    pub images: Vec<ContainerImage>,
    pub files: Vec<ExtraFile>,
    /// What works, but should be changed, each at its line.
    pub warnings: Vec<String>,
    /// The merged file, for `recipe show`.
    pub effective: RecipeFile,
}

/// One pinned input of the recipe.
#[derive(Clone, Debug)]
pub struct Artifact {
    pub name: Name,
    pub kind: artifact::Kind,
    pub version: Version,
    /// Whether its version is that of the recipe's `kubernetes`.
    pub follows_kubernetes: bool,
    pub url: PerArch,
    pub checksum: Option<UrlTemplate>,
    pub arch_names: BTreeMap<Arch, String>,
    pub rules: Vec<InstallRule>,
    /// In bytes.
    pub max_unpacked: u64,
    pub allow_setuid: bool,
    /// Who vouches for it.
    pub verify: Option<VerifyPart>,
}

/// A file that the recipe brings along.
#[derive(Clone, Debug)]
pub struct ExtraFile {
    pub path: ImagePath,
    pub mode: u32,
    pub content: ExtraContent,
}

/// Where an extra file's bytes are.
#[derive(Clone, Debug)]
pub enum ExtraContent {
    Text(String),
    Source(PathBuf),
}

impl Asked for Artifact {
    type Request = ArtifactRequest;
    const PLACE: &'static str = "url";

    fn name(&self) -> &Name {
        &self.name
    }

    fn request(&self, arch: Arch) -> Option<ArtifactRequest> {
        let arch_name = self.arch_name(arch);
        let url = self
            .url
            .get(arch)?
            .fill(self.version.as_str(), arch_name, "");
        let checksum = self
            .checksum
            .as_ref()
            .map(|c| c.fill(self.version.as_str(), arch_name, &url));
        Some(ArtifactRequest {
            name: self.name.clone(),
            arch,
            version: self.version.clone(),
            url,
            checksum,
        })
    }
}

impl Artifact {
    /// As its publisher calls `arch`.
    pub fn arch_name(&self, arch: Arch) -> &str {
        let own = self.arch_names.get(&arch);
        own.map_or(arch.name(), String::as_str)
    }

    /// What is installed of it for `arch`.
    pub fn rules_of(&self, arch: Arch) -> Result<Vec<InstallRule>> {
        let fill = |rule: &InstallRule| rule.filled(self.version.as_str(), self.arch_name(arch));
        let rules: Result<Vec<_>> = self.rules.iter().map(fill).collect();
        rules.with_context(|| format!("`files` of artifact.{}", self.name))
    }

    /// What to do with its bytes, by `rules` of `arch`.
    pub fn spec<'a>(&'a self, arch: Arch, rules: &'a [InstallRule]) -> Spec<'a> {
        Spec {
            name: self.name.as_str(),
            version: self.version.as_str(),
            arch,
            kind: self.kind,
            rules,
            max_unpacked: self.max_unpacked,
            allow_setuid: self.allow_setuid,
        }
    }

    /// Whether this installs `path`, or may (`dir/*` into the directory).
    pub fn provides(&self, path: &ImagePath) -> bool {
        let all = Arch::ALL.map(|arch| self.rules_of(arch).unwrap_or_default());
        all.iter().flatten().any(|rule| {
            let name = match &rule.from {
                Some(Selector::One(member)) => member.rsplit('/').next().unwrap_or_default(),
                Some(Selector::AllIn(_)) => path.name(),
                None => self.name.as_str(),
            };
            rule.to.place(name).is_ok_and(|to| &to == path)
        })
    }
}

impl Recipe {
    /// Whether the base system is part of the outputs: an overlay and a system
    /// extension lie over a base of one's own, unless their programs are
    /// packages themselves.
    pub fn needs_base(&self) -> bool {
        let whole = self.outputs.iter().any(|output| output.is_whole());
        self.base.is_some() && (whole || self.profile.is_whole)
    }

    /// Stands for all that the lock depends on; nothing else moves it, so a
    /// changed `max_pods` needs no new lock.
    pub fn digest(&self) -> Digest {
        // Plain structs of strings always serialise.
        let mut text = serde_json::to_vec(&requests(&self.artifacts)).unwrap_or_default();
        if !self.images.is_empty() {
            text.extend(serde_json::to_vec(&requests(&self.images)).unwrap_or_default());
        }
        if let Some(base) = &self.base {
            text.extend_from_slice(base.digest().to_string().as_bytes());
        }
        Digest::sha256(&text)
    }

    /// Whether the artifact `name` is of the recipe's version of Kubernetes.
    pub fn follows_kubernetes(&self, name: &Name) -> bool {
        let mut follow = self.artifacts.iter().filter(|a| a.follows_kubernetes);
        follow.any(|artifact| artifact.name == *name)
    }

    /// The version of the artifact that installs `path`.
    pub fn version_of(&self, path: &ImagePath) -> Option<&Version> {
        self.artifact_of(path).map(|artifact| &artifact.version)
    }

    /// The artifact that installs `path`.
    pub fn artifact_of(&self, path: &ImagePath) -> Option<&Artifact> {
        let mut all = self.artifacts.iter();
        all.find(|artifact| artifact.provides(path))
    }

    /// `1.37.1-202609121530`: the recipe's version and the time of the lock in UTC, so that
    /// each new lock makes a later version. It is how updates, and systemd-boot, tell one
    /// build from the next. A `+` would begin the counter of a UKI's attempts to boot.
    pub fn image_version(&self, epoch: Epoch) -> String {
        image_version(self.version.as_str(), epoch)
    }

    /// `hard-way_1.37.1-202609121530`: what the UKI of this build is called, and its
    /// partitions as far as a label has room.
    pub fn build_name(&self, epoch: Epoch) -> String {
        build_name(self.name.as_str(), self.version.as_str(), epoch)
    }

    /// `hard-way-1.37.1-arm64`, the output directory's name.
    pub fn image_name(&self, arch: Arch) -> String {
        format!("{}-{}-{arch}", self.name, self.version)
    }
}

fn image_version(version: &str, epoch: Epoch) -> String {
    format!("{version}-{}", Date(epoch.0).to_the_minute()).replace('+', ".")
}

/// [`Recipe::build_name`] by what a manifest says of the recipe.
pub fn build_name(name: &str, version: &str, epoch: Epoch) -> String {
    format!("{name}_{}", image_version(version, epoch))
}

#[cfg(test)]
pub mod tests;

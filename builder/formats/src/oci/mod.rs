//! The documents of a container image: index, manifest, configuration.
//!
//! ```text
//! NAME ──registry──▶ index ──platform──▶ manifest ──▶ configuration
//!                    (or a manifest alone)        └──▶ layers: tar, packed or plain
//! ```
//! Each arrow but the first is a [`Descriptor`]: digest, size, media type. So
//! the digest of the topmost document stands for every byte below it.
//!
//! [OCI image](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md),
//! [OCI index](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md),
//! [Docker's schema 2](https://distribution.github.io/distribution/spec/manifest-v2-2/).
//!
//! # Invariants
//! What a [`Manifest`] names can be run: a document of another kind (a chart, a
//! signature), layers that are kept elsewhere, and Docker's schema 1, whose
//! digest does not cover its layers' configuration, are refused by name.
//!
//! Left out: indexes in indexes, encrypted layers.

pub mod artifact;
pub mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use serde::{Deserialize, Serialize};

pub use reference::Reference;

/// A document is refused if it is longer, in bytes; registries take no
/// longer one either.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// What a registry is asked for by a tag or a digest of a document.
pub const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const PACKED_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

const LAYERS: [&str; 6] = [
    LAYER,
    PACKED_LAYER,
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

/// One document or layer, as the document above it names it. The fields are in the order of
/// OCI's own Go types: tools that write an index again keep its digest then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// Where else it is kept; what has one is not in the registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Of what is not an image: its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// What machine an image is for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// Images of one name for several platforms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Index {
    pub manifests: Vec<Descriptor>,
}

/// One image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Its own, as the archive's index repeats it.
    pub media_type: String,
    pub config: Descriptor,
    /// The lowest first.
    pub layers: Vec<Descriptor>,
}

/// What a name or a digest can stand for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Document {
    Index(Index),
    Manifest(Box<Manifest>),
}

/// The fields of both kinds, and of documents that are neither.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    fs_layers: Option<serde_json::Value>,
    errors: Option<Vec<Problem>>,
}

/// Of a registry, which some send as if it were the image.
#[derive(Deserialize)]
struct Problem {
    message: Option<String>,
    code: Option<String>,
}

impl Document {
    /// Reads a document; `told` is the media type that another one has for it.
    ///
    /// # Errors
    /// It is neither an index nor an image's manifest, or one that can be read
    /// as both.
    pub fn parse(bytes: &[u8], told: Option<&str>) -> Result<Document> {
        let raw: Raw = serde_json::from_slice(bytes)
            .context("it is neither an image's index nor its manifest")?;
        if let Some(errors) = &raw.errors {
            let words = |error: &Problem| error.message.clone().or_else(|| error.code.clone());
            let said: Vec<String> = errors.iter().filter_map(words).collect();
            bail!(
                "the registry sends an error in its place: \"{}\"",
                said.join("; ").escape_debug()
            );
        }
        ensure!(
            raw.schema_version != Some(1) && raw.fs_layers.is_none(),
            "it uses Docker's schema 1, which is not supported: push the image again with a \
             current tool"
        );
        if let (Some(own), Some(told)) = (&raw.media_type, told)
            && own != told
        {
            bail!("its own media type is `{own}`, but it is announced as `{told}`");
        }
        let media_type = raw.media_type.as_deref().or(told);
        let is_index = match media_type {
            Some(INDEX | DOCKER_LIST) => true,
            Some(MANIFEST | DOCKER_MANIFEST) => false,
            Some(other) => bail!("`{other}` is not an image that can be run"),
            None => raw.manifests.is_some(),
        };
        let media_type = media_type.unwrap_or(MANIFEST).to_owned();
        match (is_index, raw.manifests, raw.config, raw.layers) {
            (true, Some(manifests), None, None) => Ok(Document::Index(Index { manifests })),
            (false, None, Some(config), Some(layers)) => Manifest {
                media_type,
                config,
                layers,
            }
            .checked()
            .map(|manifest| Document::Manifest(Box::new(manifest))),
            (_, Some(_), _, Some(_)) => {
                bail!(
                    "it has both `manifests` and `layers`, so it is not clear which of them \
                    count"
                )
            }
            (true, ..) => bail!("it is an index without `manifests`"),
            (false, ..) => bail!("it is a manifest without `config` and `layers`"),
        }
    }
}

impl Index {
    /// The manifest for `arch`.
    ///
    /// # Errors
    /// There is none; those that there are, are named.
    pub fn select(&self, arch: Arch) -> Result<&Descriptor> {
        let fits = |descriptor: &&Descriptor| {
            let platform = descriptor.platform.as_ref();
            platform.is_some_and(|platform| platform.fits(arch))
        };
        // One that says nothing is asked itself, by its configuration.
        let only = match self.manifests.as_slice() {
            [one] if one.platform.is_none() => Some(one),
            _ => None,
        };
        let Some(found) = self.manifests.iter().find(fits).or(only) else {
            bail!("{}", self.lacks(arch));
        };
        ensure!(
            ![INDEX, DOCKER_LIST].contains(&found.media_type.as_str()),
            "it has an index in an index for linux/{arch}, which is not supported"
        );
        Ok(found)
    }

    fn lacks(&self, arch: Arch) -> String {
        let mut there: Vec<String> = self
            .manifests
            .iter()
            .filter_map(|descriptor| descriptor.platform.as_ref())
            .filter(|platform| platform.os != "unknown")
            .map(Platform::text)
            .collect();
        there.sort();
        there.dedup();
        let there = match there.len() {
            0 => "it names no platform at all".to_owned(),
            _ => format!("it is for {}", there.join(", ")),
        };
        format!("it has no image for linux/{arch}: {there}")
    }
}

impl Platform {
    /// Any CPU of that architecture runs it.
    fn fits(&self, arch: Arch) -> bool {
        let variants: &[&str] = match arch {
            Arch::Amd64 => &["", "v1"],
            Arch::Arm64 => &["", "v8"],
        };
        self.os == "linux"
            && self.architecture == arch.name()
            && variants.contains(&self.variant.as_str())
    }

    fn text(&self) -> String {
        let variant = match self.variant.as_str() {
            "" => String::new(),
            variant => format!("/{variant}"),
        };
        format!("{}/{}{variant}", self.os, self.architecture)
    }
}

impl Manifest {
    fn checked(self) -> Result<Manifest> {
        let config = self.config.media_type.as_str();
        ensure!(
            [CONFIG, DOCKER_CONFIG].contains(&config),
            "its configuration is `{config}`: it is not an image that can be run"
        );
        ensure!(
            self.config.size <= MAX_DOCUMENT,
            "its configuration is longer than {MAX_DOCUMENT} bytes"
        );
        for layer in &self.layers {
            let kind = layer.media_type.as_str();
            let foreign = kind.contains(".foreign.") || kind.contains(".nondistributable.");
            ensure!(
                !foreign && layer.urls.is_empty(),
                "its layer {} is stored elsewhere (`{kind}`): such an image cannot be baked in",
                layer.digest
            );
            ensure!(
                LAYERS.contains(&kind),
                "its layer {} is `{kind}`, which containerd cannot unpack",
                layer.digest
            );
        }
        Ok(self)
    }
}

/// The part of an image's configuration that matters here.
#[derive(Deserialize)]
struct Config {
    #[serde(flatten)]
    platform: Platform,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<Digest>,
}

/// What each layer unpacks to, the lowest first, by the configuration of an image.
///
/// # Errors
/// The image is not for `arch`, or does not have so many layers.
pub fn diff_ids(bytes: &[u8], arch: Arch, layers: usize) -> Result<Vec<Digest>> {
    let config: Config =
        serde_json::from_slice(bytes).context("its configuration is not that of an image")?;
    ensure!(
        config.platform.fits(arch),
        "it is for {}, not for linux/{arch}",
        config.platform.text()
    );
    let ids = config.rootfs.diff_ids;
    ensure!(
        ids.len() == layers,
        "its configuration has {} layers, its manifest {layers}",
        ids.len()
    );
    Ok(ids)
}

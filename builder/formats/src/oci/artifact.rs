//! Documents of what a registry keeps beside images that can be run: disks, updates, bills of
//! materials, signatures.
//!
//! ```text
//! index ──▶ manifest ──▶ configuration, files
//!              ▲
//!           subject ── manifest of what belongs to it (a referrer)
//! ```
//! [Artifacts](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage),
//! [referrers](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers).
//!
//! # Invariants
//! The bytes of a document depend on its fields alone.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use nodeimg_values::digest::Digest;
use serde::{Deserialize, Serialize};

use super::{Descriptor, INDEX, MANIFEST};

/// The configuration of what has none, and its bytes.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub const EMPTY_BYTES: &[u8] = b"{}";

/// The name of a file, as `oras pull` writes it.
pub const TITLE: &str = "org.opencontainers.image.title";
pub const VERSION: &str = "org.opencontainers.image.version";

pub type Annotations = BTreeMap<String, String>;

/// A manifest of files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    schema_version: u64,
    pub media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

/// An index of manifests of any kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    schema_version: u64,
    pub media_type: String,
    pub manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

impl Artifact {
    /// Of `kind`, or an image that can be run; with these files, the first first.
    pub fn new(kind: Option<&str>, config: Descriptor, layers: Vec<Descriptor>) -> Artifact {
        Artifact {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: kind.map(str::to_owned),
            config,
            layers,
            subject: None,
            annotations: Annotations::new(),
        }
    }

    /// Reads a manifest of any kind.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(bytes: &[u8]) -> Result<Artifact> {
        let found: Artifact = serde_json::from_slice(bytes).context("it is not a manifest")?;
        ensure!(
            found.schema_version == 2 && found.media_type == MANIFEST,
            "it is `{}`, not a manifest",
            found.media_type.escape_debug()
        );
        Ok(found)
    }

    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context("writing a manifest")
    }
}

impl List {
    pub fn new(manifests: Vec<Descriptor>) -> List {
        List {
            schema_version: 2,
            media_type: INDEX.to_owned(),
            manifests,
            annotations: Annotations::new(),
        }
    }

    /// Reads an index.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(bytes: &[u8]) -> Result<List> {
        let found: List = serde_json::from_slice(bytes).context("it is not an index")?;
        if found.schema_version != 2 || found.media_type != INDEX {
            bail!(
                "it is `{}`, not an index of images",
                found.media_type.escape_debug()
            );
        }
        Ok(found)
    }

    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context("writing an index")
    }
}

impl Descriptor {
    /// Of bytes with this digest and size.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            urls: Vec::new(),
            annotations: None,
        }
    }

    /// Of these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Descriptor {
        Descriptor::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// With an annotation more.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Descriptor {
        let all = self.annotations.get_or_insert_default();
        all.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

/// The tag of the list of what refers to a document, at registries that keep no such list
/// ([the rule](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema)).
pub fn fallback_tag(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), digest.hex())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn documents_have_pinned_bytes_and_are_read_back() {
        let config = Descriptor::of(EMPTY, EMPTY_BYTES);
        let file = Descriptor::of("application/zstd", b"disk").annotated(TITLE, "disk.raw.zst");
        let artifact = Artifact::new(Some("application/vnd.x"), config, vec![file.clone()]);
        let bytes = artifact.bytes().unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            concat!(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""artifactType":"application/vnd.x","config":{"#,
                r#""mediaType":"application/vnd.oci.empty.v1+json","digest":"#,
                r#""sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","#,
                r#""size":2},"layers":[{"mediaType":"application/zstd","digest":"#,
                r#""sha256:1044dec7206e8d7c9fbb4ae8f766668406d2567fc7fc1a160a9d4700fcf8f8e9","#,
                r#""size":4,"annotations":{"org.opencontainers.image.title":"disk.raw.zst"}}]}"#
            )
        );
        assert_eq!(Artifact::parse(&bytes).unwrap(), artifact);
        let list = List::new(vec![file]);
        assert_eq!(List::parse(&list.bytes().unwrap()).unwrap(), list);
    }

    #[test]
    fn one_kind_is_not_taken_for_the_other() {
        let list = List::new(Vec::new()).bytes().unwrap();
        assert!(Artifact::parse(&list).is_err());
        let empty = Descriptor::of(EMPTY, EMPTY_BYTES);
        let artifact = Artifact::new(None, empty, Vec::new()).bytes().unwrap();
        assert!(List::parse(&artifact).is_err());
        for bad in [&b"<html>"[..], b"{}", b"[]", b""] {
            assert!(List::parse(bad).is_err() && Artifact::parse(bad).is_err());
        }
    }
}

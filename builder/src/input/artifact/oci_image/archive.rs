//! The archive that containerd imports: an
//! [OCI image layout](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md)
//! as a tar.
//!
//! ```text
//! oci-layout                  {"imageLayoutVersion":"1.0.0"}
//! index.json                  the manifest's descriptor, once for each name
//! blobs/sha256/<64 hex>       manifest, configuration, layers: spans of the store
//! ```
//!
//! # Invariants
//! The same image under the same names gives the same bytes: members in this
//! order, all of root, mode 0644, time 0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use nodeimg_formats::oci::{Descriptor, INDEX};
use nodeimg_formats::tar::{END, Entry, EntryKind, padding};
use serde::Serialize;

use super::{Blob, Image};
use crate::tree::Content;

/// What containerd names an image by, and what everyone else does.
const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

/// The archive of `image` under each of `names`.
pub fn content(image: &Image, names: &[String]) -> Result<Content> {
    let index = Index {
        schema_version: 2,
        media_type: INDEX,
        manifests: names.iter().map(|name| descriptor(image, name)).collect(),
    };
    let mut tar = Parts::default();
    let layout = br#"{"imageLayoutVersion":"1.0.0"}"#;
    tar.file("oci-layout", Content::inline(&layout[..]))?;
    tar.file("index.json", Content::inline(serde_json::to_vec(&index)?))?;
    let mut seen = BTreeSet::new();
    for blob in image.baked() {
        // An empty layer may be there many times.
        if seen.insert(&blob.digest) {
            tar.file(&member(blob), Content::whole(Arc::clone(&blob.bytes)))?;
        }
    }
    Ok(tar.end())
}

fn descriptor(image: &Image, name: &str) -> Descriptor {
    let names = NAMES.map(|key| (key.to_owned(), name.to_owned()));
    Descriptor {
        media_type: image.media_type.clone(),
        digest: image.manifest.digest.clone(),
        size: image.manifest.bytes.size(),
        platform: None,
        artifact_type: None,
        urls: Vec::new(),
        annotations: Some(BTreeMap::from(names)),
    }
}

fn member(blob: &Blob) -> String {
    let algorithm = blob.digest.algorithm().name();
    format!("blobs/{algorithm}/{}", blob.digest.hex())
}

/// A tar as it grows.
#[derive(Default)]
struct Parts {
    parts: Vec<Content>,
    /// Bytes that belong to no blob and are not in `parts` yet.
    bytes: Vec<u8>,
}

impl Parts {
    fn file(&mut self, name: &str, content: Content) -> Result<()> {
        let none = BTreeMap::new();
        let entry = Entry {
            name,
            kind: EntryKind::File(content.len()),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: &none,
        };
        self.bytes.extend_from_slice(&entry.encode()?);
        let zeros = padding(content.len());
        self.flush();
        self.parts.push(content);
        self.bytes.resize(zeros, 0);
        Ok(())
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.parts
                .push(Content::inline(std::mem::take(&mut self.bytes)));
        }
    }

    fn end(mut self) -> Content {
        self.bytes.extend_from_slice(&END);
        self.flush();
        Content::Joined(self.parts.into())
    }
}

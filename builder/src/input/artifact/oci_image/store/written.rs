//! The two lists of a store, as
//! [containers/storage](https://github.com/containers/storage/blob/main/images.go)
//! reads them.

use std::collections::BTreeMap;

use nodeimg_values::digest::Digest;
use serde::{Deserialize, Serialize};

use super::Blob;

/// The folders of the lists.
pub const IMAGES: &str = "overlay-images";
pub const LAYERS: &str = "overlay-layers";
/// Shown by nothing on a node, but a time has to be there.
const CREATED: &str = "1970-01-01T00:00:00Z";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WrittenImage {
    pub id: String,
    /// Of the manifest.
    digest: Digest,
    pub names: Vec<String>,
    pub layer: String,
    metadata: String,
    pub big_data_names: Vec<String>,
    pub big_data_sizes: BTreeMap<String, u64>,
    big_data_digests: BTreeMap<String, Digest>,
    created: String,
}

impl WrittenImage {
    pub fn new(config: &Digest, manifest: &Digest) -> WrittenImage {
        WrittenImage {
            id: config.hex().to_owned(),
            digest: manifest.clone(),
            names: Vec::new(),
            layer: String::new(),
            metadata: "{}".to_owned(),
            big_data_names: Vec::new(),
            big_data_sizes: BTreeMap::new(),
            big_data_digests: BTreeMap::new(),
            created: CREATED.to_owned(),
        }
    }

    /// Notes an item; false if it was there before.
    pub fn add(&mut self, item: &str, blob: &Blob) -> bool {
        if self.big_data_sizes.contains_key(item) {
            return false;
        }
        let sha256 = blob.bytes.sha256().clone();
        self.big_data_names.push(item.to_owned());
        self.big_data_sizes
            .insert(item.to_owned(), blob.bytes.size());
        self.big_data_digests.insert(item.to_owned(), sha256);
        true
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WrittenLayer {
    pub id: String,
    created: String,
    /// A layer without any digest cannot be listed; one with the digest of its tar is
    /// taken for a layer that a registry has.
    toc_digest: Digest,
    /// The bytes of its files.
    diff_size: u64,
}

impl WrittenLayer {
    pub fn new(identity: &Digest, size: u64) -> WrittenLayer {
        WrittenLayer {
            id: identity.hex().to_owned(),
            created: CREATED.to_owned(),
            toc_digest: identity.clone(),
            diff_size: size,
        }
    }
}

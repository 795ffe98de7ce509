//! An update of a node: what `nodeimg publish` sends and `nodeimg-update` reads.
//!
//! ```text
//! NAME_VERSION_ARCH.update.json       the manifest: Manifest
//! NAME_VERSION_ARCH.update.json.dsse  the same, signed: an envelope of PAYLOAD_TYPE
//! NAME_VERSION_ARCH.root.raw          the root file system, as it is in its partition
//! NAME_VERSION_ARCH.verity.raw        superblock and hash tree of it
//! NAME_VERSION_ARCH.efi.zst           the UKI
//! ```
//! In a registry the manifest is the configuration of an OCI manifest whose artifact type is
//! [`ARTIFACT_TYPE`]; the envelope and the other files are its layers, one media type each,
//! with the file's name as the annotation [`TITLE`].
//!
//! # Invariants
//! A reader ignores keys that it does not know, so that an old node reads the manifest of a new
//! builder. What an old node must not ignore raises [`SCHEMA`].

#[cfg(test)]
mod tests;
mod version;
pub mod when;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use version::{compare, is_version};

/// Of manifests that this version writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;
/// What the envelope of a signed manifest holds.
pub const PAYLOAD_TYPE: &str = "application/vnd.nodeimg.update.v1+json";
/// Ends the name of a manifest.
pub const SUFFIX: &str = ".update.json";
/// Ends the name of a manifest's envelope.
pub const SIGNED_SUFFIX: &str = ".update.json.dsse";

/// Bytes in `nodeimg-update` by which the builder checks that it matches this library. Raised
/// with any change of its configuration or of [`SCHEMA`].
pub const PROGRAM_MARKER: &str = "nodeimg-update-contract-1";

/// Of the OCI manifest of an update.
pub const ARTIFACT_TYPE: &str = "application/vnd.nodeimg.image.v1";
/// Of its layers.
pub const ENVELOPE_LAYER: &str = "application/vnd.dsse.envelope.v1+json";
pub const ROOT_LAYER: &str = "application/vnd.nodeimg.root.v1";
pub const VERITY_LAYER: &str = "application/vnd.nodeimg.verity.v1";
pub const UKI_LAYER: &str = "application/vnd.nodeimg.uki.v1+zstd";
/// The annotation of a layer that has the name of its file.
pub const TITLE: &str = "org.opencontainers.image.title";

/// One version of an image for one architecture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// IMAGE_ID of os-release: the product. A node takes no other.
    pub id: String,
    /// IMAGE_VERSION of os-release.
    pub version: String,
    /// `amd64` or `arm64`.
    pub architecture: String,
    pub root: Root,
    /// The superblock and the hash tree.
    pub verity: Content,
    pub uki: Uki,
    /// What the root's slot has on a disk that is made from this version, in bytes. A node's own
    /// slots may be smaller: what counts there is the root's size.
    pub slot: u64,
    pub state: State,
    /// From which versions a node may step to this one; from any if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Requires>,
    /// No node takes it by itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hold: bool,
    /// Who may take it and when; everybody at once if it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<Wave>,
}

/// A file of the update.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Content {
    /// Its name, without a directory.
    pub file: String,
    /// In bytes.
    pub size: u64,
    /// 64 lowercase hexadecimal digits.
    pub sha256: String,
}

/// The root file system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Root {
    #[serde(flatten)]
    pub content: Content,
    /// 64 lowercase hexadecimal digits. Its halves are the GUIDs of the two partitions.
    pub roothash: String,
    /// Of the hash tree, in lowercase hexadecimal digits.
    pub salt: String,
    /// Bytes that one hash of the tree's lowest level stands for.
    pub data_block: u32,
}

/// The program that the firmware or its boot loader starts: kernel, initrd and command line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Uki {
    #[serde(flatten)]
    pub content: Content,
    /// The same as zstd, if it is published so; the plain file need not be there then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed: Option<Compressed>,
}

/// A compressed form of a file. What it unpacks to is verified, not this.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Compressed {
    /// Its name, without a directory.
    pub file: String,
    /// In bytes.
    pub size: u64,
}

/// The format of what a node keeps in /var, which both slots share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct State {
    /// What this image writes.
    pub version: u32,
    /// The oldest that it reads, and the oldest reader of what it writes.
    pub reads_from: u32,
}

/// A barrier: a node must step to another version first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Requires {
    /// The oldest version that may step to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
    /// The only versions that may; any if it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
}

/// From a time on, this share of all machines may take the update.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wave {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub start: u64,
    /// Of 100 machines, those of earlier waves included.
    pub percent: u8,
}

// serde gives a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// What the names of all files of an update begin with.
pub fn stem(id: &str, version: &str, architecture: &str) -> String {
    format!("{id}_{version}_{architecture}")
}

impl Manifest {
    /// What the names of its files begin with.
    pub fn stem(&self) -> String {
        stem(&self.id, &self.version, &self.architecture)
    }

    /// The name of the version's boot entry, without its counter and `.efi`.
    pub fn entry(&self) -> String {
        format!("{}_{}", self.id, self.version)
    }

    /// The label of both partitions.
    pub fn label(&self) -> String {
        label(&self.id, &self.version)
    }
}

/// UTF-16 units of a partition's label: UEFI 2.10, 5.3.3.
pub const MAX_LABEL: usize = 36;

/// The label of a version's partitions: `ID_VERSION`. An id that leaves no room for the version
/// is cut and told from others by a part of its digest; a version is never cut.
pub fn label(id: &str, version: &str) -> String {
    let whole = format!("{id}_{version}");
    let units = |text: &str| text.encode_utf16().count();
    if units(&whole) <= MAX_LABEL {
        return whole;
    }
    let digest = Sha256::digest(id);
    let end = format!("-{:02x}{:02x}_{version}", digest[0], digest[1]);
    let mut room = MAX_LABEL.saturating_sub(units(&end));
    let fits = |c: &char| match room.checked_sub(c.len_utf16()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let start: String = id.chars().take_while(fits).collect();
    format!("{start}{end}")
}

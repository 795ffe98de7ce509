//! `manifest.json` and `SHA256SUMS`: what an image is made of.
//!
//! Keys are sorted and the text ends in a newline, so that two manifests can
//! be compared line by line.
//!
//! # Invariants
//! Nothing in a manifest depends on the host, the user or the time of a build.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use nodeimg_formats::gpt::{Entry, Table};
use nodeimg_trust::How;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image::boot::mounts::Mount;
use crate::input::lock::Vouch;
use crate::tree::{ImagePath, Kind, Node, Origin, Tree};

/// Version of the format, raised when a reader of the old one would go wrong.
pub const VERSION: u32 = 1;

/// Everything that `manifest.json` says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    pub image: Image,
    pub artifacts: Vec<Artifact>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub container_images: Vec<ContainerImage>,
    /// Of the base system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
    /// The signed indexes that vouch for those packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    /// Of the disk, if an output is one: what its partition tables say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    pub files: Vec<File>,
    pub outputs: Vec<Output>,
}

/// A disk's partition tables.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Disk {
    pub guid: String,
    /// Of the whole disk, in bytes.
    pub size: u64,
    /// Of the machine's disk, in bytes, if the recipe says it: the image ends before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_size: Option<u64>,
    pub partitions: Vec<Partition>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Partition {
    pub label: String,
    /// The type's GUID.
    #[serde(rename = "type")]
    pub kind: String,
    pub guid: String,
    pub flags: u64,
    /// In bytes, from the disk's first on.
    pub start: u64,
    /// In bytes.
    pub size: u64,
}

impl From<&Table> for Disk {
    fn from(table: &Table) -> Disk {
        let partition = |entry: &Entry| Partition {
            label: entry.name.clone(),
            kind: entry.kind.to_string(),
            guid: entry.unique.to_string(),
            flags: entry.flags,
            start: entry.place.start,
            size: entry.place.size,
        };
        Disk {
            guid: table.disk.to_string(),
            size: table.size,
            machine_size: None,
            partitions: table.partitions.iter().map(partition).collect(),
        }
    }
}

/// The image itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Image {
    pub name: String,
    pub version: String,
    pub arch: Arch,
    /// Digest of the recipe that it was built from.
    pub recipe: Digest,
    pub epoch: Epoch,
    /// Directories that stay writable on the node.
    pub writable: Vec<ImagePath>,
    /// Of a disk: everything that can be written to on its node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Components of Debian's archive that it has packages of, beside `main`: others may not
    /// be free to pass it on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
}

/// An input, as the lock pins it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Artifact {
    pub name: String,
    pub version: String,
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha512: Option<Digest>,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Who vouches for it, as its proof said when the image was built.
    #[serde(flatten)]
    pub vouch: Vouch,
}

/// A container image that is baked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ContainerImage {
    /// The artifact's.
    pub name: String,
    /// By what it was asked for.
    pub image: String,
    /// As the lock pins it: of the index, or of the manifest itself.
    pub digest: Digest,
    /// Of this architecture's manifest.
    pub manifest: Digest,
    /// What it is called on the node.
    pub names: Vec<String>,
    /// In bytes, of manifest, configuration and layers.
    pub size: u64,
    /// Who vouches for it, likewise.
    #[serde(flatten)]
    pub vouch: Vouch,
}

/// A Debian package, as the lock pins it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// Nothing if it is in no archive: its publisher offers it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// Of Debian's archive; nothing if it is `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Where it stays for good.
    pub url: String,
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// Debian's signed index of a suite (`InRelease`), which says what its packages are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Index {
    pub suite: String,
    pub archive: String,
    /// Of another publisher's repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub date: String,
    /// Of the text that was signed.
    pub sha256: Digest,
    /// `openpgp`: its signature was verified when the lock was made.
    pub verified: How,
}

/// What an image is made of, as the lock pins it.
#[derive(Debug, Default)]
pub struct PinnedInputs {
    pub artifacts: Vec<Artifact>,
    pub images: Vec<ContainerImage>,
    pub packages: Vec<Package>,
    pub indexes: Vec<Index>,
}

/// One path of the image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct File {
    #[serde(deserialize_with = "ImagePath::listed")]
    pub path: ImagePath,
    #[serde(rename = "type")]
    pub file_type: FileType,
    /// Permission bits in octal: `0755`.
    pub mode: String,
    pub uid: u32,
    pub gid: u32,
    /// In bytes; of regular files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Of regular files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// What a symbolic link points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Extended attributes by full name, values in hex.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
    pub origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileType {
    Directory,
    File,
    Symlink,
}

/// A file written beside the manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Output {
    /// Its name in the output directory.
    pub file: String,
    /// In bytes.
    pub size: u64,
    pub sha256: Digest,
}

impl Output {
    /// A file of these bytes.
    pub fn of(file: &str, bytes: &[u8]) -> Output {
        Output {
            file: file.to_owned(),
            size: bytes.len() as u64,
            sha256: Digest::sha256(bytes),
        }
    }
}

impl Manifest {
    /// The manifest of `tree`; `digests` are those that the output's writer
    /// found of every regular file.
    pub fn new(
        image: Image,
        inputs: PinnedInputs,
        tree: &Tree,
        digests: &BTreeMap<ImagePath, Digest>,
        outputs: Vec<Output>,
    ) -> Result<Manifest> {
        let files = files(tree, digests)?;
        Ok(Manifest {
            version: VERSION,
            image,
            artifacts: inputs.artifacts,
            container_images: inputs.images,
            packages: inputs.packages,
            indexes: inputs.indexes,
            disk: None,
            files,
            outputs,
        })
    }

    /// The text of `manifest.json`.
    pub fn to_json(&self) -> Result<String> {
        json_text(serde_json::to_value(self).context("writing the manifest")?)
    }
}

/// JSON as `manifest.json` has it: in many lines, keys sorted.
pub fn json_text(value: Value) -> Result<String> {
    let text = serde_json::to_string_pretty(&sorted(value)).context("writing the manifest")?;
    Ok(text + "\n")
}

/// The text of `SHA256SUMS`, as `sha256sum -c` reads it
/// ([coreutils](https://www.gnu.org/software/coreutils/manual/html_node/cksum-output-modes.html)).
pub fn checksums(outputs: &[Output]) -> String {
    let by_name: BTreeMap<&str, &Digest> = outputs
        .iter()
        .map(|o| (o.file.as_str(), &o.sha256))
        .collect();
    let mut text = String::new();
    for (name, digest) in by_name {
        let quoted = name
            .replace('\\', "\\\\")
            .replace('\n', "\\n")
            .replace('\r', "\\r");
        let mark = if quoted == name { "" } else { "\\" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark}{}  {quoted}", digest.hex());
    }
    text
}

fn files(tree: &Tree, digests: &BTreeMap<ImagePath, Digest>) -> Result<Vec<File>> {
    tree.iter()
        .map(|(path, node)| file(path, node, digests))
        .collect()
}

fn file(path: &ImagePath, node: &Node, digests: &BTreeMap<ImagePath, Digest>) -> Result<File> {
    let mut entry = File {
        path: path.clone(),
        file_type: FileType::Directory,
        mode: format!("{:04o}", node.stat.mode),
        uid: node.stat.uid,
        gid: node.stat.gid,
        size: None,
        sha256: None,
        target: None,
        xattrs: BTreeMap::new(),
        origin: node.origin.clone(),
    };
    for (name, value) in &node.stat.xattrs {
        entry.xattrs.insert(name.clone(), hex(value));
    }
    match &node.kind {
        Kind::Directory => {}
        Kind::File(content) => {
            entry.file_type = FileType::File;
            entry.size = Some(content.len());
            let digest = digests
                .get(path)
                .with_context(|| format!("no output was written that holds `{path}`"))?;
            entry.sha256 = Some(digest.clone());
        }
        Kind::Symlink(target) => {
            entry.file_type = FileType::Symlink;
            entry.target = Some(target.clone());
        }
    }
    Ok(entry)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Sorts keys at every depth, whether or not some crate of the build switches
/// serde_json to insertion order.
pub fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> =
                map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(map.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests;

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
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image::boot::mounts::Mount;
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
    pub files: Vec<File>,
    pub outputs: Vec<Output>,
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
}

/// A Debian package, as the lock pins it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub suite: String,
    /// Where it stays for good.
    pub url: String,
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// What an image is made of, as the lock pins it.
#[derive(Debug, Default)]
pub struct Inputs {
    pub artifacts: Vec<Artifact>,
    pub images: Vec<ContainerImage>,
    pub packages: Vec<Package>,
}

/// One path of the image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct File {
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
        inputs: Inputs,
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
            files,
            outputs,
        })
    }

    /// The text of `manifest.json`.
    pub fn to_json(&self) -> Result<String> {
        let value = serde_json::to_value(self).context("writing the manifest")?;
        let text = serde_json::to_string_pretty(&sorted(value)).context("writing the manifest")?;
        Ok(text + "\n")
    }
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
fn sorted(value: Value) -> Value {
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::tree::Content;

    fn sample() -> (Tree, BTreeMap<ImagePath, Digest>) {
        let mut tree = Tree::default();
        let path = |text: &str| text.parse::<ImagePath>().unwrap();
        let mut node = Node::file(
            Content::inline(&b"x"[..]),
            0o4755,
            Origin::Artifact("runc".into()),
        );
        node.stat.xattrs.insert("user.a".into(), vec![0, 255]);
        tree.insert(path("/usr/bin/runc"), node).unwrap();
        tree.insert(path("/etc/l"), Node::symlink("x", Origin::FirstBoot))
            .unwrap();
        let digests = BTreeMap::from([(path("/usr/bin/runc"), Digest::sha256(b"x"))]);
        (tree, digests)
    }

    fn manifest() -> Manifest {
        let (tree, digests) = sample();
        let image = Image {
            name: "hard-way".into(),
            version: "1.36.0".into(),
            arch: Arch::Arm64,
            recipe: Digest::sha256(b"recipe"),
            epoch: Epoch(7),
            writable: Vec::new(),
            mounts: Vec::new(),
        };
        let artifact = Artifact {
            name: "runc".into(),
            version: "1.4.3".into(),
            url: "https://example.org/runc".into(),
            sha256: Some(Digest::sha256(b"x")),
            sha512: None,
            size: Some(1),
        };
        let inputs = Inputs {
            artifacts: vec![artifact],
            images: vec![ContainerImage {
                name: "pause".into(),
                image: "example.org/pause:1".into(),
                digest: Digest::sha256(b"index"),
                manifest: Digest::sha256(b"manifest"),
                names: vec!["example.org/pause:1".into()],
                size: 9,
            }],
            packages: vec![Package {
                name: "libc6".into(),
                version: "2.41-12".into(),
                suite: "trixie".into(),
                url: "https://example.org/libc6.deb".into(),
                sha256: Digest::sha256(b"deb"),
                size: 3,
            }],
        };
        Manifest::new(image, inputs, &tree, &digests, vec![]).unwrap()
    }

    #[test]
    fn the_text_is_sorted_and_reads_back() {
        let text = manifest().to_json().unwrap();
        assert!(text.ends_with("}\n"));
        let keys: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("  \"")?.split('"').next())
            .collect();
        assert_eq!(
            keys,
            [
                "artifacts",
                "container_images",
                "files",
                "image",
                "outputs",
                "packages",
                "version"
            ]
        );
        let back: Manifest = serde_json::from_str(&text).unwrap();
        assert_eq!(back, manifest());
    }

    #[test]
    fn every_sort_of_path_has_its_fields() {
        let lines: Vec<String> = manifest()
            .files
            .iter()
            .map(|file| {
                serde_json::to_string(&sorted(serde_json::to_value(file).unwrap())).unwrap()
            })
            .collect();
        let digest = Digest::sha256(b"x");
        let directory = |path: &str| {
            format!(
                r#"{{"gid":0,"mode":"0755","origin":{{"kind":"implied"}},"path":"{path}","type":"directory","uid":0}}"#
            )
        };
        let want = [
            directory("/"),
            directory("/etc"),
            r#"{"gid":0,"mode":"0777","origin":{"kind":"first-boot"},"path":"/etc/l","target":"x","type":"symlink","uid":0}"#
                .to_owned(),
            directory("/usr"),
            directory("/usr/bin"),
            format!(
                r#"{{"gid":0,"mode":"4755","origin":{{"kind":"artifact","name":"runc"}},"path":"/usr/bin/runc","sha256":"{digest}","size":1,"type":"file","uid":0,"xattrs":{{"user.a":"00ff"}}}}"#
            ),
        ];
        assert_eq!(lines, want);
    }

    #[test]
    fn a_file_that_no_output_holds_is_an_error() {
        let (tree, _) = sample();
        let error = files(&tree, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("/usr/bin/runc"), "{error}");
    }

    #[test]
    fn sha256sum_accepts_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["overlay.tar.zst", "manifest.json", "odd\\name\nhere"];
        let outputs = names.map(|name| {
            fs::write(dir.path().join(name), name).unwrap();
            Output {
                file: name.into(),
                size: name.len() as u64,
                sha256: Digest::sha256(name.as_bytes()),
            }
        });
        let text = checksums(&outputs);
        assert!(
            text.starts_with(Digest::sha256(names[1].as_bytes()).hex()),
            "{text}"
        );
        fs::write(dir.path().join("SHA256SUMS"), text).unwrap();
        let check = || {
            Command::new("sha256sum")
                .args(["--strict", "-c", "SHA256SUMS"])
                .current_dir(dir.path())
                .output()
                .unwrap()
        };
        assert!(check().status.success(), "{:?}", check());
        fs::write(dir.path().join(names[0]), "other").unwrap();
        assert!(!check().status.success());
    }
}

//! Container images made in code: their documents, an OCI layout of them, and
//! the tar that `docker save` would write.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Every blob of some images, by digest.
#[derive(Clone, Default)]
pub struct Blobs(pub BTreeMap<String, Vec<u8>>);

/// `sha256:...` of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// A tar of one program.
pub fn layer_tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_mode(0o755);
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// The configuration of an image with these layers.
pub fn config(architecture: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": { "Entrypoint": ["/pause"] },
        "rootfs": { "type": "layers", "diff_ids": ids },
    });
    serde_json::to_vec(&config).unwrap()
}

impl Blobs {
    /// Adds a blob; its descriptor.
    pub fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let name = digest(&bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": name, "size": bytes.len() });
        self.0.insert(name, bytes);
        descriptor
    }

    /// Adds an image of one program; its manifest's descriptor.
    pub fn image(&mut self, architecture: &str, program: &[u8]) -> Value {
        self.image_of(architecture, &[layer_tar("pause", program)])
    }

    /// Adds an image of these layers, each a tar, the lowest first; its manifest's
    /// descriptor.
    pub fn image_of(&mut self, architecture: &str, layers: &[Vec<u8>]) -> Value {
        let config = self.add(CONFIG, config(architecture, layers));
        let layers: Vec<Value> = layers
            .iter()
            .map(|tar| self.add(LAYER, gzip(tar)))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let mut found = self.add(MANIFEST, serde_json::to_vec(&manifest).unwrap());
        found["platform"] = json!({ "os": "linux", "architecture": architecture });
        found
    }

    /// Adds an index of them; its descriptor.
    pub fn index(&mut self, manifests: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        self.add(INDEX, serde_json::to_vec(&index).unwrap())
    }

    /// An image for both architectures; the digest of its index.
    pub fn both(&mut self, program: &str) -> String {
        let of = |arch: &str| format!("{program} {arch}");
        let amd64 = self.image("amd64", of("amd64").as_bytes());
        let arm64 = self.image("arm64", of("arm64").as_bytes());
        let index = self.index(&[amd64, arm64]);
        index["digest"].as_str().unwrap().to_owned()
    }

    /// Writes an OCI layout whose index has these descriptors.
    pub fn layout(&self, directory: &Path, manifests: &[Value]) {
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        for (name, bytes) in &self.0 {
            let hex = name.strip_prefix("sha256:").unwrap();
            fs::write(directory.join("blobs/sha256").join(hex), bytes).unwrap();
        }
        fs::write(
            directory.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        fs::write(directory.join("index.json"), index.to_string()).unwrap();
    }
}

/// A tar of these members.
pub fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// What `docker save` writes of an image of one program under each of `tags`.
pub fn saved(architecture: &str, tags: &[&str], program: &[u8]) -> Vec<u8> {
    let layer = layer_tar("pause", program);
    let config = config(architecture, std::slice::from_ref(&layer));
    let manifest = json!([{
        "Config": "config.json", "RepoTags": tags, "Layers": ["one/layer.tar"],
    }]);
    tar_of(&[
        ("config.json", &config),
        ("one/layer.tar", &layer),
        ("manifest.json", manifest.to_string().as_bytes()),
    ])
}

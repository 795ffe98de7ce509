//! Registries with and without a login.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nodeimg_formats::update::{
    ARTIFACT_TYPE, ENVELOPE_LAYER, PAYLOAD_TYPE, ROOT_LAYER, UKI_LAYER, VERITY_LAYER,
};
use nodeimg_test_support::faulty_server::Server;
use nodeimg_test_support::registry_server::{Auth, Registry as RegistryServer};
use nodeimg_update::source::login::{self, Logins};
use nodeimg_update::source::registry::Registry;
use nodeimg_update::source::{Image, Source};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fixture::{QUICK, Version, hex};
use crate::servers::{B, IMAGE, new, updated};

/// What `nodeimg publish` sends.
pub struct Pieces {
    /// By digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// The digest of the index.
    pub top: String,
}

pub fn published(version: &Version, envelope: Option<&str>) -> Pieces {
    let manifest = version.manifest();
    let mut blobs = BTreeMap::new();
    let mut put = |bytes: &[u8]| {
        let digest = format!("sha256:{}", hex(&Sha256::digest(bytes)));
        blobs.insert(digest.clone(), bytes.to_vec());
        digest
    };
    let mut descriptor = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": put(bytes), "size": bytes.len()});
    let mut layers = vec![
        descriptor(UKI_LAYER, &zstd::encode_all(&version.uki[..], 3).unwrap()),
        descriptor(ROOT_LAYER, &version.root),
        descriptor(VERITY_LAYER, &version.tree),
    ];
    if let Some(envelope) = envelope {
        layers.push(descriptor(ENVELOPE_LAYER, envelope.as_bytes()));
    }
    let oci = "application/vnd.oci.image.manifest.v1+json";
    let document = json!({
        "schemaVersion": 2, "mediaType": oci, "artifactType": ARTIFACT_TYPE,
        "config": descriptor(PAYLOAD_TYPE, &serde_json::to_vec(&manifest).unwrap()),
        "layers": layers,
    });
    let mut update = descriptor(oci, &serde_json::to_vec(&document).unwrap());
    update["artifactType"] = ARTIFACT_TYPE.into();
    update["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let mut disk = update.clone();
    disk["artifactType"] = "application/vnd.nodeimg.disk.v1".into();
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [disk, update],
    });
    let top = put(&serde_json::to_vec(&index).unwrap());
    Pieces { blobs, top }
}

/// The blobs, on a server that knows ranges.
pub fn blobs_at(server: &Server) {
    let Pieces { blobs, .. } = published(&new(), Some("an envelope"));
    for (digest, bytes) in &blobs {
        server.serve(&format!("/v2/fleet/node/blobs/{digest}"), bytes);
    }
}

pub fn registry(auth: Auth, elsewhere: Option<String>) -> RegistryServer {
    let server = RegistryServer::start_with(auth, elsewhere);
    let Pieces { blobs, top } = published(&new(), Some("an envelope"));
    for tag in ["stable", "1.1-20261201"] {
        server.serve("fleet/node", &blobs, tag, &top);
    }
    let tags = json!({"tags": ["stable", "0.9", "1.1-20261201", "1.1-20261201-update", "1.1-20261201-arm64", "key-12"]});
    server.put("/v2/fleet/node/tags/list", tags.to_string().as_bytes());
    server
}

fn at(server: &RegistryServer, tag: &str, logins: Logins) -> Registry {
    let name = format!("{}/fleet/node{tag}", server.address());
    Registry::open(&name, b"", logins, QUICK).unwrap()
}

fn logins(server: &RegistryServer, dir: &Path, login: &str) -> Logins {
    use base64::Engine;
    let auth = base64::engine::general_purpose::STANDARD.encode(login);
    let file = dir.join("config.json");
    let host = server.address().to_string();
    fs::write(&file, json!({"auths": {host: {"auth": auth}}}).to_string()).unwrap();
    login::of_node(Some(&file), &[]).unwrap()
}

#[test]
fn a_registry_gives_an_update_by_tag_and_lists_versions() {
    let server = registry(Auth::Open, None);
    let source = at(&server, ":stable", Logins::default());
    assert_eq!(source.versions(IMAGE).unwrap(), ["1.1-20261201"]);
    let document = source.manifest(IMAGE, "1.1-20261201").unwrap();
    assert_eq!(document.envelope.as_deref(), Some("an envelope"));
    let manifest = serde_json::from_slice(&document.plain.unwrap()).unwrap();
    assert_eq!(updated(&source, &manifest).unwrap().fetched, 25 * B);
    let source = at(&server, "", Logins::default());
    assert_eq!(source.versions(IMAGE).unwrap(), ["1.1-20261201"]);
    source.manifest(IMAGE, "1.1-20261201").unwrap();
    updated(&source, &manifest).unwrap();
    let pinned = format!("{}/fleet/node@sha256:{}", server.address(), "ab".repeat(32));
    let refused = Registry::open(&pinned, b"", Logins::default(), QUICK)
        .err()
        .unwrap();
    assert!(
        refused.to_string().contains("pinned to a digest"),
        "{refused:#}"
    );
    let arm = Image {
        architecture: "arm64",
        ..IMAGE
    };
    let error = at(&server, ":stable", Logins::default())
        .versions(arm)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is not an update of arm64 nodes"),
        "{error:#}"
    );
}

#[test]
fn a_registry_lets_in_by_token_and_password() {
    let dir = tempfile::tempdir().unwrap();
    let basic = "Basic bm9kZTpzZWNyZXQ=".to_owned();
    for auth in [
        Auth::Token(None),
        Auth::Token(Some(basic.clone())),
        Auth::Basic(basic),
    ] {
        let server = registry(auth.clone(), None);
        let source = at(
            &server,
            ":stable",
            logins(&server, dir.path(), "node:secret"),
        );
        assert_eq!(
            source.versions(IMAGE).unwrap(),
            ["1.1-20261201"],
            "{auth:?}"
        );
        server.tokens_for(3);
        updated(&source, &new().manifest()).unwrap();
        if auth == Auth::Token(None) {
            let source = at(&server, ":stable", Logins::default());
            source.versions(IMAGE).unwrap();
            continue;
        }
        let wrong = logins(&server, dir.path(), "node:wrong-password");
        let error = at(&server, ":stable", wrong).versions(IMAGE).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains("does not let this node in"),
            "{auth:?}: {error}"
        );
        assert!(!error.contains("wrong-password"), "{error}");
    }
}

#[test]
fn blobs_elsewhere_get_no_token() {
    let elsewhere = Server::start_at("127.0.0.2");
    blobs_at(&elsewhere);
    let server = registry(Auth::Token(None), Some(elsewhere.url("")));
    let source = at(&server, ":stable", Logins::default());
    source.versions(IMAGE).unwrap();
    updated(&source, &new().manifest()).unwrap();
    let there = elsewhere.seen();
    assert!(
        there.len() > 3
            && there
                .iter()
                .all(|it| !it.headers.contains_key("authorization"))
    );
}

#[test]
fn a_document_that_is_not_what_its_digest_says_is_refused() {
    let server = registry(Auth::Open, None);
    let Pieces { blobs, top } = published(&new(), Some("an envelope"));
    for digest in blobs.keys().filter(|digest| **digest != top) {
        let server = registry(Auth::Open, None);
        for kind in ["manifests", "blobs"] {
            let mut bytes = blobs[digest].clone();
            let last = bytes.len() - 2;
            bytes[last] ^= 1;
            server.put(&format!("/v2/fleet/node/{kind}/{digest}"), &bytes);
        }
        let source = at(&server, ":stable", Logins::default());
        let read = source
            .versions(IMAGE)
            .and_then(|_| updated(&source, &new().manifest()));
        let is_last_block = blobs[digest] == new().root;
        assert!(read.is_err(), "{digest} {is_last_block}");
    }
    server.put("/v2/fleet/node/manifests/stable", b"{\"schemaVersion\":2}");
    let error = at(&server, ":stable", Logins::default())
        .versions(IMAGE)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is not an update of amd64 nodes"),
        "{error:#}"
    );
}

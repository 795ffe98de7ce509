//! Servers that cut, lie, are slow, and know no ranges; registries with and without a login.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nodeimg_formats::update::{
    ARTIFACT_TYPE, ENVELOPE_LAYER, Manifest, PAYLOAD_TYPE, ROOT_LAYER, UKI_LAYER, VERITY_LAYER,
};
use nodeimg_test_support::faulty_server::{Fault, Server, faulty, good};
use nodeimg_test_support::registry_server::{Auth, Registry as RegistryServer};
use nodeimg_update::engine::Moved;
use nodeimg_update::source::http::Http;
use nodeimg_update::source::login::{self, Logins};
use nodeimg_update::source::registry::Registry;
use nodeimg_update::source::{Image, Source};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fixture::{BLOCK, Machine, QUICK, Version, hex};
use crate::model::boot;

const B: u64 = BLOCK as u64;
const IMAGE: Image<'_> = Image {
    id: "node",
    architecture: "amd64",
};

fn old() -> Version {
    Version::of("1.0-20261101", 100..160)
}

/// Blocks are new at three places that are far enough apart for a range each.
fn new() -> Version {
    let blocks = (900..910)
        .chain(110..125)
        .chain(910..915)
        .chain(130..150)
        .chain(920..930);
    Version::of("1.1-20261201", blocks)
}

/// A server with an update's files, and what it has of the root.
fn served(version: &Version) -> (Server, Manifest, String) {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let manifest = version.publish(dir.path());
    let mut sums = String::new();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        sums += &format!("{}  {name}\n", hex(&Sha256::digest(&bytes)));
        server.serve(&format!("/updates/{name}"), &bytes);
    }
    sums += "0000  node_9.9_arm64.update.json\n0000 *other_9.9_amd64.update.json\n0000  README\n";
    server.serve("/updates/SHA256SUMS", sums.as_bytes());
    let root = format!("/updates/{}.root.raw", version.stem());
    (server, manifest, root)
}

fn open(server: &Server) -> Http {
    Http::open(&server.url("/updates"), b"", QUICK).unwrap()
}

fn updated(source: &dyn Source, manifest: &Manifest) -> anyhow::Result<Moved> {
    let machine = Machine::running(&old());
    let moved = machine.install(manifest, source);
    let booted = boot(&machine.disk, machine.size).unwrap();
    let is_new = booted.entry.contains("1.1");
    assert_eq!(is_new, moved.is_ok());
    moved
}

#[test]
fn a_web_server_lists_versions_and_gives_ranges() {
    let (server, manifest, root) = served(&new());
    let source = open(&server);
    assert_eq!(source.versions(IMAGE).unwrap(), ["1.1-20261201"]);
    let document = source.manifest(IMAGE, "1.1-20261201").unwrap();
    let read: Manifest = serde_json::from_slice(&document.plain.unwrap()).unwrap();
    assert_eq!(read, manifest);
    let moved = updated(&source, &manifest).unwrap();
    assert_eq!((moved.copied, moved.fetched), (35 * B, 25 * B));
    let asked: Vec<String> = server
        .seen()
        .iter()
        .filter(|request| request.target == root)
        .map(|request| request.headers["range"].clone())
        .collect();
    let range = |from: u64, to: u64| format!("bytes={}-{}", from * B, to * B - 1);
    let mut want = vec![range(0, 10), range(25, 30), range(50, 60)];
    assert_eq!(asked.first(), want.first());
    let mut asked = asked;
    asked.sort();
    want.sort();
    assert_eq!(asked, want);
}

#[test]
fn faults_that_pass_are_survived_without_losing_what_came() {
    let slow = Fault::Slow(1000, Duration::from_millis(1));
    let faults: Vec<(&str, Vec<Fault>)> = vec![
        ("cut", vec![Fault::Cut(5 * BLOCK + 7), Fault::Cut(BLOCK)]),
        ("busy", vec![Fault::Status(503), Fault::Status(429)]),
        (
            "short",
            vec![Fault::ShortRange(3 * BLOCK), Fault::ShortRange(100 + BLOCK)],
        ),
        ("garbage", vec![Fault::Garbage]),
        ("no length", vec![Fault::UnframedCut(2 * BLOCK)]),
        ("slow", vec![slow]),
        ("chunked", vec![Fault::Chunked; 3]),
        ("without ranges", vec![Fault::IgnoreRange; 3]),
        (
            "without ranges, cut",
            vec![Fault::UnframedCut(BLOCK), Fault::IgnoreRange],
        ),
    ];
    for (what, faults) in faults {
        let version = new();
        let (server, manifest, root) = served(&version);
        let answers = faults.into_iter().map(|fault| faulty(&version.root, fault));
        server.script(&root, answers.chain([good(&version.root)]).collect());
        let moved = updated(&open(&server), &manifest);
        let moved = moved.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert_eq!(moved.fetched, 25 * B, "{what}");
    }
}

#[test]
fn a_server_without_ranges_is_asked_once() {
    let version = new();
    let (server, manifest, root) = served(&version);
    server.script(&root, vec![faulty(&version.root, Fault::IgnoreRange)]);
    updated(&open(&server), &manifest).unwrap();
    let asked = server.seen();
    assert_eq!(asked.iter().filter(|it| it.target == root).count(), 1);
}

#[test]
fn servers_that_lie_are_told_of_and_nothing_of_theirs_boots() {
    let version = new();
    let mut other = version.root.clone();
    other[3 * BLOCK + 5] ^= 1;
    let body = &version.root;
    let cases = [
        (faulty(&other, Fault::None), "block 3 of the root"),
        (faulty(&other, Fault::IgnoreRange), "block 3 of the root"),
        (
            faulty(body, Fault::ContentRange("bytes 4096-8191/9".to_owned())),
            "another range",
        ),
        (faulty(body, Fault::Encoded("gzip")), "Content-Encoding"),
        (faulty(body, Fault::Status(404)), "does not have it"),
        (
            faulty(body, Fault::Status(403)),
            "does not let this node in",
        ),
        (faulty(body, Fault::Status(500)), "gave up after 3 attempts"),
        (
            faulty(&body[..5 * BLOCK], Fault::None),
            "shorter than its manifest",
        ),
        (
            faulty(b"", Fault::Redirect("/updates/elsewhere".to_owned())),
            "does not have it",
        ),
    ];
    for (answer, why) in cases {
        let (server, manifest, root) = served(&version);
        server.script(&root, vec![answer]);
        let error = format!("{:#}", updated(&open(&server), &manifest).unwrap_err());
        assert!(error.contains(why), "{why}: {error}");
        assert!(error.contains("127.0.0.1"), "{error}");
    }
}

#[test]
fn a_redirect_is_followed_without_the_login() {
    let version = new();
    let (server, manifest, root) = served(&version);
    let elsewhere = Server::start_at("127.0.0.2");
    elsewhere.serve("/blob", &version.root);
    server.script(
        &root,
        vec![faulty(b"", Fault::Redirect(elsewhere.url("/blob")))],
    );
    let url = server
        .url("/updates/")
        .replace("http://", "http://me:pass%40word@");
    let source = Http::open(&url, b"", QUICK).unwrap();
    assert!(!source.name().contains("me:"), "{}", source.name());
    updated(&source, &manifest).unwrap();
    assert!(
        server
            .seen()
            .iter()
            .all(|it| it.headers["authorization"] == "Basic bWU6cGFzc0B3b3Jk")
    );
    let there = elsewhere.seen();
    assert!(
        !there.is_empty()
            && there
                .iter()
                .all(|it| !it.headers.contains_key("authorization"))
    );
}

#[test]
fn a_cut_update_goes_on_where_it_was() {
    let version = new();
    let (server, manifest, root) = served(&version);
    let cut = |bytes| faulty(&version.root, Fault::Cut(bytes));
    server.script(
        &root,
        vec![cut(6 * BLOCK), cut(0), cut(0), cut(0), good(&version.root)],
    );
    let machine = Machine::running(&old());
    machine.install(&manifest, &open(&server)).unwrap_err();
    let moved = machine.install(&manifest, &open(&server)).unwrap();
    // What was copied or fetched by the first run is in place.
    assert_eq!(
        (moved.kept, moved.copied, moved.fetched),
        (41 * B, 0, 19 * B)
    );
    assert!(
        boot(&machine.disk, machine.size)
            .unwrap()
            .entry
            .contains("1.1")
    );
}

/// What `nodeimg publish` sends, by digest.
fn published(version: &Version, envelope: Option<&str>) -> (BTreeMap<String, Vec<u8>>, String) {
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
    (blobs, top)
}

fn registry(auth: Auth, elsewhere: Option<String>) -> RegistryServer {
    let server = RegistryServer::start_with(auth, elsewhere);
    let (blobs, top) = published(&new(), Some("an envelope"));
    for tag in ["stable", "1.1-20261201"] {
        server.serve("fleet/node", &blobs, tag, &top);
    }
    let tags = json!({"tags": ["stable", "0.9", "1.1-20261201", "1.1-20261201-update", "key-12"]});
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
    assert_eq!(source.versions(IMAGE).unwrap(), ["0.9", "1.1-20261201"]);
    source.manifest(IMAGE, "1.1-20261201").unwrap();
    updated(&source, &manifest).unwrap();
    let arm = Image {
        architecture: "arm64",
        ..IMAGE
    };
    let error = at(&server, ":stable", Logins::default())
        .versions(arm)
        .unwrap_err();
    assert!(
        error.to_string().contains("has no update for arm64"),
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
    let (blobs, _) = published(&new(), Some("an envelope"));
    for (digest, bytes) in &blobs {
        elsewhere.serve(&format!("/v2/fleet/node/blobs/{digest}"), bytes);
    }
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
    let (blobs, top) = published(&new(), Some("an envelope"));
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
        error.to_string().contains("is not an update of a node"),
        "{error:#}"
    );
}

#[test]
fn https_needs_an_authority_of_the_node() {
    let (port, certificate) = nodeimg_test_support::tls_server::tls_server(&["127.0.0.1"]);
    let url = format!("https://127.0.0.1:{port}/");
    let known = Http::open(&url, certificate.as_bytes(), QUICK).unwrap();
    assert!(known.versions(IMAGE).unwrap().is_empty());
    let error = Http::open(&url, b"", QUICK)
        .unwrap()
        .versions(IMAGE)
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("ca-certificates.crt"), "{error}");
    assert!(!error.contains("attempts"), "{error}");
}

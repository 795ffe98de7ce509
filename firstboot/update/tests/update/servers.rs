//! Servers that cut, lie, are slow, and know no ranges.

use std::fs;
use std::time::Duration;

use nodeimg_formats::update::Manifest;
use nodeimg_test_support::faulty_server::{Fault, Server, faulty, good};
use nodeimg_update::engine::Moved;
use nodeimg_update::source::http::Http;
use nodeimg_update::source::{Image, Source};
use sha2::{Digest, Sha256};

use crate::fixture::{BLOCK, Machine, QUICK, Version, hex};
use crate::model::boot;

pub const B: u64 = BLOCK as u64;
pub const IMAGE: Image<'_> = Image {
    id: "node",
    architecture: "amd64",
};

pub fn old() -> Version {
    Version::of("1.0-20261101", 100..160)
}

/// Blocks are new at three places that are far enough apart for a range each.
pub fn new() -> Version {
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

pub fn updated(source: &dyn Source, manifest: &Manifest) -> anyhow::Result<Moved> {
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

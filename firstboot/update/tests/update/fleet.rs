//! A hundred nodes that update from one registry at the same time.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nodeimg_test_support::faulty_server::Server;
use nodeimg_test_support::registry_server::Auth;
use sha2::{Digest, Sha256};

use crate::fixture::{Machine, hex};
use crate::model::boot;
use crate::registries::{blobs_at, registry};
use crate::servers::{B, new, old};

const NODES: usize = 100;

/// A node's file system, and a sparse copy of the disk.
fn node(at: &Path, disk: &Path, number: usize) {
    let put = |path: &str, text: &str| {
        let path = at.join("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let version = old();
    let release = format!("IMAGE_ID=node\nIMAGE_VERSION={}\n", version.version);
    put("usr/lib/os-release", &release);
    put("proc/cmdline", &format!("roothash={}\n", version.hash));
    put("etc/machine-id", &format!("{number:032x}\n"));
    let copied = Command::new("cp")
        .arg("--sparse=always")
        .args([disk, &at.join("disk")])
        .status()
        .unwrap();
    assert!(copied.success());
}

fn start(at: &Path, source: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_nodeimg-update"))
        .args(["apply", source, "--json", "--root"])
        .arg(at.join("root"))
        .arg("--disk")
        .arg(at.join("disk"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Each node fetches what it lacks and no byte more, whatever the others do.
#[test]
fn a_hundred_nodes_update_from_one_registry() {
    let template = Machine::running(&old());
    let folder = tempfile::tempdir().unwrap();
    let places: Vec<_> = (0..NODES)
        .map(|number| folder.path().join(format!("node-{number}")))
        .collect();
    for (number, at) in places.iter().enumerate() {
        node(at, &template.path(), number);
    }
    // As large registries do, it sends who wants a blob elsewhere, which knows ranges.
    let blobs = Server::start();
    blobs_at(&blobs);
    let server = registry(Auth::Open, Some(blobs.url("")));
    let source = format!("oci://{}/fleet/node:stable", server.address());
    let began = Instant::now();
    let running: Vec<Child> = places.iter().map(|at| start(at, &source)).collect();
    for (at, child) in places.iter().zip(running) {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}{errors}", at.display());
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["bytes"]["fetched"], 25 * B, "{}", at.display());
        let disk = fs::File::open(at.join("disk")).unwrap();
        let booted = boot(&disk, template.size).unwrap();
        assert!(booted.entry.contains("1.1"), "{}", at.display());
    }
    let seen = blobs.seen();
    let digest = hex(&Sha256::digest(&new().root));
    let of_root = |target: &str| target.ends_with(&digest);
    let ranges = seen
        .iter()
        .filter(|request| of_root(&request.target))
        .map(|request| &request.headers["range"]);
    let bytes: u64 = ranges
        .map(|range| {
            let range = range.strip_prefix("bytes=").unwrap();
            let (from, to) = range.split_once('-').unwrap();
            to.parse::<u64>().unwrap() - from.parse::<u64>().unwrap() + 1
        })
        .sum();
    println!(
        "{NODES} nodes: {bytes} bytes of roots in {} requests, {:.1} s",
        seen.len(),
        began.elapsed().as_secs_f64()
    );
    assert_eq!(bytes, NODES as u64 * 25 * B);
    // Configuration, envelope, UKI, tree, and three ranges; index and manifest before them.
    assert!(seen.len() <= NODES * 8, "{} requests of blobs", seen.len());
    let asked = server.asked().len() - seen.len();
    assert!(asked <= NODES * 5, "{asked} requests of documents");
}

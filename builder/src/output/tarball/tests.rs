#![allow(clippy::unwrap_used)]
use std::fs;
use std::process::Command;
use std::sync::Arc;

use nodeimg_values::digest::Expected;

use super::*;
use crate::store::Store;
use crate::tree::Origin;

const EPOCH: Epoch = Epoch(1_700_000_000);

fn path(text: &str) -> ImagePath {
    text.parse().unwrap()
}

fn origin() -> Origin {
    Origin::Overlay("test".to_owned())
}

fn file(bytes: &[u8], mode: u32) -> Node {
    Node::file(Content::inline(bytes), mode, origin())
}

/// A tree with one of everything.
fn nodes() -> Vec<(ImagePath, Node)> {
    let long = format!("/srv/{}/file", "d".repeat(120));
    let mut capable = file(b"\x7fELF", 0o4755);
    capable.stat.xattrs.insert(
        "security.capability".to_owned(),
        vec![1, b'\n', 0, b'\n', b'\n', 2],
    );
    let mut owned = file(b"x", 0o640);
    (owned.stat.uid, owned.stat.gid) = (3_000_000, 42);
    vec![
        (path("/etc/hosts"), file(b"127.0.0.1 localhost\n", 0o644)),
        (path("/etc/empty"), file(b"", 0o644)),
        (
            path("/etc/a\u{308}"),
            Node::symlink("../usr/bin/ping", origin()),
        ),
        (path("/usr/bin/ping"), capable),
        (path("/var/lib/owned"), owned),
        (path("/var/tmp"), Node::directory(0o1777, origin())),
        (path(&long), file(&[7; 513], 0o600)),
    ]
}

fn tree(nodes: impl IntoIterator<Item = (ImagePath, Node)>) -> Tree {
    let mut tree = Tree::default();
    for (path, node) in nodes {
        tree.insert(path, node).unwrap();
    }
    tree
}

fn with_workers(tree: &Tree, to: &Path, workers: u32) -> Written {
    let workers = NonZeroU32::new(workers).unwrap();
    let how = Compression {
        level: LEVEL,
        workers,
    };
    write_with(tree, EPOCH, to, how).unwrap()
}

/// `true` if a test's judge is there; missing, it fails in CI.
fn judge(name: &str) -> bool {
    let there = Command::new(name).arg("--version").output().is_ok();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        eprintln!("skipped: {name} is not installed");
    }
    there
}

#[test]
fn gnu_tar_lists_it_as_the_tree_says() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("overlay.tar.zst");
    let written = write(&tree(nodes()), EPOCH, &to, LEVEL).unwrap();
    let bytes = fs::read(&to).unwrap();
    assert_eq!(written.sha256, Digest::sha256(&bytes));
    assert_eq!(written.size, bytes.len() as u64);
    assert_eq!(
        written.digests[&path("/etc/hosts")],
        Digest::sha256(b"127.0.0.1 localhost\n")
    );
    assert_eq!(written.digests.len(), 5);
    if !(judge("tar") && judge("zstd")) {
        return;
    }
    let listed = Command::new("tar")
        .args([
            "--zstd",
            "--numeric-owner",
            "--quoting-style=literal",
            "--full-time",
            "-tvf",
        ])
        .arg(&to)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(
        listed.status.success() && listed.stderr.is_empty(),
        "{listed:?}"
    );
    let text = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .map(|line| line.replace("2023-11-14 22:13:20 ", ""))
        .collect();
    let long = format!("srv/{}/", "d".repeat(120));
    assert_eq!(
        lines,
        [
            "drwxr-xr-x 0/0 0 etc/",
            "lrwxrwxrwx 0/0 0 etc/a\u{308} -> ../usr/bin/ping",
            "-rw-r--r-- 0/0 0 etc/empty",
            "-rw-r--r-- 0/0 20 etc/hosts",
            "drwxr-xr-x 0/0 0 srv/",
            &format!("drwxr-xr-x 0/0 0 {long}"),
            &format!("-rw------- 0/0 513 {long}file"),
            "drwxr-xr-x 0/0 0 usr/",
            "drwxr-xr-x 0/0 0 usr/bin/",
            "-rwsr-xr-x 0/0 4 usr/bin/ping",
            "drwxr-xr-x 0/0 0 var/",
            "drwxr-xr-x 0/0 0 var/lib/",
            "-rw-r----- 3000000/42 1 var/lib/owned",
            "drwxrwxrwt 0/0 0 var/tmp/",
        ]
    );
}

#[test]
fn python_reads_contents_and_attributes_back() {
    if !judge("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut plain = Vec::new();
    let digests = write_tree(&tree(nodes()), EPOCH, &mut plain).unwrap();
    let to = dir.path().join("x.tar");
    fs::write(&to, &plain).unwrap();
    let script = "import hashlib, sys, tarfile\n\
        t = tarfile.open(sys.argv[1], 'r:')\n\
        for m in t:\n    \
            caps = m.pax_headers.get('SCHILY.xattr.security.capability', '').encode('utf-8', 'surrogateescape').hex()\n    \
            digest = hashlib.sha256(t.extractfile(m).read()).hexdigest() if m.isfile() else ''\n    \
            print(m.name, digest, caps)\n";
    let out = Command::new("python3")
        .args(["-c", script])
        .arg(&to)
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    for (path, digest) in &digests {
        let line = format!("{} {} ", path.relative(), digest.hex());
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(
        text.lines()
            .any(|l| l.starts_with("usr/bin/ping") && l.ends_with("010a000a0a02")),
        "{text}"
    );
}

#[test]
fn the_bytes_are_pinned_and_the_order_of_insertion_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let forward = write(&tree(nodes()), EPOCH, &dir.path().join("a"), LEVEL).unwrap();
    let backward = write(
        &tree(nodes().into_iter().rev()),
        EPOCH,
        &dir.path().join("b"),
        LEVEL,
    )
    .unwrap();
    assert_eq!(forward.sha256, backward.sha256);
    let mut plain = Vec::new();
    write_tree(&tree(nodes()), EPOCH, &mut plain).unwrap();
    // A change of this digest is a change of every image's bytes.
    assert_eq!(Digest::sha256(&plain).hex(), PINNED);
    let later = write(
        &tree(nodes()),
        Epoch(EPOCH.0 + 1),
        &dir.path().join("c"),
        LEVEL,
    )
    .unwrap();
    assert_ne!(forward.sha256, later.sha256);
}

const PINNED: &str = "f54140f4642a1dec34427d373ca126f9753f1f684c384c89d4b527cf8f90f9c3";

/// Bytes that compress like programs do: repeats, near and far, in noise.
fn program(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut bytes = Vec::with_capacity(len + 64);
    while bytes.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let back = (state >> 20) as usize % (1 << 20) + 64;
        match bytes.len().checked_sub(back) {
            Some(from) if state >> 62 != 0 => bytes.extend_from_within(from..from + 48),
            _ => bytes.extend_from_slice(&state.to_be_bytes()),
        }
    }
    bytes
}

#[test]
fn the_number_of_workers_changes_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    // Several jobs' worth, in pieces that do not fit the jobs.
    let bytes = program(5 * JOB as usize + 12_345);
    let mut tree = tree(nodes());
    tree.insert(path("/usr/bin/large"), file(&bytes, 0o755))
        .unwrap();
    for (name, part) in bytes.chunks(777_777).take(9).enumerate() {
        tree.insert(path(&format!("/opt/{name}")), file(part, 0o755))
            .unwrap();
    }
    let one = with_workers(&tree, &dir.path().join("one"), 1);
    for workers in [2, 3, 4, 8] {
        let many = with_workers(&tree, &dir.path().join("many"), workers);
        assert_eq!(one.sha256, many.sha256, "{workers} workers");
    }
    // Else this test would show nothing: one job, or none compressed.
    assert!(
        one.size > 1_000_000 && one.size < bytes.len() as u64,
        "{}",
        one.size
    );
    let mut single = zstd::Encoder::new(Vec::new(), LEVEL).unwrap();
    write_tree(&tree, EPOCH, &mut single).unwrap();
    assert_ne!(Digest::sha256(&single.finish().unwrap()), one.sha256);
}

#[test]
fn the_frame_has_a_checksum_and_any_decoder_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("x");
    write(&tree(nodes()), EPOCH, &to, LEVEL).unwrap();
    let mut bytes = fs::read(&to).unwrap();
    assert_eq!(
        bytes[4] & 4,
        4,
        "RFC 8878, 3.1.1.1.1: Content_Checksum_flag"
    );
    let mut plain = Vec::new();
    write_tree(&tree(nodes()), EPOCH, &mut plain).unwrap();
    assert_eq!(zstd::decode_all(&bytes[..]).unwrap(), plain);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert!(zstd::decode_all(&bytes[..]).is_err());
}

#[test]
fn a_source_that_changes_leaves_no_output() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let bytes = [1; 4096];
    let mut partial = store.partial("x", &[]).unwrap();
    partial.write(&bytes).unwrap();
    let want = Expected {
        sha256: Some(Digest::sha256(&bytes)),
        ..Expected::default()
    };
    let blob = partial.commit(&want).unwrap().unwrap();
    let name = blob.path().to_owned();
    let node = Node::file(
        Content::whole(Arc::new(blob)),
        0o755,
        Origin::Artifact("runc".into()),
    );
    fs::remove_file(&name).unwrap();
    let written = write(
        &tree([(path("/usr/bin/runc"), node.clone())]),
        EPOCH,
        &dir.path().join("ok"),
        LEVEL,
    );
    assert!(written.is_ok(), "an open blob outlives its name");
    let Kind::File(Content::Span { blob, .. }) = &node.kind else {
        panic!("no span");
    };
    let beyond = Content::Span {
        blob: Arc::clone(blob),
        offset: 4000,
        len: 97,
    };
    let node = Node::file(beyond, 0o755, Origin::Artifact("runc".into()));
    let error = write(
        &tree([(path("/usr/bin/runc"), node)]),
        EPOCH,
        &dir.path().join("bad"),
        LEVEL,
    )
    .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("`/usr/bin/runc` (from artifact `runc`)"),
        "{text}"
    );
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn an_owner_of_the_root_is_refused() {
    let tree = tree([(path("/"), Node::directory(0o700, origin()))]);
    let error = write_tree(&tree, EPOCH, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("overlay `test`"), "{error}");
}

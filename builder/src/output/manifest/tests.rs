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
        components: Vec::new(),
    };
    let artifact = Artifact {
        name: "runc".into(),
        version: "1.4.3".into(),
        url: "https://example.org/runc".into(),
        sha256: Some(Digest::sha256(b"x")),
        sha512: None,
        size: Some(1),
        vouch: Vouch::default(),
    };
    let inputs = PinnedInputs {
        artifacts: vec![artifact],
        images: vec![ContainerImage {
            name: "pause".into(),
            image: "example.org/pause:1".into(),
            digest: Digest::sha256(b"index"),
            manifest: Digest::sha256(b"manifest"),
            names: vec!["example.org/pause:1".into()],
            size: 9,
            vouch: Vouch::default(),
        }],
        indexes: Vec::new(),
        packages: vec![Package {
            name: "libc6".into(),
            version: "2.41-12".into(),
            suite: Some("trixie".into()),
            component: None,
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
        .map(|file| serde_json::to_string(&sorted(serde_json::to_value(file).unwrap())).unwrap())
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

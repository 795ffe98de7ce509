//! What a node does not take.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_formats::update::{Manifest, PAYLOAD_TYPE, Requires, Wave};
use nodeimg_signing::dsse;
use nodeimg_signing::signer::{Given, Purpose, Signer};
use sha2::{Digest, Sha256};

use crate::fixture::{Version, hex};
use crate::verbs::{Node, new};

type Change = Box<dyn Fn(&mut Manifest)>;

/// What is said, whether it can be forced, and what makes it so.
fn cases() -> Vec<(&'static str, bool, Change)> {
    let later = u64::MAX / 4;
    vec![
        (
            "is of the image `other`",
            false,
            Box::new(|it| it.id = "other".to_owned()),
        ),
        (
            "is for arm64, but",
            false,
            Box::new(|it| it.architecture = "arm64".to_owned()),
        ),
        (
            "is older than",
            true,
            Box::new(|it| it.version = "0.9".to_owned()),
        ),
        (
            "needs a newer nodeimg-update",
            false,
            Box::new(|it| it.schema = 2),
        ),
        (
            "has to be installed afresh",
            false,
            Box::new(|it| {
                it.root.content.size = 1 << 30;
                it.verity.size = nodeimg_formats::verity::size_for(1 << 30);
            }),
        ),
        (
            "update to 1.0.5 first",
            false,
            Box::new(|it| {
                it.requires = Some(Requires {
                    minimum: Some("1.0.5".to_owned()),
                    from: Vec::new(),
                });
            }),
        ),
        (
            "from 1.0.9 only",
            false,
            Box::new(|it| {
                it.requires = Some(Requires {
                    minimum: None,
                    from: vec!["1.0.9".to_owned()],
                });
            }),
        ),
        (
            "state format 2",
            false,
            Box::new(|it| it.state.reads_from = 2),
        ),
        (
            "held back by its publisher",
            true,
            Box::new(|it| it.hold = true),
        ),
        (
            "this node's turn is in",
            true,
            Box::new(move |it| {
                it.waves = vec![Wave {
                    start: later,
                    percent: 100,
                }];
            }),
        ),
        (
            "none of which has this node",
            true,
            Box::new(|it| {
                it.waves = vec![Wave {
                    start: 0,
                    percent: 0,
                }];
            }),
        ),
        (
            "the name of a file leads elsewhere",
            false,
            Box::new(|it| {
                it.root.content.file = "../x.root.raw".to_owned();
            }),
        ),
        (
            "ends as a boot counter does",
            false,
            Box::new(|it| it.version = "1.1+3".to_owned()),
        ),
        (
            "the manifest is damaged",
            false,
            Box::new(|it| it.root.data_block = 512),
        ),
    ]
}

#[test]
fn each_refusal_is_one_sentence_and_changes_nothing() {
    for (why, can_be_forced, change) in cases() {
        let node = Node::new();
        node.publish(|manifest| change(manifest));
        let before = hex(&Sha256::digest(fs::read(node.machine.path()).unwrap()));
        let (status, text) = node.run(&["apply", node.source(), "--to", "1.1-20261201"]);
        assert_eq!(status, 3, "{why}: {text}");
        assert!(text.contains(why), "{why}: {text}");
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        assert_eq!(text.contains("--force takes it"), can_be_forced, "{text}");
        let after = hex(&Sha256::digest(fs::read(node.machine.path()).unwrap()));
        assert_eq!(before, after, "{why}");
        let (status, text) = node.run(&["check", node.source(), "--json", "--to", "1.1-20261201"]);
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(status == 3 && told["refused"] == true, "{told}");
    }
}

#[test]
fn a_held_node_takes_nothing_unless_it_is_forced() {
    let node = Node::new();
    node.publish(|_| {});
    node.run(&["hold"]);
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(
        status == 3 && text.contains("is held back on this node"),
        "{text}"
    );
    node.run(&["unhold"]);
    node.run(&["hold", "1.1-20261201"]);
    let (status, _) = node.run(&["apply", node.source()]);
    assert_eq!(status, 3);
    let (status, text) = node.run(&["apply", node.source(), "--force"]);
    assert_eq!(status, 0, "{text}");
}

#[test]
fn a_barrier_is_stepped_over_in_two_updates() {
    let node = Node::new();
    node.publish(|_| {});
    let third = Version::of("2.0", 120..170);
    let mut manifest = third.manifest();
    manifest.requires = Some(Requires {
        minimum: Some("1.1".to_owned()),
        from: Vec::new(),
    });
    third.publish_as(&node.updates, manifest);
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(
        status == 0 && text.contains("1.1-20261201 is installed"),
        "{text}"
    );
}

/// A key of the tests in PEM, and its public half.
fn keys(dir: &Path) -> Option<(PathBuf, String)> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.current_dir(dir).args(arguments);
        let told = nodeimg_test_support::judge::run(&mut command)?;
        assert!(told.status.success(), "{told:?}");
        Some(String::from_utf8(told.stdout).unwrap())
    };
    run(&["genpkey", "-algorithm", "ED25519", "-out", "key.pem"])?;
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join("key.pem");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Some((path, run(&["pkey", "-in", "key.pem", "-pubout"])?))
}

#[test]
fn where_a_key_is_baked_in_only_what_it_signed_is_taken() {
    let node = Node::new();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let Some((_, public)) = keys(dirs[0].path()) else {
        return;
    };
    let Some((wrong, _)) = keys(dirs[1].path()) else {
        return;
    };
    let right = dirs[0].path().join("key.pem");
    node.put(
        "usr/lib/nodeimg/update.toml",
        "keys = [\"/usr/lib/nodeimg/update.pub\"]\n",
    );
    node.put("usr/lib/nodeimg/update.pub", &public);
    node.publish(|_| {});
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(status == 3 && text.contains("it is not signed"), "{text}");
    let path = node
        .updates
        .join(format!("{}.update.json.dsse", new().stem()));
    let body = serde_json::to_vec(&new().manifest()).unwrap();
    fs::write(&path, signed(&wrong, PAYLOAD_TYPE, &body)).unwrap();
    let (status, text) = node.run(&["apply", node.source()]);
    assert!(
        status == 3 && text.contains("its signature does not count"),
        "{text}"
    );
    fs::write(&path, signed(&right, "application/vnd.in-toto+json", &body)).unwrap();
    assert_eq!(node.run(&["apply", node.source()]).0, 3);
    // The plain manifest beside it says something else: it is not read.
    node.publish(|manifest| manifest.hold = true);
    fs::write(&path, signed(&right, PAYLOAD_TYPE, &body)).unwrap();
    let (status, text) = node.run(&["apply", node.source()]);
    assert_eq!(status, 0, "{text}");
    // A node's own file may name a source, but no key.
    node.put(
        "etc/nodeimg/update.toml",
        &format!("source = \"{}\"\n", node.source()),
    );
    assert_eq!(node.run(&["check"]).0, 0);
    node.put("etc/nodeimg/update.toml", "keys = [\"/etc/x.pub\"]\n");
    let (status, text) = node.run(&["check"]);
    assert!(
        status == 1 && text.contains("does not let a seed do so"),
        "{text}"
    );
}

fn signed(key: &Path, kind: &str, body: &[u8]) -> String {
    let given = Given {
        key: Some(key.to_owned()),
        ..Given::default()
    };
    let signer = Signer::open("a key", &given, Purpose::Checksums, None).unwrap();
    dsse::sign(&signer, "a test", kind, body).unwrap().unwrap()
}

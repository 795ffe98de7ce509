#![allow(clippy::unwrap_used)]
use std::cmp::Ordering;
use std::process::Command;

use nodeimg_test_support::judge;

use super::*;

fn content(file: &str, size: u64) -> Content {
    Content {
        file: file.to_owned(),
        size,
        sha256: "ab".repeat(32),
    }
}

fn manifest() -> Manifest {
    Manifest {
        schema: SCHEMA,
        id: "node".to_owned(),
        version: "13.1-20261130".to_owned(),
        architecture: "amd64".to_owned(),
        root: Root {
            content: content("node_13.1-20261130_amd64.root.raw", 8192),
            roothash: "cd".repeat(32),
            salt: "ef".repeat(32),
            data_block: 4096,
        },
        verity: content("node_13.1-20261130_amd64.verity.raw", 8192),
        uki: Uki {
            content: content("node_13.1-20261130_amd64.efi", 100),
            compressed: Some(Compressed {
                file: "node_13.1-20261130_amd64.efi.zst".to_owned(),
                size: 50,
            }),
        },
        slot: 1 << 29,
        state: State {
            version: 1,
            reads_from: 1,
        },
        requires: None,
        hold: false,
        waves: Vec::new(),
    }
}

#[test]
fn a_manifest_reads_as_it_was_written_and_what_is_empty_is_left_out() {
    let text = serde_json::to_string(&manifest()).unwrap();
    for absent in ["requires", "hold", "waves"] {
        assert!(!text.contains(absent), "{text}");
    }
    assert!(text.contains(r#""root":{"file":"node_13.1-20261130_amd64.root.raw","size":8192,"#));
    let again: Manifest = serde_json::from_str(&text).unwrap();
    assert_eq!(again, manifest());
}

#[test]
fn keys_of_a_newer_builder_are_ignored() {
    let text = serde_json::to_string(&manifest()).unwrap();
    let newer = text.replacen('{', r#"{"later":{"x":1},"#, 1);
    let again: Manifest = serde_json::from_str(&newer).unwrap();
    assert_eq!(again, manifest());
}

/// The examples of the specification and what image versions look like; each is older than the
/// next one.
const ASCENDING: &[&str] = &[
    "~1",
    "",
    "ab",
    "abb",
    "abc",
    "0001",
    "002",
    "12",
    "122",
    "122.9",
    "123~rc1-1",
    "123",
    "123-a",
    "123-a.1",
    "123-a1",
    "123-a1.1",
    "123-3",
    "123-3.1",
    "123^patch1",
    "123^1",
    "123.a-1",
    "123.1-1",
    "123a-1",
    "124",
];

#[test]
fn the_order_is_that_of_the_specification() {
    for (at, older) in ASCENDING.iter().enumerate() {
        assert_eq!(compare(older, older), Ordering::Equal, "{older}");
        for newer in &ASCENDING[at + 1..] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{older} {newer}");
        }
    }
    assert_eq!(compare("13.0-20261121", "13.0-20261130"), Ordering::Less);
    assert_eq!(compare("13.9", "13.10"), Ordering::Less);
    assert_eq!(compare("1.02", "1.2"), Ordering::Equal);
}

#[test]
fn systemd_orders_them_the_same() {
    let versions = [
        "1",
        "1.0",
        "1.0-1",
        "1.10",
        "1.9",
        "1.9~rc1",
        "1.9^a",
        "13.0-20261121",
        "13.0-202611210930",
        "A",
        "a",
        "1a",
        "01",
        "1,0",
        "1_0",
        "1+2",
        "v1",
        "1.-",
        "1~~",
        "1~",
    ];
    for left in versions {
        for right in versions {
            let mut command = Command::new("systemd-analyze");
            command.args(["compare-versions", left, right]);
            let Some(told) = judge::run(&mut command) else {
                return;
            };
            let want = match told.status.code() {
                Some(0) => Ordering::Equal,
                Some(11) => Ordering::Greater,
                Some(12) => Ordering::Less,
                code => panic!("{left} {right}: {code:?} {told:?}"),
            };
            assert_eq!(compare(left, right), want, "{left} {right}");
        }
    }
}

#[test]
fn a_version_is_fit_for_names() {
    for good in ["13.0-20261121", "1", "a_b+c,d", "1~rc1^x"] {
        assert!(is_version(good), "{good}");
    }
    for bad in ["", "a b", "../x", "1/2", "ä", "1\n"] {
        assert!(!is_version(bad), "{bad}");
    }
}

#[test]
fn a_label_has_the_whole_version_and_tells_long_ids_apart() {
    assert_eq!(
        super::label("node", "1.0-202609120755"),
        "node_1.0-202609120755"
    );
    let fits = "n".repeat(19);
    let version = "1.0-202609120755";
    assert_eq!(super::label(&fits, version), format!("{fits}_{version}"));
    let labels =
        ["edge-workers-with-gvisor", "edge-workers-with-kata"].map(|id| super::label(id, version));
    for label in &labels {
        assert_eq!(label.len(), super::MAX_LABEL, "{label}");
        assert!(label.starts_with("edge-workers") && label.ends_with("_1.0-202609120755"));
    }
    assert_ne!(labels[0], labels[1]);
}

//! What a base system that was locked unattended may do that another may not.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::digest::{Digest, Expected};
use crate::format::ar::tests::archive;
use crate::lock::PinnedPackage;
use crate::recipe::tests::recipe;

const BASE: &str = "[base]\nsuite = \"trixie\"\npackages = [\"tool\"]\n";

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(text.len() as u64);
        let bytes = text.as_bytes();
        builder.append_data(&mut header, name, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A package whose postinst does what nobody has read.
fn package(store: &Store) -> (PinnedPackage, VerifiedBlob) {
    let control = "Package: tool\nVersion: 1\nArchitecture: amd64\n";
    let script = "#!/bin/sh\nset -e\nsetcap x /usr/bin/tool\n";
    let deb = archive(&[
        ("debian-binary", b"2.0\n"),
        (
            "control.tar",
            &tar_of(&[("./control", control), ("./postinst", script)]),
        ),
        ("data.tar", &tar_of(&[("./usr/bin/tool", "x")])),
    ]);
    let sha256 = Digest::sha256(&deb);
    let mut partial = store.partial(&sha256.to_string(), &[]).unwrap();
    partial.write(&deb).unwrap();
    let want = Expected {
        sha256: Some(sha256.clone()),
        ..Expected::default()
    };
    let blob = partial.commit(&want).unwrap().unwrap();
    let pinned = PinnedPackage {
        name: "tool".parse().unwrap(),
        arch: Arch::Amd64,
        version: "1".to_owned(),
        suite: "trixie".parse().unwrap(),
        path: "pool/main/t/tool.deb".to_owned(),
        sha256: sha256.hex().to_owned(),
        size: deb.len() as u64,
    };
    (pinned, blob)
}

#[test]
fn an_unread_script_stops_a_build_and_only_warns_where_nobody_was_there_to_read() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let (pinned, blob) = package(&store);
    let recipe = recipe(BASE);
    let mut inputs = Inputs {
        recipe: &recipe,
        arch: Arch::Amd64,
        epoch: Epoch(0),
        store: &store,
        blobs: Vec::new(),
        packages: vec![(&pinned, blob)],
        unattended: false,
        firstboot: Content::inline(Vec::new()),
    };
    let unpacked = |inputs: &Inputs<'_>| {
        let mut image = Assembled {
            tree: Tree::default(),
            overlay: None,
            packages: Vec::new(),
            boot: None,
            warnings: Vec::new(),
        };
        base_system(inputs, &mut image).map(|()| image)
    };
    let refused = format!("{:#}", unpacked(&inputs).err().unwrap());
    assert!(refused.contains("tool/postinst sha256:"), "{refused}");
    assert!(refused.contains("| setcap x /usr/bin/tool"), "{refused}");

    inputs.unattended = true;
    let image = unpacked(&inputs).unwrap();
    assert_eq!(image.warnings, [refused]);
    assert!(image.tree.get(&"/usr/bin/tool".parse().unwrap()).is_some());
    assert_eq!(image.packages.len(), 1);
}

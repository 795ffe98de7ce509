//! A Debian package in a store, for the tests.
#![allow(clippy::unwrap_used)]

use nodeimg_test_support::ar::archive;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::{Digest, Expected};

use crate::input::lock::{PinnedPackage, Place};
use crate::store::{Store, VerifiedBlob};

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

/// The bytes of a package with these files of its control archive, and of its data, all
/// executable.
pub fn deb(control: &[(&str, &str)], data: &[(&str, &str)]) -> Vec<u8> {
    archive(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &tar_of(control)),
        ("data.tar", &tar_of(data)),
    ])
}

/// The package `tool` with that postinst, as if it had been fetched.
pub fn package(store: &Store, version: &str, postinst: &str) -> (PinnedPackage, VerifiedBlob) {
    let control = format!("Package: tool\nVersion: {version}\nArchitecture: amd64\n");
    let files = [("./control", control.as_str()), ("./postinst", postinst)];
    let deb = deb(&files, &[("./usr/bin/tool", "x")]);
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
        version: version.to_owned(),
        place: Place::Archive {
            suite: "trixie".parse().unwrap(),
            component: Default::default(),
            path: "pool/main/t/tool.deb".to_owned(),
        },
        sha256,
        size: deb.len() as u64,
    };
    (pinned, blob)
}

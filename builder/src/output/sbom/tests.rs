//! Bills of trees made here: what ends up in both forms.
#![allow(clippy::unwrap_used)]
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use serde_json::Value;

use super::bill::{How, Id, Kind as PartKind, Part, Supplier};
use super::*;

const STATUS: &str = "Package: libx1\nStatus: install ok installed\nSource: x (1:2.0-1)\n\
    Version: 1:2.0-1+b2\nArchitecture: amd64\nMaintainer: X (Team) <x@lists.example>\n\
    Depends: tool (>= 1) | other, none\n\nPackage: tool\nStatus: install ok installed\n\
    Version: 1.0~rc1\nArchitecture: all\nMaintainer: Jane Doe <jane@example.org>\n\
    Pre-Depends: libx1:any\nBuilt-Using: linux (= 6.12-1)\n\
    Static-Built-Using: golang-1.24 (= 1.24.4-1), rustc (= 1.85-1)\n\n";
const COPYRIGHT: &[u8] =
    b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
    Files: *\nCopyright: Ren\xe9\nLicense: GPL-2+ or Odd/One\n\nFiles: y\nLicense: Expat\n";

fn bill(files: &[(&str, &[u8])]) -> Bill {
    let mut tree = Tree::default();
    for (path, bytes) in files {
        let node = Node::file(Content::inline(bytes.to_vec()), 0o644, Origin::Implied);
        tree.insert(path.parse().unwrap(), node).unwrap();
    }
    let supplier = Supplier::organization("nodeimg");
    let image = Part::new(PartKind::Image, "node", "1.0", supplier);
    let mut bill = Bill::new(
        "node-1.0-amd64",
        image,
        Epoch(1_789_199_741),
        &Digest::sha256(b"lock"),
    );
    debian::add(&mut bill, &tree, &[], &Default::default()).unwrap();
    bill
}

/// The bill of a tree that is made here, which holds it from then on: with an artifact and a
/// container image of these digests.
pub fn embedded(tree: &mut Tree, artifact: &Digest, container: &Digest) -> Bill {
    let supplier = || Supplier::organization("nodeimg");
    let image = Part::new(PartKind::Image, "tiny", "1.0", supplier());
    let lock = Digest::sha256(b"lock");
    let mut bill = Bill::new("tiny-1.0-amd64", image, Epoch(1_789_199_741), &lock);
    let root = bill.root.clone();
    for (kind, name, digest) in [
        (PartKind::Artifact, "tool", artifact),
        (PartKind::Container, "example.org/pause", container),
    ] {
        let mut part = Part::new(kind, name, "1", supplier());
        part.digests.insert(digest.clone());
        bill.add(&root, How::Contains, name, part);
    }
    if let Some(part) = collect::first_boot(tree).unwrap() {
        bill.add(&root, How::Contains, "first boot", part);
    }
    debian::add(&mut bill, tree, &[], &Default::default()).unwrap();
    go::add(&mut bill, tree).unwrap();
    let texts = [spdx::text(&bill).unwrap(), cyclonedx::text(&bill).unwrap()];
    for (path, text) in INSIDE.into_iter().zip(texts) {
        let node = Node::file(Content::inline(text.into_bytes()), 0o644, Origin::Bill);
        tree.insert(path.parse().unwrap(), node).unwrap();
    }
    bill
}

fn debian_files() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("/usr/lib/sysimage/dpkg/status", STATUS.as_bytes()),
        ("/usr/lib/os-release", b"ID=debian\nVERSION_ID=\"13\"\n"),
        ("/etc/debian_version", b"13.8\n"),
        ("/usr/share/doc/tool/copyright", COPYRIGHT),
    ]
}

fn named<'a>(bill: &'a Bill, kind: PartKind, key: &str) -> &'a Part {
    &bill.parts[&Id::new(kind, key)]
}

#[test]
fn a_package_says_its_source_supplier_and_licence() {
    let bill = bill(&debian_files());
    let library = named(&bill, PartKind::Package, "libx1");
    assert_eq!(
        library.purl.as_deref(),
        Some("pkg:deb/debian/libx1@1:2.0-1%2Bb2?arch=amd64&distro=debian-13&upstream=x%401:2.0-1")
    );
    assert_eq!(
        (library.licence.as_deref(), library.supplier.is_person),
        (None, false)
    );
    assert_eq!(library.supplier.name, "X Team");
    let tool = named(&bill, PartKind::Package, "tool");
    assert_eq!(
        tool.purl.as_deref(),
        Some("pkg:deb/debian/tool@1.0~rc1?arch=all&distro=debian-13")
    );
    assert_eq!(
        tool.licence.as_deref(),
        Some("(GPL-2.0-or-later OR LicenseRef-Debian-Odd-One) AND MIT")
    );
    assert!(tool.supplier.is_person);
    let (name, whose) = &bill.others["LicenseRef-Debian-Odd-One"];
    assert_eq!((name.as_str(), whose.len()), ("Odd/One", 1));
    let system = named(&bill, PartKind::System, "debian");
    assert_eq!(
        (system.name.as_str(), system.version.as_str()),
        ("debian", "13.8")
    );
}

#[test]
fn relations_are_those_of_what_is_there() {
    let bill = bill(&debian_files());
    let package = |name: &str| Id::new(PartKind::Package, name);
    let source = |name: &str| Id::new(PartKind::Source, name);
    for (from, how, to) in [
        (package("libx1"), How::DependsOn, package("tool")),
        (package("tool"), How::DependsOn, package("libx1")),
        (package("tool"), How::GeneratedFrom, source("linux 6.12-1")),
        (package("tool"), How::Links, source("golang-1.24 1.24.4-1")),
        (package("tool"), How::Links, source("rustc 1.85-1")),
    ] {
        assert!(
            bill.relations.contains(&(from.clone(), how, to.clone())),
            "{from:?} {to:?}"
        );
    }
    for (from, _, to) in &bill.relations {
        assert!(bill.parts.contains_key(from) && bill.parts.contains_key(to));
    }
}

#[test]
fn a_document_is_named_by_its_content() {
    let text = |files: &[(&str, &[u8])]| {
        let bill = bill(files);
        let parsed = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        let (spdx, cyclonedx) = (spdx::text(&bill).unwrap(), cyclonedx::text(&bill).unwrap());
        (
            parsed(spdx)["documentNamespace"].clone(),
            parsed(cyclonedx)["serialNumber"].clone(),
        )
    };
    let files = debian_files();
    let (spdx, cyclonedx) = text(&files);
    assert_eq!((&spdx, &cyclonedx), (&text(&files).0, &text(&files).1));
    for without in 0..files.len() {
        let mut fewer = files.clone();
        fewer.remove(without);
        let (other, another) = text(&fewer);
        assert!(other != spdx && another != cyclonedx, "{without}");
    }
    assert!(spdx.as_str().unwrap().contains("/spdx/node-1.0-amd64-"));
    assert_eq!(bill(&files).created(), "2026-09-12T07:55:41Z");
}

#[test]
fn a_tree_without_a_base_system_has_no_packages() {
    let bill = bill(&[("/etc/debian_version", b"13.8\n")]);
    assert_eq!(bill.parts.len(), 1);
    assert!(spdx::text(&bill).unwrap().ends_with("}\n"));
}

#[test]
fn artifacts_are_called_by_where_they_are_published() {
    let digest = Digest::sha256(b"x");
    let github = "https://github.com/Containerd/containerd/releases/download/v2.3.4/c.tar.gz";
    let of = |url: &str| purl::artifact("kubelet", "1.36.0", url, Some(&digest));
    assert_eq!(of(github), "pkg:github/containerd/containerd@v2.3.4");
    let other = of("https://dl.k8s.io/release/v1.36.0/bin/linux/amd64/kubelet");
    assert_eq!(
        other,
        format!(
            "pkg:generic/kubelet@1.36.0?checksum={digest}&download_url=\
             https:%2F%2Fdl.k8s.io%2Frelease%2Fv1.36.0%2Fbin%2Flinux%2Famd64%2Fkubelet"
        )
    );
    for url in [
        "https://github.com/a/b/archive/v1.tar.gz",
        "https://github.com/a",
        "/srv/x",
    ] {
        assert!(of(url).starts_with("pkg:generic/"), "{url}");
    }
    assert_eq!(
        purl::golang("example.org/tool", "(devel)"),
        "pkg:golang/example.org/tool"
    );
}

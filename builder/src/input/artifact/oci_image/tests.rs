#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use nodeimg_formats::oci::Reference;
use nodeimg_test_support::archive::{file, special, tar};
use nodeimg_test_support::layout::{self, Blobs, saved, tar_of};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Expected;
use serde_json::{Value, json};

use super::local::Local;
use super::*;
use crate::store::Store;
use crate::tree::Kind;

pub(super) struct Place {
    dir: tempfile::TempDir,
    pub(super) store: Store,
}

pub(super) fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    Place { dir, store }
}

fn name() -> Reference {
    "example.org/pause:1".parse().unwrap()
}

impl Place {
    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    pub(super) fn image(&self, path: &Path, arch: Arch) -> Result<Image> {
        let local = Local::open(path, &name())?;
        let start = Start {
            of: (),
            what: format!("the image pause ({arch})"),
            arch,
            digest: local.digest().clone(),
        };
        let mut found = follow(&[start], |blobs| {
            let asked: BTreeSet<_> = blobs.iter().map(|wanted| &wanted.digest).collect();
            assert_eq!(asked.len(), blobs.len(), "each is asked for once");
            let blobs = blobs.into_iter().map(|wanted| {
                let want = Expected::of(&wanted.digest, wanted.size);
                let blob = local.bring(&self.store, &want)?;
                Ok((wanted, blob))
            });
            blobs.collect()
        })?;
        Ok(found.pop().unwrap().1)
    }

    fn refusal(&self, arch: Arch) -> String {
        format!("{:#}", self.image(&self.path(), arch).unwrap_err())
    }
}

/// The archive's members: name, content.
fn members(store: &Store, image: &Image, names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    refuse_devices(store, &[("pause", image)]).unwrap();
    let nodes = nodes("pause", image, &names).unwrap();
    let (path, node) = &nodes[1];
    assert_eq!(path.as_str(), "/usr/lib/nodeimg/images/pause.tar");
    let Kind::File(content) = &node.kind else {
        panic!("no file")
    };
    let mut archive = ::tar::Archive::new(content.reader());
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (0, 0));
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.push((name, bytes));
    }
    found
}

#[test]
fn an_archive_is_a_layout_with_every_name() {
    let place = place();
    let mut blobs = Blobs::default();
    let manifest = blobs.image("amd64", b"program");
    blobs.layout(&place.path(), std::slice::from_ref(&manifest));
    let image = place.image(&place.path(), Arch::Amd64).unwrap();
    let found = members(&place.store, &image, &["a.b/pause:1", "a.b/pause:2"]);
    assert_eq!(found[0].0, "oci-layout");
    let index: Value = serde_json::from_slice(&found[1].1).unwrap();
    let names: Vec<&Value> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|one| assert_eq!(one["digest"], manifest["digest"]))
        .map(|one| &one["annotations"]["io.containerd.image.name"])
        .collect();
    assert_eq!(names, ["a.b/pause:1", "a.b/pause:2"]);
    let mut here: Vec<String> = blobs
        .0
        .keys()
        .map(|d| format!("blobs/{}", d.replace(':', "/")))
        .collect();
    let mut there: Vec<String> = found[2..].iter().map(|(name, _)| name.clone()).collect();
    here.sort();
    there.sort();
    assert_eq!(there, here);
    for (name, bytes) in &found[2..] {
        let digest = name.strip_prefix("blobs/").unwrap().replace('/', ":");
        assert_eq!(&blobs.0[&digest], bytes);
    }
    assert_eq!(
        members(&place.store, &image, &["x"]),
        members(&place.store, &image, &["x"])
    );
    let list = &nodes("pause", &image, &["a.b/pause:1".into()]).unwrap()[0].1;
    let Kind::File(content) = &list.kind else {
        panic!("no file")
    };
    let wanted = format!("{}\na.b/pause:1\n", manifest["digest"].as_str().unwrap());
    assert_eq!(content.head(1000).unwrap(), wanted.as_bytes());
}

#[test]
fn a_layer_that_is_there_many_times_is_asked_for_once() {
    let place = place();
    let mut blobs = Blobs::default();
    let layer = tar(&[file("bin/x", "x")]);
    let manifest = blobs.image_of("amd64", &[layer.clone(), layer.clone(), layer]);
    blobs.layout(&place.path(), std::slice::from_ref(&manifest));
    let image = place.image(&place.path(), Arch::Amd64).unwrap();
    assert_eq!(image.layers.len(), 3);
}

#[test]
fn a_device_node_is_refused_in_an_archive_as_well() {
    let place = place();
    let mut blobs = Blobs::default();
    let odd = [special(b'6', "run/fifo", ""), file("ok", "x")];
    let good = blobs.image_of("amd64", &[tar(&odd)]);
    let layers = [tar(&odd), tar(&[special(b'3', "dev/null", "")])];
    let bad = blobs.image_of("amd64", &layers);
    let image = |manifest: &Value| {
        let _ = fs::remove_dir_all(place.path());
        blobs.layout(&place.path(), std::slice::from_ref(manifest));
        place.image(&place.path(), Arch::Amd64).unwrap()
    };
    // containerd unpacks the pipe.
    assert_eq!(members(&place.store, &image(&good), &["x"]).len(), 2 + 3);
    let image = image(&bad);
    for _ in 0..2 {
        let error = refuse_devices(&place.store, &[("pause", &image)]).unwrap_err();
        let text = format!("{error:#}");
        let start = format!(
            "baking the container image pause: its layer {}",
            image.layers[1].digest
        );
        assert!(text.starts_with(&start), "{text}");
        assert!(text.contains("`dev/null`: is a device node"), "{text}");
    }
}

#[test]
fn each_architecture_has_its_own_and_all_stay_in_the_store() {
    let place = place();
    let mut blobs = Blobs::default();
    let top = blobs.both("pause");
    let index = json!({ "mediaType": layout::INDEX, "digest": top, "size": blobs.0[&top].len() });
    blobs.layout(&place.path(), &[index]);
    let images: Vec<Image> = Arch::ALL
        .iter()
        .map(|arch| place.image(&place.path(), *arch).unwrap())
        .collect();
    assert_eq!(images[0].top.digest.to_string(), top);
    assert_eq!(images[1].top.digest.to_string(), top);
    assert_ne!(images[0].manifest.digest, images[1].manifest.digest);
    // The index beside manifest, configuration and layer.
    assert_eq!(images[0].blobs().len(), 4);
    assert_eq!(members(&place.store, &images[0], &["x"]).len(), 2 + 3);
}

#[test]
fn a_layout_is_found_by_name_or_by_being_alone() {
    let place = place();
    let mut blobs = Blobs::default();
    let called = |mut descriptor: Value, key: &str, name: &str| {
        descriptor["annotations"] = json!({ key: name });
        descriptor
    };
    let one = blobs.image("amd64", b"one");
    let two = blobs.image("amd64", b"two");
    let three = blobs.image("arm64", b"three");
    let containerd = "io.containerd.image.name";
    let short = "org.opencontainers.image.ref.name";
    for (descriptors, wanted) in [
        (vec![one.clone()], Some(&one)),
        (vec![called(one.clone(), short, "other")], Some(&one)),
        (
            vec![
                called(one.clone(), containerd, "example.org/pause:2"),
                called(two.clone(), containerd, "example.org/pause:1"),
            ],
            Some(&two),
        ),
        (
            vec![
                called(one.clone(), short, "1"),
                called(two.clone(), short, "2"),
            ],
            Some(&one),
        ),
        // Two names of one image.
        (
            vec![
                called(one.clone(), short, "1"),
                called(one.clone(), short, "2"),
            ],
            Some(&one),
        ),
        (
            vec![
                called(one.clone(), short, "1"),
                called(two.clone(), short, "1"),
            ],
            None,
        ),
    ] {
        let _ = fs::remove_dir_all(place.path());
        blobs.layout(&place.path(), &descriptors);
        match wanted {
            Some(wanted) => {
                let image = place.image(&place.path(), Arch::Amd64).unwrap();
                assert_eq!(
                    image.manifest.digest.to_string(),
                    wanted["digest"].as_str().unwrap()
                );
            }
            None => assert!(
                place
                    .refusal(Arch::Amd64)
                    .contains("does not match exactly one of them")
            ),
        }
    }
    // One for each platform: the layout's own index is the image's.
    let _ = fs::remove_dir_all(place.path());
    blobs.layout(&place.path(), &[one, three.clone()]);
    let image = place.image(&place.path(), Arch::Arm64).unwrap();
    assert_eq!(
        image.manifest.digest.to_string(),
        three["digest"].as_str().unwrap()
    );
}

#[test]
fn what_docker_saves_is_the_same_image_each_time() {
    let place = place();
    let tar = saved("arm64", &["example.org/pause:1"], b"program");
    fs::write(place.path(), &tar).unwrap();
    let first = place.image(&place.path(), Arch::Arm64).unwrap();
    assert_eq!(first.layers.len(), 1);
    let again = Local::open(&place.path(), &name()).unwrap();
    assert_eq!(*again.digest(), first.top.digest);
    assert!(
        place
            .refusal(Arch::Amd64)
            .contains("for linux/arm64, not for linux/amd64")
    );
    // A tar of a layout is read as well.
    let mut blobs = Blobs::default();
    let manifest = blobs.image("amd64", b"program");
    blobs.layout(&place.dir.path().join("layout"), &[manifest]);
    let mut archive = ::tar::Builder::new(Vec::new());
    archive
        .append_dir_all("", place.dir.path().join("layout"))
        .unwrap();
    fs::write(place.path(), archive.into_inner().unwrap()).unwrap();
    place.image(&place.path(), Arch::Amd64).unwrap();
}

#[test]
fn what_is_no_image_is_told() {
    let place = place();
    let mut blobs = Blobs::default();
    let manifest = blobs.image("amd64", b"program");
    let layer = blobs
        .0
        .keys()
        .find(|d| Some(d.as_str()) != manifest["digest"].as_str())
        .unwrap()
        .clone();
    let hex = |digest: &str| digest.strip_prefix("sha256:").unwrap().to_owned();
    let lacking = place
        .dir
        .path()
        .join("image/blobs/sha256")
        .join(hex(&layer));
    blobs.layout(&place.path(), std::slice::from_ref(&manifest));
    fs::remove_file(&lacking).unwrap();
    assert!(
        place.refusal(Arch::Amd64).contains("it is missing"),
        "{}",
        place.refusal(Arch::Amd64)
    );
    fs::write(&lacking, b"other").unwrap();
    assert!(
        place.refusal(Arch::Amd64).contains("expected "),
        "{}",
        place.refusal(Arch::Amd64)
    );
    fs::remove_dir_all(place.path()).unwrap();
    for (bytes, wanted) in [
        (b"\x1f\x8b\x08\0".to_vec(), "compressed with gzip"),
        (b"no tar".to_vec(), "not a tar of an image"),
        (tar_of(&[("x", b"")]), "neither an OCI layout"),
        (tar_of(&[("index.json", b"{}")]), "index.json"),
        (
            tar_of(&[("index.json", br#"{"manifests":[]}"#)]),
            "names no image",
        ),
        (
            tar_of(&[(
                "manifest.json",
                br#"[{"Config":"../../etc/passwd","Layers":[]}]"#,
            )]),
            "..",
        ),
        (
            tar_of(&[("manifest.json", br#"[{"Config":"c","Layers":[]}]"#)]),
            "`c`, which does not exist",
        ),
        (tar_of(&[("manifest.json", b"[]")]), "0 images"),
    ] {
        fs::write(place.path(), bytes).unwrap();
        let told = place.refusal(Arch::Amd64);
        assert!(told.contains(wanted), "{wanted}: {told}");
        assert!(
            told.contains("reading the image example.org/pause:1 from "),
            "{told}"
        );
    }
}

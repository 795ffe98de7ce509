//! A kept state under an image with another container runtime: the reason why it is
//! refused, or what is removed.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use std::os::unix::fs::symlink;

use common::Image;
use nodeimg_test_support::seeds::{META_DATA, SETTINGS, user_data};

const NOTE: &str = "var/lib/nodeimg/runtime";
const CONTAINERD: &str = "";
const CRIO: &str = "\"runtime\": \"crio\", ";
const CLEAN: &str = "\"clean_runtime\": true, ";

/// Another image, as the settings say, on the same state.
fn boots(image: &Image, settings: &str) {
    let text = SETTINGS.replace("\"seed_wait\"", &format!("{settings}\"seed_wait\""));
    image.write("usr/lib/nodeimg/firstboot.json", text);
}

fn node() -> Image {
    let image = Image::new();
    image.seed(user_data(), META_DATA);
    image
}

/// What a runtime leaves: a name that is not UTF-8, a link out of the tree, directories.
fn used(image: &Image, state: &str) {
    use std::os::unix::ffi::OsStrExt;
    let deep = image.write(&format!("{state}/a/b/c/file"), "layer");
    let odd = deep.with_file_name(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::write(odd, "").unwrap();
    let kept = image.write("var/lib/mine/kept", "mine");
    symlink(kept.parent().unwrap(), deep.with_file_name("out")).unwrap();
    image.write("var/lib/cni/networks/bridge/10.200.0.2", "id");
}

fn is_empty(image: &Image, path: &str) -> bool {
    std::fs::read_dir(image.path().join(path))
        .unwrap()
        .next()
        .is_none()
}

#[test]
fn the_state_of_another_runtime_is_refused() {
    for (first, second, state, reasons) in [
        (
            CONTAINERD,
            CRIO,
            "var/lib/containerd",
            [
                "another container runtime, containerd",
                "this image has crio",
            ],
        ),
        (
            CRIO,
            CONTAINERD,
            "var/lib/containers",
            [
                "another container runtime, crio",
                "this image has containerd",
            ],
        ),
    ] {
        let image = node();
        boots(&image, first);
        assert_eq!(image.run(&[]).code, 0);
        used(&image, state);
        assert_eq!(image.run(&[]).code, 0);
        boots(&image, second);
        let ran = image.run(&[]);
        assert_eq!(ran.code, 1, "{}", ran.out);
        let report = image.result().to_string();
        for reason in reasons.iter().chain(&["first_boot.runtime_change"]) {
            assert!(report.contains(reason), "no {reason:?} in {report}");
        }
        assert_eq!(image.result()["outcome"], "failed");
        assert!(!is_empty(&image, state));
        // Going back is always possible.
        boots(&image, first);
        let ran = image.run(&[]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    }
}

#[test]
fn the_state_of_another_runtime_is_removed_where_the_image_says_so() {
    for (first, second, state) in [
        (CONTAINERD, CRIO, "var/lib/containerd"),
        (CRIO, CONTAINERD, "var/lib/containers"),
    ] {
        let image = node();
        boots(&image, first);
        assert_eq!(image.run(&[]).code, 0);
        used(&image, state);
        let cleaning = format!("{second}{CLEAN}");
        boots(&image, &cleaning);
        let ran = image.run(&[]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
        assert!(ran.out.contains("removing the images"), "{}", ran.out);
        assert!(is_empty(&image, state) && is_empty(&image, "var/lib/cni/networks"));
        assert_eq!(image.text("var/lib/mine/kept"), "mine");
        assert_eq!(image.has(NOTE), second == CRIO);
        let again = image.run(&[]);
        assert!(!again.out.contains("removing"), "{}", again.out);
    }
}

#[test]
fn the_state_of_an_unknown_runtime_is_refused() {
    let image = node();
    image.write(NOTE, "docker\n");
    boots(&image, CLEAN);
    let ran = image.run(&[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let report = image.result().to_string();
    assert!(report.contains("container runtime, docker"), "{report}");
}

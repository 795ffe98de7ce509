//! Container images in a node image, as a user has them pinned, fetched and
//! baked: from registries with and without a login, from files beside the
//! recipe, through mirrors and bundles.
//!
//! `registry` and `refused` drive a registry in code, `local` files; `publish` has node images
//! in one that is written to; `judged` has Debian's docker-registry and skopeo say the last
//! word.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod engines;
mod judged;
mod local;
mod publish;
mod refused;
mod registry;
mod shared;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use nodeimg_test_support::layout::Blobs;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::{RECIPE, World};

/// What the recipe gets so that its image can import images.
const CTR: &str =
    "\n[[file]]\npath = \"/usr/bin/ctr\"\ncontent = \"#!/bin/sh\\n\"\nmode = \"0755\"\n";

/// A world whose recipe bakes `image`, with `more` keys beside it.
fn world(image: &str, more: &str) -> World {
    let mut world = World::new();
    let artifact = format!(
        "\n[[artifact]]\nname = \"pause\"\nkind = \"oci_image\"\nimage = \"{image}\"\n{more}\n"
    );
    world.write_recipe(&format!("{RECIPE}{CTR}{artifact}"));
    world
}

/// An image for both architectures; the digest of its index.
fn pause() -> (Blobs, String) {
    let mut blobs = Blobs::default();
    let top = blobs.both("pause");
    (blobs, top)
}

/// The digests of images that the lock pins, by architecture.
fn pinned(world: &World) -> Vec<String> {
    let table: toml::Table = world.lock_text().parse().unwrap();
    let images = table["image"].as_array().unwrap().iter();
    images
        .map(|image| image["digest"].as_str().unwrap().to_owned())
        .collect()
}

/// The baked archive of the amd64 image.
fn archive(world: &World) -> Vec<u8> {
    let directory = world.path("unpacked");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("--zstd").arg("-xf");
    tar.arg(world.image("amd64").join("overlay.tar.zst"));
    Ran::of(tar.arg("-C").arg(&directory)).good();
    fs::read(directory.join("usr/lib/nodeimg/images/pause.tar")).unwrap()
}

/// Member names of a tar.
fn members(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect()
}

fn manifest(image: &Path) -> Value {
    serde_json::from_slice(&fs::read(image.join("manifest.json")).unwrap()).unwrap()
}

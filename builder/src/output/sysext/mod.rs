//! `<image>-sysext.raw`: the node's files as a system extension, for a base
//! system of one's own.
//!
//! A disk image with a root partition (SquashFS) and its dm-verity tree, as
//! [Discoverable Disk Images](https://uapi-group.org/specifications/specs/discoverable_disk_image/)
//! are, holding an
//! [extension image](https://uapi-group.org/specifications/specs/extension_image/)
//! that [systemd-sysext](https://www.freedesktop.org/software/systemd/man/latest/systemd-sysext.html)
//! merges into /usr and /opt. [`layout`] says what becomes of the rest. Beside
//! it, `<image>-sysext.roothash`: what systemd verifies the image by.
//!
//! # Invariants
//! - The bytes depend on the tree, the recipe and its lock alone.
//! - The extension's name, the file's name without `.raw`, is that of its
//!   `extension-release` file.

mod layout;
mod release;
mod start;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use nodeimg_formats::gpt::{self, Extent};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::verity::{self, RootHash};
use nodeimg_values::atomic::{AtomicFile, write_file};
use nodeimg_values::digest::Digest;

use super::provenance::Verified;
use super::verified::{self, Purpose};
use super::{Built, Output, Writer, Written, discoverable, manifest};
use crate::input::recipe::output::{Contents, OutputKind};
use crate::tree::{ImagePath, Tree};
use layout::Extension;

pub static OUTPUT: Output = Output {
    kind: OutputKind {
        name: "sysext",
        summary: "`<image>-sysext.raw` and its `.roothash`: the same files as a systemd\n\
                  system extension, for a base system of your own.",
        contents: Contents::Overlay,
    },
    write: Writer::Tree(write),
};

/// Writes both files into `directory`.
fn write(built: &Built<'_>, directory: &Path) -> Result<Written> {
    let name = format!("{}-sysext", built.recipe.image_name(built.arch));
    let extension = extension(built, &name).context("laying out the system extension")?;
    let image = format!("{name}.raw");
    let context = || format!("writing {image}");
    let output = AtomicFile::create(&directory.join(&image))?;
    let (root, found) = fill(output.file(), built, &extension.tree, &name).with_context(context)?;
    let measured = output.measure()?;
    output.commit()?;

    let hash = format!("{name}.roothash");
    let text = format!("{root}\n");
    write_file(&directory.join(&hash), text.as_bytes())?;
    let digest = |(path, home): (ImagePath, ImagePath)| Some((path, found.get(&home)?.clone()));
    Ok(Written {
        digests: extension.homes.into_iter().filter_map(digest).collect(),
        outputs: vec![
            manifest::Output {
                file: image,
                size: measured.size,
                sha256: measured.sha256,
            },
            manifest::Output::of(&hash, text.as_bytes()),
        ],
        verified: vec![Verified { name, hash: root }],
        boot: None,
        disk: None,
    })
}

/// The image's files, and what makes them an extension.
fn extension(built: &Built<'_>, name: &str) -> Result<Extension> {
    let mut extension = layout::extension(built.tree, &built.recipe.writable)?;
    start::add(&mut extension.tree, built.recipe, name)?;
    release::add(&mut extension.tree, built, name)?;
    Ok(extension)
}

/// Each part goes to its place in the disk image right away.
fn fill(
    file: &File,
    built: &Built<'_>,
    tree: &Tree,
    name: &str,
) -> Result<(RootHash, BTreeMap<ImagePath, Digest>)> {
    let written = verified::file_system(file, Extent::first(0).start, tree, built)?;
    let data = Extent::first(written.size);
    let hashes = data.then(verity::size_for(data.size));
    let kind = "sysext";
    let params = verified::params(built, &Purpose { kind, name });
    let root = verified::hash_tree(file, data, hashes.start, &params)?;
    let partitions = discoverable::verified_root(built.arch, root, data, hashes);
    let disk = Guid::derived(&["sysext disk", &root.to_string()]);
    gpt::write(file, gpt::disk_size(hashes), disk, &partitions)?;
    Ok((root, written.digests))
}

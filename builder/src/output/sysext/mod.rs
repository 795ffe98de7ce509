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

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use super::atomic::{AtomicFile, write_file};
use super::{Built, discoverable, manifest};
use crate::digest::Measured;
use crate::format::gpt::{self, Place};
use crate::format::guid::Guid;
use crate::format::region::Region;
use crate::format::squashfs;
use crate::format::verity::{self, Data, Params, RootHash};
use crate::tree::Tree;

const BUFFER: usize = 1 << 20;

/// Writes both files into `directory`.
pub fn write(built: &Built<'_>, directory: &Path) -> Result<Vec<manifest::Output>> {
    let name = format!("{}-sysext", built.recipe.image_name(built.arch));
    let tree = tree(built, &name).context("laying out the system extension")?;
    let image = format!("{name}.raw");
    let (written, root) = write_image(built, &tree, &name, &directory.join(&image))
        .with_context(|| format!("writing {image}"))?;
    let hash = format!("{name}.roothash");
    let text = format!("{root}\n");
    write_file(&directory.join(&hash), text.as_bytes())?;
    Ok(vec![
        written,
        manifest::Output::of(&hash, text.as_bytes()),
    ])
}

struct Image {
    measured: Measured,
    root: RootHash,
}

/// The extension's own tree.
fn tree(built: &Built<'_>, name: &str) -> Result<Tree> {
    let mut tree = layout::extension(built.tree, &built.recipe.writable)?;
    start::add(&mut tree, built.recipe, name)?;
    release::add(&mut tree, built, name)?;
    Ok(tree)
}

fn write_image(built: &Built<'_>, tree: &Tree, name: &str, to: &Path) -> Result<Image> {
    let output = AtomicFile::create(to)?;
    let root = fill(output.file(), built, tree, name)?;
    let measured = output.measure()?;
    output.commit()?;
    Ok(Image { measured, root })
}

/// Each part goes to its place in the disk image right away: nothing is
/// written twice, nothing is held.
fn fill(file: &File, built: &Built<'_>, tree: &Tree, name: &str) -> Result<RootHash> {
    let options = squashfs::Options {
        store: Some(built.store),
        ..squashfs::Options::default()
    };
    let start = Place::first(0).start;
    let mut region = BufWriter::with_capacity(BUFFER, Region::new(file, start));
    let written = squashfs::write(tree, built.locked.epoch(), &options, &mut region)?;
    region.flush().context("writing the file system")?;

    let data = Place::first(written.size);
    // Its end may be a hole, which is not there to be read yet.
    file.set_len(data.start + data.size)
        .context("making room for the file system")?;
    let hashes = data.then(verity::size_for(data.size));
    let mut region = BufWriter::with_capacity(BUFFER, Region::new(file, hashes.start));
    let range = Data {
        file,
        start: data.start,
        size: data.size,
    };
    let root = verity::write(range, &params(built, name), &mut region)?;
    region.flush().context("writing the hash tree")?;

    let partitions = discoverable::verified_root(built.arch, root, data, hashes);
    let disk = Guid::derived(&["sysext disk", &root.to_string()]);
    gpt::write(file, gpt::disk_size(hashes), disk, &partitions)?;
    Ok(root)
}

/// The salt keeps a block of one image from being of use against another's.
fn params(built: &Built<'_>, name: &str) -> Params {
    let lock = built.locked.digest().to_string();
    let salt = Sha256::new_with_prefix("nodeimg verity salt\0")
        .chain_update(name)
        .chain_update("\0")
        .chain_update(&lock);
    Params {
        salt: salt.finalize().into(),
        uuid: Guid::derived(&["sysext verity", name, &lock]),
    }
}


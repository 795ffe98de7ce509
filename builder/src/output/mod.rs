//! Outputs: one file per output, and the directory that they are written to.
//!
//! To add an output: a file with an [`Output`], which says everything about it, its `mod`
//! and its line in [`OUTPUTS`].

pub mod build;
pub mod discoverable;
mod disk;
mod inputs;
pub mod manifest;
pub mod provenance;
pub mod reuse;
pub mod sbom;
pub mod sign;
mod sysext;
mod sysupdate;
mod tarball;
mod update;
mod verified;

/// What the files of a disk are called.
pub mod disk_files {
    pub use crate::output::disk::files::{QCOW2, RAW, ZST, zst};
}

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::{self, OutDir, Turn};
use nodeimg_values::digest::Digest;
use nodeimg_values::trace;

use crate::image::boot::{self, mounts};
use crate::image::brought::Brought;
use crate::image::config::runtime_classes;
use crate::input::bring::Fetched;
use crate::input::lock::Locked;
use crate::input::recipe::output::OutputKind;
use crate::input::recipe::{Component, Recipe};
use crate::store::Store;
use crate::tree::{self, Content, ImagePath, Kind, Tree};
pub use disk::esp;
pub use disk::files::{QCOW2, RAW, ZST};
use manifest::Manifest;
use provenance::Verified;
use sbom::Bill;

/// Begins the names of what only nodeimg defines. The project has no address of its own yet:
/// a name below `.invalid` never belongs to anybody else (RFC 2606).
pub const HOME: &str = "https://nodeimg.invalid";

/// In the order in which people read them.
static OUTPUTS: &[&Output] = &[
    &tarball::OVERLAY,
    &tarball::ROOTFS,
    &sysext::OUTPUT,
    &disk::files::DISK,
    &disk::files::DISK_QCOW2,
    &disk::files::DISK_ZST,
    &disk::files::ROOT,
    &disk::files::UKI,
    &update::OUTPUT,
    &sysupdate::OUTPUT,
];

/// Of [`OUTPUTS`], for those that read recipes.
pub static KINDS: [&OutputKind; OUTPUTS.len()] = {
    let mut kinds = [&OUTPUTS[0].kind; OUTPUTS.len()];
    let mut at = 1;
    while at < kinds.len() {
        kinds[at] = &OUTPUTS[at].kind;
        at += 1;
    }
    kinds
};

/// An output, and how it is written.
struct Output {
    kind: OutputKind,
    write: Writer,
}

/// How files come into the output directory.
enum Writer {
    /// From a tree.
    Tree(fn(&Built<'_>, &Path) -> Result<Written>),
    /// From the disk, which is made once for all such outputs.
    Disk(fn(&disk::Disk, &Path) -> Result<Vec<manifest::Output>>),
    /// The disk itself.
    WholeDisk,
}

/// A finished tree, and what it was made from.
pub struct Built<'a> {
    pub recipe: &'a Recipe,
    pub locked: &'a Locked,
    pub arch: Arch,
    /// What is laid over a base system.
    pub tree: &'a Tree,
    /// That with the recipe's own base system, ready to run.
    pub rootfs: &'a Tree,
    /// What boots that, if an output is a disk.
    pub boot: Option<&'a boot::Parts>,
    /// What the recipe's author has laid in.
    pub brought: &'a Brought,
    /// The first-boot binary.
    pub firstboot: &'a Content,
    /// What the larger tree of those asked for is made of.
    pub bill: &'a Bill,
    pub fetched: &'a Fetched<'a>,
    /// Results of earlier builds are taken from here.
    pub store: &'a Store,
}

/// What came of one kind of output.
#[derive(Default)]
pub struct Written {
    pub outputs: Vec<manifest::Output>,
    /// SHA-256 of every regular file in it.
    pub digests: BTreeMap<ImagePath, Digest>,
    /// What can be verified by a root hash.
    pub verified: Vec<Verified>,
    /// Of a disk.
    pub boot: Option<sbom::boot::Boot>,
    /// Likewise.
    pub disk: Option<manifest::Disk>,
}

/// Writes every output of the recipe, the bills of materials, `manifest.json`,
/// `provenance.json` and `SHA256SUMS` into `directory`, which appears whole or not at all, and stays as it is for as
/// long as the result lives.
pub fn write_all(built: &Built<'_>, directory: &Path) -> Result<Turn> {
    let kinds = &built.recipe.outputs;
    // A recipe has its kinds from `KINDS`.
    let asked: Vec<&Output> = kinds
        .iter()
        .filter_map(|kind| OUTPUTS.iter().find(|output| output.kind == **kind))
        .copied()
        .collect();
    let of_disk = kinds.iter().any(|kind| kind.is_of_disk());
    let whole = kinds.iter().any(|kind| kind.is_whole());
    let tree = if whole { built.rootfs } else { built.tree };
    let staged = OutDir::stage(directory)?;
    let mut all = Written::default();
    for Output {
        kind,
        write: writer,
    } in &asked
    {
        // The others follow, all from one disk.
        let Writer::Tree(write) = writer else {
            continue;
        };
        let written = write(built, staged.path())?;
        all.outputs.extend(written.outputs);
        all.verified.extend(written.verified);
        // The manifest lists the files of the larger tree.
        if kind.is_whole() || !whole {
            all.digests = written.digests;
        }
    }
    if of_disk {
        let writers = asked.iter().map(|Output { write, .. }| write);
        let written = disk::write(built, writers, staged.path()).context("writing the disk")?;
        all.outputs.extend(written.outputs);
        all.verified.extend(written.verified);
        all.digests = written.digests;
        all.boot = written.boot;
        all.disk = written.disk;
    }
    if let Some(text) = runtime_classes::text(built.recipe)? {
        let name = "runtime-classes.yaml";
        atomic::write_file(&staged.path().join(name), text.as_bytes())?;
        all.outputs
            .push(manifest::Output::of(name, text.as_bytes()));
    }
    keep_digests(built, tree, &all.digests)?;
    describe(built, tree, all, staged.path())?;
    let _span = trace::stage("putting the outputs in their place");
    built.rootfs.check_unchanged()?;
    staged.commit()
}

/// What was hashed is hashed no more by the next build.
fn keep_digests(
    built: &Built<'_>,
    tree: &Tree,
    digests: &BTreeMap<ImagePath, Digest>,
) -> Result<()> {
    tree.check_unchanged()?;
    let files = digests.iter().filter_map(|(path, digest)| {
        let Kind::File(content) = &tree.get(path)?.kind else {
            return None;
        };
        Some((content, digest))
    });
    tree::keep_digests(built.store, files)
}

/// Writes what says what the outputs are: each knows those before it.
fn describe(built: &Built<'_>, tree: &Tree, all: Written, directory: &Path) -> Result<()> {
    let _span = trace::stage("writing the manifest, the bills and the provenance");
    let mut bill = built.bill.clone();
    sbom::boot::add(&mut bill, &all.outputs, all.boot.as_ref());
    let mut outputs = all.outputs;
    outputs.extend(sbom::write(&bill, directory)?);
    let mut manifest = Manifest::new(
        image(built)?,
        inputs::of(built)?,
        tree,
        &all.digests,
        outputs,
    )?;
    manifest.disk = all.disk;
    let mut listed = manifest.outputs.clone();
    let json = manifest.to_json()?;
    atomic::write_file(&directory.join("manifest.json"), json.as_bytes())?;
    listed.push(manifest::Output::of("manifest.json", json.as_bytes()));
    let provenance = provenance::statement(built, &listed, &all.verified)?;
    atomic::write_file(&directory.join(provenance::FILE), &provenance)?;
    listed.push(manifest::Output::of(provenance::FILE, &provenance));
    atomic::write_file(
        &directory.join("SHA256SUMS"),
        manifest::checksums(&listed).as_bytes(),
    )
}

fn image(built: &Built<'_>) -> Result<manifest::Image> {
    Ok(manifest::Image {
        name: built.recipe.name.to_string(),
        version: built.recipe.version.to_string(),
        arch: built.arch,
        recipe: built.recipe.digest(),
        epoch: built.locked.epoch(),
        writable: built.recipe.writable.clone(),
        mounts: match built.boot {
            Some(_) => mounts::of(built.recipe)?,
            None => Vec::new(),
        },
        components: components(built),
    })
}

/// Those of its packages, beside `main`.
fn components(built: &Built<'_>) -> Vec<String> {
    let packages = built.fetched.packages.iter();
    let all: BTreeSet<Component> = packages.map(|(pin, _)| pin.component()).collect();
    let others = all.iter().filter(|component| !component.is_main());
    others.map(ToString::to_string).collect()
}

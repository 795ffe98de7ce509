//! `disk.raw`: a bootable disk, and the outputs made from it.
//!
//! ```text
//!  1 MiB   esp      FAT32: systemd-boot, the UKI
//!          hashes   the root's dm-verity tree; its partition has a slot's size
//!          root     SquashFS, read-only; its partition ends where it ends
//! ```
//! The file ends there, with the second partition table: `disk.size` is what the machine's disk
//! has, and the table grows with it at the first boot, as it does on a drive. A digest of the
//! file would have to go through every zero of it. A `disk.qcow2` tells its size in its header.
//!
//! At its first boot a node adds slot B and the state ([`Slot`]). Partitions of
//! root and hashes are found by their types and their GUIDs, which are the two
//! halves of the root hash ([`discoverable`]).
//!
//! | output | file | what it is |
//! |---|---|---|
//! | `disk` | `disk.raw` | the disk itself |
//! | `disk-qcow2` | `disk.qcow2` | for a virtual machine |
//! | `disk-zst` | `disk.raw.zst` | compressed |
//! | `root` | `root.squashfs`, `root.verity`, `root.roothash` | its root, apart |
//! | `uki` | `uki.efi` | its kernel, apart |
//! | `update` | `NAME_VERSION_ARCH.*` | root, hash tree and kernel, for nodes that are there ([`super::update`]) |
//!
//! # Invariants
//! - The root is written once, into its place, whatever is asked for.
//! - The bytes depend on the tree, the recipe and its lock alone.

pub mod esp;
pub mod files;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_formats::gpt::{self, Extent, Partition, SECTOR};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::update::label;
use nodeimg_formats::verity::{self, RootHash};
use nodeimg_values::atomic::AtomicFile;
use nodeimg_values::digest::Digest;
use nodeimg_values::parallel::beside;
use nodeimg_values::trace;

use super::provenance::Verified;
use super::sbom::boot::Boot;
use super::update::About;
use super::verified::{self, Purpose};
use super::{Built, Writer, Written, discoverable, manifest};
use crate::image::boot::{self, Slot};
use crate::tree::{ImagePath, Kind, Tree};

/// A disk under way, with all that is known of it.
pub struct Disk {
    file: AtomicFile,
    pub root: Extent,
    pub hashes: Extent,
    pub root_hash: RootHash,
    /// Of the machine's disk, in bytes, if the recipe says it.
    pub machine_size: Option<u64>,
    pub uki: Vec<u8>,
    pub about: About,
}

/// Writes the outputs of these writers that are a disk, or of one, into `directory`.
pub fn write<'a>(
    built: &Built<'_>,
    writers: impl Iterator<Item = &'a Writer>,
    directory: &Path,
) -> Result<Written> {
    let file = AtomicFile::create(&directory.join(files::RAW))?;
    let (disk, digests) = fill(file, built)?;
    let verified = vec![Verified {
        name: "root".to_owned(),
        hash: disk.root_hash,
    }];
    let parts = built
        .boot
        .context("the tree was not made into a disk's root")?;
    let boot = Boot::of(parts, &disk.uki, disk.root_hash)?;
    let table = gpt::read(disk.file.file()).context("reading the partition table again")?;
    let described = manifest::Disk {
        machine_size: disk.machine_size,
        ..manifest::Disk::from(&table)
    };
    Ok(Written {
        outputs: files::write(disk, writers, directory)?,
        digests,
        verified,
        boot: Some(boot),
        disk: Some(described),
    })
}

/// Each part goes to its place right away.
fn fill(output: AtomicFile, built: &Built<'_>) -> Result<(Disk, BTreeMap<ImagePath, Digest>)> {
    let file = output.file();
    let slot = match built.recipe.disk.slot_size {
        Some(size) => Slot::sized(size.0),
        None => Slot::of(contents(built.rootfs)),
    };
    let esp = Extent::first(esp::size(&built.recipe.disk));
    let hashes = esp.then(slot.hashes);
    let name = built.recipe.image_name(built.arch);
    let purpose = Purpose {
        kind: "disk",
        name: &name,
    };
    let params = verified::params(built, &purpose);
    let parts = built
        .boot
        .context("the tree was not made into a disk's root")?;
    let request = request(built, slot);
    // It is one stream that one core compresses, and it does not depend on the root hash.
    let (initrd, root) = beside(
        || parts.initrd(&request),
        || root(file, hashes, slot, &params, built),
    );
    let Root {
        place: root,
        hash: root_hash,
        digests,
    } = root?;
    let making = trace::stage("making the UKI");
    let uki = initrd
        .and_then(|initrd| parts.uki(&request, &initrd, root_hash))
        .context("making the UKI")?;
    drop(making);
    let _span = trace::stage("writing the EFI system partition");
    esp::write(file, esp, built, &uki).context("writing the EFI system partition")?;
    let machine_size = machine_size(built, root)?;
    let places = Places { esp, hashes, root };
    table(file, built, &places, root_hash)?;
    let hashes = Extent {
        size: verity::size_for(root.size),
        ..hashes
    };
    let disk = Disk {
        file: output,
        root,
        hashes,
        root_hash,
        machine_size,
        uki,
        about: About {
            id: built.recipe.name.to_string(),
            version: built.recipe.image_version(built.locked.epoch()),
            architecture: built.arch.name(),
            salt: params.salt,
            slot: slot.root,
            rollout: built.recipe.rollout.clone(),
        },
    };
    Ok((disk, digests))
}

/// Of all files, in bytes: what a root of them takes, if nothing can be compressed.
fn contents(tree: &Tree) -> u64 {
    tree.iter()
        .filter_map(|(_, node)| match &node.kind {
            Kind::File(content) => Some(content.len()),
            Kind::Directory | Kind::Symlink(_) => None,
        })
        .sum()
}

/// A root file system that was written, with its hash tree.
struct Root {
    place: Extent,
    hash: RootHash,
    digests: BTreeMap<ImagePath, Digest>,
}

/// Writes the root behind the room of its hash tree, then that.
fn root(
    file: &File,
    hashes: Extent,
    slot: Slot,
    params: &verity::Params,
    built: &Built<'_>,
) -> Result<Root> {
    let written = verified::file_system(file, hashes.then(0).start, built.rootfs, built)?;
    if written.size > slot.root {
        bail!(
            "the root has {} bytes, which do not fit into its slot of {} bytes: give `disk.slot_size` \
             more, twice the root's size to leave room for updates, or leave it out",
            written.size,
            slot.root
        );
    }
    let place = hashes.then(written.size);
    Ok(Root {
        place,
        hash: verified::hash_tree(file, place, hashes.start, params)?,
        digests: written.digests,
    })
}

fn request<'a>(built: &'a Built<'_>, slot: Slot) -> boot::Request<'a> {
    boot::Request {
        recipe: built.recipe,
        arch: built.arch,
        epoch: built.locked.epoch(),
        tree: built.rootfs,
        slot,
        store: built.store,
    }
}

/// Where the partitions are.
struct Places {
    esp: Extent,
    hashes: Extent,
    root: Extent,
}

fn table(file: &File, built: &Built<'_>, places: &Places, root: RootHash) -> Result<()> {
    let Places {
        esp: esp_place,
        hashes,
        root: data,
    } = *places;
    let [data, hashes] = discoverable::verified_root(built.arch, root, data, hashes);
    // By its label a slot says which version is in it, as systemd-sysupdate has it.
    let version = built.recipe.image_version(built.locked.epoch());
    let name = &label(built.recipe.name.as_str(), &version);
    let partitions = [
        esp::partition(built, esp_place),
        Partition { name, ..hashes },
        Partition { name, ..data },
    ];
    let disk = Guid::derived(&["disk", &root.to_string()]);
    gpt::write(file, gpt::disk_size(places.root), disk, &partitions)
}

/// Of the machine's disk, if the recipe says it.
fn machine_size(built: &Built<'_>, last: Extent) -> Result<Option<u64>> {
    let needed = gpt::disk_size(last);
    let Some(wanted) = built.recipe.disk.size else {
        return Ok(None);
    };
    if wanted.0 < needed {
        bail!(
            "`disk.size` is {} bytes, but this image needs {needed} ({} MiB): set it to at least \
             that, or leave it out",
            wanted.0,
            needed.div_ceil(1 << 20)
        );
    }
    if !wanted.0.is_multiple_of(SECTOR) {
        bail!(
            "`disk.size` is {} bytes, which is not a whole number of sectors of {SECTOR} bytes",
            wanted.0
        );
    }
    Ok(Some(wanted.0))
}

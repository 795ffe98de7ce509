//! The EFI system partition: the boot loader and what it starts.
//!
//! ```text
//! EFI/BOOT/BOOTX64.EFI      systemd-boot, where firmware looks on any disk
//! EFI/Linux/NAME_VERSION+3.efi  the UKI, by `Recipe::build_name`; may fail three times
//! loader/loader.conf        no waiting, no editing of command lines
//! ```
//! systemd-boot starts the newest version that is there
//! ([Boot Loader Specification](https://uapi-group.org/specifications/specs/boot_loader_specification/)):
//! an update adds its own beside the one that runs. One that has failed three times is its
//! last choice ([Automatic Boot Assessment](https://systemd.io/AUTOMATIC_BOOT_ASSESSMENT/));
//! where it is the only one, it is started all the same.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context, Result, bail};
use nodeimg_formats::fat;
use nodeimg_formats::gpt::{Extent, Partition, SECTOR};
use nodeimg_formats::guid::Guid;
use nodeimg_formats::region::Region;

use crate::image::boot::efi_name;
use crate::input::recipe::file::DiskPart;
use crate::output::Built;
use crate::tree::Content;

/// Of the file system.
pub const LABEL: &str = "ESP";
/// Of the partition.
pub use nodeimg_formats::gpt::kinds::ESP as KIND;
/// In bytes: two UKIs and more.
const DEFAULT_SIZE: u64 = 256 << 20;
const BUFFER: usize = 1 << 20;
const TRIES: u32 = 3;
/// Whoever could edit the command line could name another root.
pub const LOADER: &[u8] = b"timeout 0\neditor no\n";

/// As the recipe says, in bytes.
pub fn size(disk: &DiskPart) -> u64 {
    let size = disk.esp_size.map_or(DEFAULT_SIZE, |size| size.0);
    size.next_multiple_of(SECTOR)
}

/// Writes the file system to `place` of `file`.
pub fn write(file: &File, place: Extent, built: &Built<'_>, uki: &[u8]) -> Result<()> {
    let parts = built
        .boot
        .context("the tree was not made into a disk's root")?;
    let uki = Content::inline(uki);
    let loader = Content::inline(LOADER);
    let removable = format!("EFI/BOOT/BOOT{}.EFI", efi_name(built.arch).to_uppercase());
    let files = [
        (removable, &parts.loader),
        (uki_path(built), &uki),
        ("loader/loader.conf".to_owned(), &loader),
    ];
    let files = files.map(|(path, content)| fat::File { path, content });
    let needed = fat::min_size(&files)?;
    if place.size < needed {
        bail!(
            "`disk.esp_size` is {} bytes, but the kernel and boot loader need {needed} ({} MiB): \
             set it to at least that, and to twice as much to leave room for an update",
            place.size,
            needed.div_ceil(1 << 20)
        );
    }
    let options = fat::Options {
        size: place.size,
        label: LABEL,
        volume_id: volume_id(guid(built)),
        epoch: built.locked.epoch(),
    };
    let mut region = BufWriter::with_capacity(BUFFER, Region::new(file, place.start));
    fat::write(&files, &options, &mut region)?;
    region.flush().context("writing the file system")
}

/// Another build of the recipe, by another lock, has another: it is put beside this one.
/// The number behind `+` is how often it may yet fail to boot.
fn uki_path(built: &Built<'_>) -> String {
    let name = built.recipe.build_name(built.locked.epoch());
    format!("EFI/Linux/{name}+{TRIES}.efi")
}

pub fn partition(built: &Built<'_>, place: Extent) -> Partition<'static> {
    Partition {
        kind: KIND,
        unique: guid(built),
        name: "esp",
        flags: 0,
        place,
    }
}

fn guid(built: &Built<'_>) -> Guid {
    let name = built.recipe.image_name(built.arch);
    Guid::derived(&["esp", &name, &built.locked.digest().to_string()])
}

/// The file system's, from the partition's GUID.
pub fn volume_id(guid: Guid) -> u32 {
    let [a, b, c, d, ..] = guid.bytes();
    u32::from_be_bytes([a, b, c, d])
}

//! `sysupdate`: what nodes that update themselves by systemd-sysupdate fetch.
//!
//! ```text
//! NAME_VERSION_ARCH_UUID.verity.raw   the hash tree, for a partition with this UUID
//! NAME_VERSION_ARCH_UUID.root.raw     the root, likewise
//! NAME_VERSION_ARCH.efi               the UKI
//! ```
//! ARCH is systemd's name of it. The image's transfer files have the patterns
//! ([`crate::input::recipe::sysupdate`]), and `SHA256SUMS` lists the files. The raw ones are as
//! they are: what they hold is compressed.

use std::path::Path;

use anyhow::Result;
use nodeimg_values::atomic::write_file;

use super::disk::Disk;
use super::disk::files::part;
use super::manifest::Output as Listed;
use super::{Output, Writer};
use crate::input::recipe::output::{Contents, OutputKind};
use crate::input::recipe::sysupdate::{architecture, stem};

pub static OUTPUT: Output = Output {
    kind: OutputKind {
        name: "sysupdate",
        summary: "root, hash tree and UKI under the names that systemd-sysupdate looks for: what a\n\
                  node with an older version of the image fetches if `[update]` says\n\
                  `sysupdate = true`.",
        contents: Contents::Disk,
    },
    write: Writer::Disk(write),
};

fn write(disk: &Disk, directory: &Path) -> Result<Vec<Listed>> {
    let about = &disk.about;
    let stem = stem(&about.id, &about.version, architecture(about.architecture));
    let (root, verity) = disk.root_hash.halves();
    let uki = format!("{stem}.efi");
    write_file(&directory.join(&uki), &disk.uki)?;
    Ok(vec![
        part(
            disk,
            disk.hashes,
            directory,
            &format!("{stem}_{verity}.verity.raw"),
        )?,
        part(
            disk,
            disk.root,
            directory,
            &format!("{stem}_{root}.root.raw"),
        )?,
        Listed::of(&uki, &disk.uki),
    ])
}

//! A system extension with the signature of its root hash in a partition of its own
//! ([Discoverable Disk Images](https://uapi-group.org/specifications/specs/discoverable_partitions_specification/#verity)).

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use nodeimg_formats::gpt::{self, Extent};
use nodeimg_formats::guid::Guid;
use nodeimg_values::arch::Arch;

use super::esp::copy;
use crate::output::discoverable;

/// Behind the name of the extension.
pub const IMAGE: &str = "-sysext.raw";
pub const ROOT_HASH: &str = "-sysext.roothash";
/// Of the partition, as systemd-repart makes it.
pub const SIZE: u64 = 16 << 10;

/// The text in the partition of the signature; `None` if there is no such partition.
pub fn signature(image: &File) -> Result<Option<Vec<u8>>> {
    let table = gpt::read(image)?;
    let mut all = table.partitions.iter();
    let Some(entry) = all.find(|entry| discoverable::is_signature(entry.kind)) else {
        return Ok(None);
    };
    let mut text = vec![0; entry.place.size.min(SIZE) as usize];
    image
        .read_exact_at(&mut text, entry.place.start)
        .context("reading the signature")?;
    let end = text.iter().position(|byte| *byte == 0);
    text.truncate(end.unwrap_or(text.len()));
    Ok(Some(text))
}

/// Writes the extension to `to`, which is empty, with this signature.
pub fn write(image: &File, arch: Arch, text: &[u8], to: &File) -> Result<()> {
    let table = gpt::read(image)?;
    let others = table.partitions.iter();
    let others: Vec<_> = others
        .filter(|entry| !discoverable::is_signature(entry.kind))
        .collect();
    let Some(last) = others.last() else {
        bail!("has no partitions");
    };
    if text.len() as u64 > SIZE {
        bail!(
            "its signature has {} bytes, but its partition {SIZE}",
            text.len()
        );
    }
    let place = last.place.then(SIZE);
    let hash = others.iter().map(|entry| entry.unique.to_string());
    let hash: Vec<String> = hash.collect();
    let words: Vec<&str> = ["verity signature"]
        .into_iter()
        .chain(hash.iter().map(String::as_str))
        .collect();
    let mut partitions: Vec<_> = others.iter().map(|entry| entry.partition()).collect();
    partitions.push(discoverable::signature(arch, Guid::derived(&words), place));
    for entry in &others {
        let Extent { start, size } = entry.place;
        to.set_len(start + size)
            .context("making room for the extension")?;
        copy(image, to, start, start + size)?;
    }
    gpt::write(to, gpt::disk_size(place), table.disk, &partitions)?;
    to.write_all_at(text, place.start)
        .context("writing the signature")
}

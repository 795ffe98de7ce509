//! Unpacks a qcow2 image into a raw disk.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};

/// The places of an L1 or L2 entry's cluster, without the flags around them.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
/// Of version 3: the cluster reads as zeros.
const ZERO: u64 = 1;
/// In bytes; QEMU's own limits.
const LARGEST: u64 = 1 << 42;
const MAX_L1: u64 = 32 << 20;

/// Writes the disk of the qcow2 image in `file` to `raw`, which is empty; zeros become holes.
///
/// # Errors
/// The image is encrypted, compressed, based on another one, or damaged.
pub fn read(file: &File, raw: &File) -> Result<()> {
    let header = bytes(file, 0, 104).context("the qcow2 header is cut short")?;
    let short = |at: usize| u64::from(be32(&header[at..]));
    let (version, size, bits) = (short(4), be64(&header[24..]), short(20));
    if !header.starts_with(b"QFI\xfb") {
        bail!("is not a qcow2 image");
    }
    if be64(&header[8..]) != 0 {
        bail!(
            "is a qcow2 image on top of another one, which nodeimg does not follow: convert it with `qemu-img convert`"
        );
    }
    if !(2..=3).contains(&version) || !(9..=21).contains(&bits) || short(32) != 0 {
        bail!(
            "is a qcow2 image of a kind that nodeimg does not read: convert it with `qemu-img convert -O raw`"
        );
    }
    // Dirty and corrupt are the only features that change nothing of the layout.
    if version == 3 && be64(&header[72..]) & !3 != 0 {
        bail!(
            "is a qcow2 image with features that nodeimg does not read: convert it with `qemu-img convert -O raw`"
        );
    }
    if size > LARGEST {
        bail!("is a qcow2 image of {size} bytes, more than {LARGEST}");
    }
    let cluster = 1u64 << bits;
    let per_table = cluster / 8;
    let l1_length = short(36) * 8;
    if l1_length > MAX_L1 {
        bail!("is damaged: its L1 table has {l1_length} bytes");
    }
    // Each cluster of the disk is one of the file.
    let mut left = file.metadata().context("reading a qcow2 image")?.len() / cluster + 1;
    let l1 = bytes(file, be64(&header[40..]), l1_length as usize).context("the L1 table")?;
    for (number, entry) in l1.chunks_exact(8).enumerate() {
        let place = be64(entry) & OFFSET;
        if place == 0 {
            continue;
        }
        take(&mut left)?;
        let table = bytes(file, place, cluster as usize).context("an L2 table")?;
        for (index, entry) in table.chunks_exact(8).enumerate() {
            let entry = be64(entry);
            let place = entry & OFFSET;
            if entry & COMPRESSED != 0 {
                bail!(
                    "is a compressed qcow2 image, which nodeimg does not read: convert it with `qemu-img convert -O raw`"
                );
            }
            let at = (number as u64 * per_table + index as u64) * cluster;
            if place == 0 || entry & ZERO != 0 || at >= size {
                continue;
            }
            take(&mut left)?;
            let length = cluster.min(size - at) as usize;
            let content = bytes(file, place, length).context("a cluster")?;
            raw.write_all_at(&content, at)
                .context("writing the raw disk")?;
        }
    }
    raw.set_len(size).context("writing the raw disk")
}

fn take(left: &mut u64) -> Result<()> {
    let Some(rest) = left.checked_sub(1) else {
        bail!("is damaged: its tables name more clusters than the file has");
    };
    *left = rest;
    Ok(())
}

fn bytes(file: &File, at: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at)
        .context("cannot be read: the image is cut short or damaged")?;
    Ok(bytes)
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn be64(bytes: &[u8]) -> u64 {
    u64::from(be32(bytes)) << 32 | u64::from(be32(&bytes[4..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_disk_comes_back_as_it_was() {
        let raw = tempfile::tempfile().unwrap();
        raw.set_len(70 << 20).unwrap();
        raw.write_all_at(&[7; 70_000], 100).unwrap();
        raw.write_all_at(b"end", (70 << 20) - 3).unwrap();
        let mut image = tempfile::tempfile().unwrap();
        super::super::write(&raw, raw.metadata().unwrap().len(), &mut image).unwrap();
        let back = tempfile::tempfile().unwrap();
        read(&image, &back).unwrap();
        let all = |file: &File| bytes(file, 0, file.metadata().unwrap().len() as usize).unwrap();
        assert!(all(&raw) == all(&back));
    }

    #[test]
    fn a_cut_image_is_refused() {
        let raw = tempfile::tempfile().unwrap();
        raw.set_len(1 << 20).unwrap();
        raw.write_all_at(&[7; 70_000], 100).unwrap();
        let mut image = tempfile::tempfile().unwrap();
        let length = super::super::write(&raw, raw.metadata().unwrap().len(), &mut image).unwrap();
        for cut in [length / 2, 65_536, 103, 0] {
            image.set_len(cut).unwrap();
            let error = read(&image, &tempfile::tempfile().unwrap()).unwrap_err();
            assert!(
                format!("{error:#}").contains("cut short"),
                "{cut}: {error:#}"
            );
        }
    }
}

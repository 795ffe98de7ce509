//! Reads an image that [`super::write`] has made.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};

use super::{CLUSTER, CLUSTER_BITS, MAX_SIZE, PER_TABLE};

const PLACE: u64 = 0x00ff_ffff_ffff_fe00;

/// Writes the disk that `image` holds to `to`, which is empty; clusters of zeros stay holes.
///
/// # Errors
/// It is not such an image (another version, a backing file, compressed clusters), or damaged.
pub fn read(image: &File, to: &File) -> Result<()> {
    let context = "reading a qcow2 image";
    let mut header = [0; 104];
    image.read_exact_at(&mut header, 0).context(context)?;
    let number = |at: usize, length: usize| {
        let bytes = header[at..at + length].iter();
        bytes.fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let is_ours = header.starts_with(b"QFI\xfb")
        && number(4, 4) == 3
        && number(8, 8) == 0
        && number(20, 4) == u64::from(CLUSTER_BITS)
        && number(32, 4) == 0
        && number(60, 4) == 0
        && number(72, 8) == 0;
    let (size, l1) = (number(24, 8), number(40, 8));
    if !is_ours || size > MAX_SIZE || number(36, 4) < size.div_ceil(CLUSTER * PER_TABLE) {
        bail!("is not a qcow2 image as nodeimg writes it");
    }
    to.set_len(size).context("making room for the disk")?;
    let table = |place: u64, length: u64| -> Result<Vec<u64>> {
        let mut bytes = vec![0; length as usize * 8];
        image.read_exact_at(&mut bytes, place).context(context)?;
        let entries = bytes.chunks_exact(8);
        Ok(entries
            .map(|entry| {
                entry
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
            })
            .collect())
    };
    let mut cluster = vec![0; CLUSTER as usize];
    let tables = table(l1, size.div_ceil(CLUSTER * PER_TABLE))?;
    for (index, entry) in (0u64..).zip(tables).filter(|(_, entry)| entry & PLACE != 0) {
        for (within, entry) in (0u64..).zip(table(entry & PLACE, PER_TABLE)?) {
            let at = (index * PER_TABLE + within) * CLUSTER;
            if entry & PLACE == 0 || at >= size {
                continue;
            }
            if entry & 1 << 62 != 0 {
                bail!("is not a qcow2 image as nodeimg writes it: it is compressed");
            }
            let length = CLUSTER.min(size - at) as usize;
            image
                .read_exact_at(&mut cluster[..length], entry & PLACE)
                .context(context)?;
            to.write_all_at(&cluster[..length], at)
                .context("writing the disk (is there no room?)")?;
        }
    }
    Ok(())
}

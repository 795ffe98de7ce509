//! A seed directory as the medium that first boot looks for: a FAT file system
//! on a disk of its own, without a partition table.
//!
//! `meta-data` and `user-data` make it a NoCloud medium, labelled `CIDATA`
//! ([NoCloud](https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html)),
//! `openstack/` a config drive, `CONFIG-2`
//! ([config drive](https://docs.openstack.org/nova/latest/admin/config-drive.html)).

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_formats::fat;
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;
use walkdir::WalkDir;

/// A seed is a few files of text; more is a mistaken directory.
const MOST: u64 = 64 << 20;
/// Of every medium: nothing looks at it. FAT begins in 1980; this is 2000.
const EPOCH: Epoch = Epoch(946_684_800);

/// Writes the medium of `directory` to `to`, a new file.
pub fn write(directory: &Path, to: &mut File) -> Result<()> {
    let shown = directory.display();
    let label = label(directory)?;
    let files = read(directory).with_context(|| format!("reading the seed {shown}"))?;
    medium(&files, label, to).with_context(|| format!("writing the seed {shown} to a volume"))
}

/// Every file of a seed's directory, by its path on a volume.
///
/// # Errors
/// It has the layout of no seed, or cannot be read.
pub fn files(directory: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    label(directory)?;
    read(directory).with_context(|| format!("reading the seed {}", directory.display()))
}

/// A medium with this label of files, each by its path on it.
pub fn medium(files: &[(String, Vec<u8>)], label: &str, to: &mut File) -> Result<()> {
    let volume_id = volume_id(files);
    let files: Vec<_> = files
        .iter()
        .map(|(path, content)| fat::File {
            path: path.clone(),
            content,
        })
        .collect();
    let options = fat::Options {
        size: fat::min_size(&files)?.max(fat::MIN_SIZE),
        label,
        volume_id,
        epoch: EPOCH,
    };
    fat::write(&files, &options, to)
}

/// Of the files' content: a node knows its seed's medium by this number, so that another
/// seed must have another one, and the same seed the same at every boot.
fn volume_id(files: &[(String, Vec<u8>)]) -> u32 {
    let mut digests = String::new();
    for (path, content) in files {
        for bytes in [path.as_bytes(), content] {
            digests.push_str(Digest::sha256(bytes).hex());
        }
    }
    let digest = Digest::sha256(digests.as_bytes());
    let first = digest.hex().get(..8).unwrap_or_default();
    // Zero is the id of a volume that has none.
    u32::from_str_radix(first, 16).unwrap_or_default().max(1)
}

/// Which of the two layouts it is.
fn label(directory: &Path) -> Result<&'static str> {
    let shown = directory.display();
    let has = |name: &str| directory.join(name).exists();
    match (has("meta-data"), has("user-data"), has("openstack")) {
        (true, true, false) => Ok("CIDATA"),
        (false, false, true) => Ok("CONFIG-2"),
        (false, false, false) => bail!(
            "the seed {shown} holds neither `meta-data` and `user-data` nor a directory `openstack`"
        ),
        (_, _, true) => {
            bail!("the seed {shown} holds both NoCloud's files and `openstack`: keep one of them")
        }
        (has_meta, _, false) => {
            let lacks = if has_meta { "user-data" } else { "meta-data" };
            bail!("the seed {shown} lacks `{lacks}`, which is needed but may be empty")
        }
    }
}

/// Every file by its path on the medium.
fn read(directory: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut left = MOST;
    for entry in WalkDir::new(directory)
        .follow_links(true)
        .sort_by_file_name()
    {
        let entry = entry?;
        if entry.file_type().is_dir() {
            continue;
        }
        let path = entry.path();
        let shown = path.display();
        if !entry.file_type().is_file() {
            bail!("{shown} is neither a file nor a directory");
        }
        let bytes = match left.checked_sub(entry.metadata()?.len()) {
            Some(rest) => {
                left = rest;
                fs::read(path).with_context(|| format!("reading {shown}"))?
            }
            None => bail!("it has more than {} MiB, the limit for a seed", MOST >> 20),
        };
        let Some(name) = path.strip_prefix(directory)?.to_str() else {
            bail!("{shown}: the name is not UTF-8");
        };
        files.push((name.to_owned(), bytes));
    }
    Ok(files)
}

#[cfg(test)]
mod tests;

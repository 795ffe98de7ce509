//! The files of a tar.

use std::io::Read;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};

use super::contents::{File, Listing, Reading, What};
use crate::verify::known::Known;
use crate::verify::step::Fault;

/// Reads a file from its start, whoever reads it otherwise.
struct FromStart<'a> {
    file: &'a std::fs::File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Of an archive under zstd that is listed.
pub fn listing(known: &Known, name: &str) -> Result<Listing, Fault> {
    let Some(listed) = known.files.get(name) else {
        return Ok(Listing::default());
    };
    let from = FromStart {
        file: &listed.file,
        at: 0,
    };
    read(from).map_err(|error| Fault::from(error).at(name))
}

fn read(from: impl Read) -> Result<Listing> {
    let decoder = zstd::Decoder::new(from).context("it is not compressed with zstd")?;
    let mut archive = tar::Archive::new(decoder);
    let mut listing = Listing::default();
    for entry in archive.entries().context("reading the tar")? {
        let mut entry = entry.context("reading the tar")?;
        let path = entry.path_bytes().into_owned();
        let path = String::from_utf8(path).context("a path is not UTF-8")?;
        let path = format!("/{}", path.trim_end_matches('/'));
        let header = entry.header();
        let (mode, kind) = (header.mode()? & 0o7777, header.entry_type());
        let (uid, gid) = (header.uid()?, header.gid()?);
        let of = |what| File {
            mode,
            uid,
            gid,
            what,
        };
        if listing.files.contains_key(&path) {
            bail!("`{}` is there twice", path.escape_debug());
        }
        if kind.is_file() {
            let size = entry.size();
            let read = Reading::of(&path, mode, size)
                .all(&mut entry)
                .with_context(|| format!("reading `{}`", path.escape_debug()))?;
            let file = of(What::File {
                size: read.size,
                sha256: read.sha256.clone(),
            });
            listing.add(&path, file, read);
            continue;
        }
        let what = match kind {
            tar::EntryType::Directory => What::Directory,
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().context("a link without a target")?;
                What::Symlink(
                    String::from_utf8(target.into_owned()).context("a link is not UTF-8")?,
                )
            }
            _ => What::Other,
        };
        listing.files.insert(path, of(what));
    }
    Ok(listing)
}

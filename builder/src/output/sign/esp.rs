//! The EFI system partition of a disk that was built: its files are read, signed, and written
//! by the writer that wrote them first, so that whoever does the same has the same bytes.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use nodeimg_formats::gpt::{self, Extent};
use nodeimg_formats::region::Region;
use nodeimg_formats::{fat, qcow2, sparse};
use nodeimg_values::epoch::Epoch;
use nodeimg_values::temporary;

use super::target::Target;
use crate::output::disk::{esp as partition, files};

/// From where systemd-boot enrols the keys of Secure Boot.
pub const ENROLL: &str = "loader/keys/auto/";
const BUFFER: usize = 1 << 20;

/// The partition, and the disk that it is on.
pub struct Esp {
    /// The whole disk, uncompressed.
    pub disk: File,
    pub place: Extent,
    pub contents: fat::Contents,
}

impl Esp {
    /// Of whichever form of the disk is there; `None` if there is none.
    pub fn of(target: &Target) -> Result<Option<Esp>> {
        let found = [files::RAW, files::ZST, files::QCOW2].into_iter();
        let Some(name) = found.into_iter().find(|name| target.has(name)) else {
            return Ok(None);
        };
        let context = || target.path(name).display().to_string();
        let disk = raw(target, name).with_context(context)?;
        let table = gpt::read(&disk).with_context(context)?;
        let mut all = table.partitions.iter();
        let Some(entry) = all.find(|entry| entry.kind == partition::KIND) else {
            bail!("{} has no EFI system partition", context());
        };
        let place = entry.place;
        let contents = fat::read(&disk, place.start, place.size)
            .context("the EFI system partition")
            .with_context(context)?;
        Ok(Some(Esp {
            disk,
            place,
            contents,
        }))
    }

    /// Whether these are the files that it has.
    pub fn holds(&self, files: &[(String, Vec<u8>)]) -> bool {
        let pairs = self.contents.files.iter();
        pairs.eq(files.iter().map(|(path, bytes)| (path, bytes)))
    }

    /// Writes the disk to `to`, which is empty, with these files instead of its own.
    pub fn write(&self, files: &[(String, Vec<u8>)], epoch: Epoch, to: &File) -> Result<()> {
        let size = self.disk.metadata().context("reading the disk")?.len();
        to.set_len(size).context("making room for the disk")?;
        let end = self.place.start + self.place.size;
        copy(&self.disk, to, 0, self.place.start)?;
        copy(&self.disk, to, end, size)?;
        let options = fat::Options {
            size: self.place.size,
            label: &self.contents.label,
            volume_id: self.contents.volume_id,
            epoch,
        };
        let files: Vec<fat::File<'_>> = files
            .iter()
            .map(|(path, content)| fat::File {
                path: path.clone(),
                content,
            })
            .collect();
        let needed = fat::min_size(&files)?;
        if self.place.size < needed {
            bail!(
                "the EFI system partition has {} bytes, but with signatures its files need \
                 {needed}: set the recipe's `disk.esp_size` to at least that, and build again",
                self.place.size
            );
        }
        let mut region = BufWriter::with_capacity(BUFFER, Region::new(to, self.place.start));
        fat::write(&files, &options, &mut region)?;
        region.flush().context("writing the EFI system partition")
    }
}

/// Whether a file of an ESP is a program, by its name.
pub fn is_program(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".efi")
}

/// The disk in this form, uncompressed.
fn raw(target: &Target, name: &str) -> Result<File> {
    let file = target.file(name)?;
    if name == files::RAW {
        return Ok(file);
    }
    let disk = tempfile::tempfile_in(temporary::large()).context("making a temporary file")?;
    if name == files::QCOW2 {
        qcow2::read(&file, &disk)?;
        return Ok(disk);
    }
    let mut decoder = zstd::Decoder::new(file).context("decompressing")?;
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    loop {
        let read = fill(&mut decoder, &mut buffer).context("decompressing")?;
        if buffer[..read].iter().any(|byte| *byte != 0) {
            disk.write_all_at(&buffer[..read], at)
                .context("writing a temporary file")?;
        }
        at += read as u64;
        if read < buffer.len() {
            disk.set_len(at).context("writing a temporary file")?;
            return Ok(disk);
        }
    }
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Copies what lies from `start` to `end`; holes stay holes.
pub fn copy(from: &File, to: &File, start: u64, end: u64) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut at = start;
    while let Some(data) = sparse::next_data(from, at).context("reading the disk")? {
        at = data.start.max(start);
        let stop = data.end.min(end);
        while at < stop {
            let length = (stop - at).min(BUFFER as u64) as usize;
            let part = &mut buffer[..length];
            from.read_exact_at(part, at).context("reading the disk")?;
            to.write_all_at(part, at)
                .context("writing the disk (is there no room?)")?;
            at += length as u64;
        }
        if data.end >= end {
            break;
        }
        at = data.end;
    }
    Ok(())
}

//! The files that a disk is written as.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use nodeimg_formats::gpt::Extent;
use nodeimg_formats::qcow2;
use nodeimg_values::atomic::{AtomicFile, write_file};
use nodeimg_values::digest::HashingWriter;

use super::Disk;
use crate::input::recipe::file::OutputKind;
use crate::output::manifest::Output;
use crate::output::tarball::{self, Compression};

pub const RAW: &str = "disk.raw";
const QCOW2: &str = "disk.qcow2";
const ZST: &str = "disk.raw.zst";
const BUFFER: usize = 1 << 20;

/// Writes those of `kinds` that are a disk's, and of `RAW` keeps or drops what
/// is there already.
pub fn write(disk: Disk, kinds: &[OutputKind], directory: &Path) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for kind in kinds {
        match kind {
            OutputKind::DiskQcow2 => outputs.push(qcow2(&disk, directory)?),
            OutputKind::DiskZst => outputs.push(zst(&disk, directory)?),
            OutputKind::Root => outputs.extend(root(&disk, directory)?),
            OutputKind::Uki => {
                write_file(&directory.join("uki.efi"), &disk.uki)?;
                outputs.push(Output::of("uki.efi", &disk.uki));
            }
            // The last, since the others read it.
            OutputKind::Disk | OutputKind::Overlay | OutputKind::RootfsTar | OutputKind::Sysext => {
            }
        }
    }
    if kinds.contains(&OutputKind::Disk) {
        outputs.push(committed(disk.file, RAW)?);
    }
    Ok(outputs)
}

fn committed(file: AtomicFile, name: &str) -> Result<Output> {
    let measured = file.measure()?;
    file.commit()?;
    Ok(Output {
        file: name.to_owned(),
        size: measured.size,
        sha256: measured.sha256,
    })
}

fn qcow2(disk: &Disk, directory: &Path) -> Result<Output> {
    let file = AtomicFile::create(&directory.join(QCOW2))?;
    let mut to = BufWriter::with_capacity(BUFFER, file.file());
    qcow2::write(disk.file.file(), &mut to).with_context(|| format!("writing {QCOW2}"))?;
    to.flush().with_context(|| format!("writing {QCOW2}"))?;
    drop(to);
    committed(file, QCOW2)
}

fn zst(disk: &Disk, directory: &Path) -> Result<Output> {
    let context = || format!("writing {ZST} (is the disk full?)");
    let file = AtomicFile::create(&directory.join(ZST))?;
    let to = HashingWriter::new(BufWriter::with_capacity(BUFFER, file));
    let compression = Compression::of_level(tarball::LEVEL);
    let mut encoder = tarball::encoder(to, compression).with_context(context)?;
    let raw = disk.file.file();
    let size = raw.metadata().with_context(context)?.len();
    let whole = Extent { start: 0, size };
    io::copy(&mut Part::of(raw, whole), &mut encoder).with_context(context)?;
    let (to, measured) = encoder.finish().with_context(context)?.finish();
    let file = to
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .with_context(context)?;
    file.commit()?;
    Ok(Output {
        file: ZST.to_owned(),
        size: measured.size,
        sha256: measured.sha256,
    })
}

fn root(disk: &Disk, directory: &Path) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for (name, place) in [("root.squashfs", disk.root), ("root.verity", disk.hashes)] {
        let context = || format!("writing {name} (is the disk full?)");
        let mut file = AtomicFile::create(&directory.join(name))?;
        io::copy(&mut Part::of(disk.file.file(), place), &mut file).with_context(context)?;
        outputs.push(committed(file, name)?);
    }
    let text = format!("{}\n", disk.root_hash);
    let name = "root.roothash";
    write_file(&directory.join(name), text.as_bytes())?;
    outputs.push(Output::of(name, text.as_bytes()));
    Ok(outputs)
}

/// Reads a part of a file, which others read as well.
struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Part<'_> {
    fn of(file: &File, place: Extent) -> Part<'_> {
        Part {
            file,
            at: place.start,
            end: place.start + place.size,
        }
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..len], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

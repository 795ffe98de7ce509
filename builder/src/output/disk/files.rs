//! The files that a disk is written as.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::{panic, thread};

use anyhow::{Context, Result};
use nodeimg_formats::gpt::Extent;
use nodeimg_formats::{qcow2, sparse};
use nodeimg_values::atomic::{AtomicFile, write_file};
use nodeimg_values::digest::HashingWriter;
use nodeimg_values::trace;

use super::Disk;
use crate::input::recipe::output::{Contents, OutputKind};
use crate::output::tarball::{self, Compression};
use crate::output::{Output, Writer, manifest};

pub const RAW: &str = "disk.raw";
pub const QCOW2: &str = "disk.qcow2";
pub const ZST: &str = "disk.raw.zst";
const BUFFER: usize = 1 << 20;

const fn of_disk(name: &'static str, summary: &'static str, write: Writer) -> Output {
    let kind = OutputKind {
        name,
        summary,
        contents: Contents::Disk,
    };
    Output { kind, write }
}

pub static DISK: Output = of_disk(
    "disk",
    "`disk.raw`: a bootable disk, to write to a drive as it is.",
    Writer::WholeDisk,
);

pub static DISK_QCOW2: Output = of_disk(
    "disk-qcow2",
    "`disk.qcow2`: the same, for a virtual machine.",
    Writer::Disk(|disk, directory| {
        let size = disk.machine_size;
        Ok(vec![qcow2(disk.file.file(), size, directory)?])
    }),
);

pub static DISK_ZST: Output = of_disk(
    "disk-zst",
    "`disk.raw.zst`: the same, compressed.",
    Writer::Disk(|disk, directory| Ok(vec![zst(disk.file.file(), directory)?])),
);

pub static ROOT: Output = of_disk(
    "root",
    "`root.squashfs`, `root.verity` and `root.roothash`: the disk's root file\n\
     system, its hash tree and the hash that verifies both.",
    Writer::Disk(root),
);

pub static UKI: Output = of_disk(
    "uki",
    "`uki.efi`: kernel, initrd and command line of the disk as one EFI program.",
    Writer::Disk(uki),
);

/// Writes those that are a disk's, and keeps or drops `RAW`, which is there already.
pub fn write<'a>(
    disk: Disk,
    writers: impl Iterator<Item = &'a Writer>,
    directory: &Path,
) -> Result<Vec<manifest::Output>> {
    let mut outputs = Vec::new();
    let mut is_kept = false;
    for writer in writers {
        match writer {
            Writer::Disk(write) => outputs.extend(write(&disk, directory)?),
            Writer::WholeDisk => is_kept = true,
            Writer::Tree(_) => {}
        }
    }
    // The last, since the others read it.
    if is_kept {
        outputs.push(committed(disk.file, RAW)?);
    }
    Ok(outputs)
}

/// Puts a file that is whole in its place.
pub fn committed(file: AtomicFile, name: &str) -> Result<manifest::Output> {
    let context = || format!("writing {name}");
    // The disk is busy while the processor is.
    let (measured, flushed) = thread::scope(|scope| {
        let flushing = scope.spawn(|| {
            let _span = trace::span("output", || format!("flush {name}"));
            file.file().sync_all()
        });
        let span = trace::span("output", || format!("hash {name}"));
        let measured = sparse::measure(file.file());
        drop(span);
        let flushed = flushing.join();
        (measured, flushed)
    });
    // The kernel tells such an error once.
    flushed
        .unwrap_or_else(|panic| panic::resume_unwind(panic))
        .with_context(context)?;
    let measured = measured.with_context(|| format!("reading {name} back"))?;
    file.commit()?;
    Ok(manifest::Output {
        file: name.to_owned(),
        size: measured.size,
        sha256: measured.sha256,
    })
}

/// Writes the disk `raw` as a qcow2 image, for a machine that has a disk of `size` bytes.
pub fn qcow2(raw: &File, size: Option<u64>, directory: &Path) -> Result<manifest::Output> {
    let file = AtomicFile::create(&directory.join(QCOW2))?;
    let mut to = BufWriter::with_capacity(BUFFER, file.file());
    qcow2::write(raw, size.unwrap_or_default(), &mut to)
        .with_context(|| format!("writing {QCOW2}"))?;
    to.flush().with_context(|| format!("writing {QCOW2}"))?;
    drop(to);
    committed(file, QCOW2)
}

/// Writes the disk `raw` compressed.
pub fn zst(raw: &File, directory: &Path) -> Result<manifest::Output> {
    let context = || format!("writing {ZST} (is the disk full?)");
    let file = AtomicFile::create(&directory.join(ZST))?;
    let to = HashingWriter::new(BufWriter::with_capacity(BUFFER, file));
    let compression = Compression::of_level(tarball::LEVEL);
    let mut encoder = tarball::encoder(to, compression).with_context(context)?;
    let size = raw.metadata().with_context(context)?.len();
    let whole = Extent { start: 0, size };
    io::copy(&mut Part::of(raw, whole), &mut encoder).with_context(context)?;
    let (to, measured) = encoder.finish().with_context(context)?.finish();
    let file = to
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .with_context(context)?;
    file.commit()?;
    Ok(manifest::Output {
        file: ZST.to_owned(),
        size: measured.size,
        sha256: measured.sha256,
    })
}

fn root(disk: &Disk, directory: &Path) -> Result<Vec<manifest::Output>> {
    let mut outputs = Vec::new();
    for (name, place) in [("root.squashfs", disk.root), ("root.verity", disk.hashes)] {
        outputs.push(part(disk, place, directory, name)?);
    }
    let text = format!("{}\n", disk.root_hash);
    let name = "root.roothash";
    write_file(&directory.join(name), text.as_bytes())?;
    outputs.push(manifest::Output::of(name, text.as_bytes()));
    Ok(outputs)
}

/// Writes what is at `place` of a disk as a file of its own.
pub fn part(disk: &Disk, place: Extent, directory: &Path, name: &str) -> Result<manifest::Output> {
    let context = || format!("writing {name} (is the disk full?)");
    let mut file = AtomicFile::create(&directory.join(name))?;
    io::copy(&mut Part::of(disk.file.file(), place), &mut file).with_context(context)?;
    committed(file, name)
}

fn uki(disk: &Disk, directory: &Path) -> Result<Vec<manifest::Output>> {
    write_file(&directory.join("uki.efi"), &disk.uki)?;
    Ok(vec![manifest::Output::of("uki.efi", &disk.uki)])
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

//! Where an image's bytes are: a file, a block device, a compressed disk, or the directory that a
//! build wrote.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_formats::qcow2;
use nodeimg_values::temporary::large;

/// The outputs of a build that can be looked into, the most complete one first.
const OUTPUTS: [&str; 4] = ["disk.raw", "disk.raw.zst", "disk.qcow2", "root.squashfs"];
/// A compressed disk that unpacks to more is refused.
const LARGEST: u64 = 1 << 42;

/// What a file turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// A disk with a GPT.
    Disk,
    /// A SquashFS and nothing else.
    SquashFs,
}

/// An image that was opened.
pub struct Medium {
    pub layout: Layout,
    /// What was opened: of a directory, the output in it.
    pub path: PathBuf,
    /// The bytes, uncompressed.
    pub file: File,
    /// In bytes.
    pub size: u64,
}

impl Medium {
    /// Opens a file, a block device or a build's output directory.
    ///
    /// A disk that is compressed is unpacked into a temporary file, which is gone when this is.
    ///
    /// # Errors
    /// It cannot be read, or is not a disk or a SquashFS.
    pub fn open(path: &Path) -> Result<Medium> {
        let path = if path.is_dir() {
            output_of(path)?
        } else {
            path.to_owned()
        };
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        Medium::of(file, path)
    }

    /// The same of a file that is open already; `path` is its name for people.
    ///
    /// # Errors
    /// Those of [`Medium::open`].
    pub fn of(file: File, path: PathBuf) -> Result<Medium> {
        let shown = path.display().to_string();
        let file = unpacked(file).with_context(|| format!("reading {shown}"))?;
        let mut end = &file;
        let size = end
            .seek(SeekFrom::End(0))
            .with_context(|| format!("finding the size of {shown}"))?;
        let layout = layout(&file).with_context(|| format!("reading {shown}"))?;
        let Some(layout) = layout else {
            bail!(
                "{shown} is not an image that nodeimg reads: give a disk (raw, zst, qcow2), a \
                 SquashFS, a block device, or the directory of a build"
            );
        };
        Ok(Medium {
            layout,
            path,
            file,
            size,
        })
    }

    /// A part of it, as a reader of its own.
    pub fn window(&self, start: u64, size: u64) -> Result<Window> {
        if start.checked_add(size).is_none_or(|end| end > self.size) {
            bail!(
                "{} is cut short: it has {} bytes, and its partition table needs {}",
                self.path.display(),
                self.size,
                start.saturating_add(size)
            );
        }
        let file = self.file.try_clone().context("opening the image again")?;
        Ok(Window {
            file,
            start,
            size,
            position: 0,
        })
    }
}

fn output_of(directory: &Path) -> Result<PathBuf> {
    let known = OUTPUTS.map(|name| directory.join(name));
    if let Some(found) = known.into_iter().find(|path| path.is_file()) {
        return Ok(found);
    }
    // A system extension is named after the image.
    let entries =
        fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("listing {}", directory.display()))?;
        names.push(entry.path());
    }
    names.sort();
    let raw = |path: &&PathBuf| path.extension().is_some_and(|end| end == "raw") && path.is_file();
    match names.iter().find(raw) {
        Some(found) => Ok(found.clone()),
        None => bail!(
            "{} has no output that can be looked into: none of {}, and no system extension",
            directory.display(),
            OUTPUTS.join(", ")
        ),
    }
}

fn head(file: &File) -> io::Result<[u8; 1024]> {
    let mut head = [0; 1024];
    let mut filled = 0;
    while filled < head.len() {
        match file.read_at(&mut head[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(head)
}

fn layout(file: &File) -> io::Result<Option<Layout>> {
    let head = head(file)?;
    Ok(match () {
        () if head[512..].starts_with(b"EFI PART") => Some(Layout::Disk),
        () if head.starts_with(b"hsqs") => Some(Layout::SquashFs),
        () => None,
    })
}

/// The file itself, or what it unpacks to.
fn unpacked(file: File) -> Result<File> {
    let head = head(&file)?;
    if head.starts_with(b"QFI\xfb") {
        let raw = tempfile::tempfile_in(large()).context("making a temporary file")?;
        qcow2::read(&file, &raw)?;
        return Ok(raw);
    }
    if !head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(file);
    }
    let raw = tempfile::tempfile_in(large()).context("making a temporary file")?;
    let from = zstd::Decoder::new(file).context("is not valid zstd")?;
    copy_with_holes(from, &raw).context("unpacking the compressed disk")?;
    Ok(raw)
}

/// Zeros become holes: a disk is mostly holes.
fn copy_with_holes(mut from: impl Read, to: &File) -> Result<()> {
    let mut block = vec![0; 1 << 20];
    let mut position = 0;
    loop {
        let mut filled = 0;
        while filled < block.len() {
            match from.read(&mut block[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        let bytes = &block[..filled];
        if bytes.iter().any(|byte| *byte != 0) {
            to.write_all_at(bytes, position)?;
        }
        position += filled as u64;
        if position > LARGEST {
            bail!("it unpacks to more than {LARGEST} bytes");
        }
        if filled < block.len() {
            break;
        }
    }
    to.set_len(position)?;
    Ok(())
}

/// A range of an image, read without moving anybody else's position.
pub struct Window {
    file: File,
    start: u64,
    size: u64,
    position: u64,
}

impl Window {
    /// The file that it is in, where it begins there, and its size in bytes.
    pub fn place(&self) -> (&File, u64, u64) {
        (&self.file, self.start, self.size)
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let count = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self
            .file
            .read_at(&mut buffer[..count], self.start + self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "before the start"))?;
        Ok(self.position)
    }
}

//! The image as a stream of the disk's bytes, hashed while it is read.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_formats::qcow2;
use nodeimg_values::digest::{Digest, Hasher, Measured};
use nodeimg_values::temporary::large;

/// Enough for every magic number here.
const HEAD: usize = 1024;
/// What a file's first bytes say that it is, and how it becomes a disk.
const OTHERS: &[(usize, &[u8], &str)] = &[
    (
        0,
        &[0x1f, 0x8b],
        "is compressed with gzip: `gzip -dc FILE | nodeimg flash - DEVICE`",
    ),
    (
        0,
        b"\xfd7zXZ\0",
        "is compressed with xz: `xz -dc FILE | nodeimg flash - DEVICE`",
    ),
    (
        0,
        b"BZh",
        "is compressed with bzip2: `bzip2 -dc FILE | nodeimg flash - DEVICE`",
    ),
    (0, b"PK\x03\x04", "is a zip archive: unpack it first"),
    (
        0,
        b"hsqs",
        "is a SquashFS, not a disk: `nodeimg build --output disk` writes one",
    ),
    (
        0,
        b"vhdxfile",
        "is a VHDX image: convert it with `qemu-img convert -O raw`",
    ),
    (
        0,
        b"KDMV",
        "is a VMDK image: convert it with `qemu-img convert -O raw`",
    ),
    (0, b"\x7fELF", "is a program, not a disk"),
    (257, b"ustar", "is a tar archive, not a disk"),
];

/// Where an image comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    File(PathBuf),
    StandardInput,
}

/// What an image is checked against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// SHA-256 of the file as it is, not of what it unpacks to.
    pub digest: Digest,
    /// For people: `manifest.json`.
    pub by: String,
}

/// An image that was opened.
pub struct Image {
    /// For people.
    pub name: String,
    /// Of the file, in bytes, if it is one.
    pub length: Option<u64>,
    format: Format,
    from: Input,
}

enum Input {
    File(File),
    Pipe(Box<dyn Read + Send>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Raw,
    Zst,
    Qcow2,
}

impl Image {
    /// # Errors
    /// It cannot be read, or is not a disk in a format that is flashed.
    pub fn open(source: &Source) -> Result<Image> {
        let mut head = Vec::new();
        let (name, length, from) = match source {
            Source::StandardInput => {
                let name = "standard input".to_owned();
                let mut input = io::stdin();
                let read = (&mut input).take(HEAD as u64).read_to_end(&mut head);
                read.context("reading standard input")?;
                let again = io::Cursor::new(head.clone()).chain(input);
                (name, None, Input::Pipe(Box::new(again)))
            }
            Source::File(path) => {
                let name = path.display().to_string();
                let mut file = File::open(path).with_context(|| format!("opening {name}"))?;
                let meta = file.metadata().with_context(|| format!("reading {name}"))?;
                let read = (&mut file).take(HEAD as u64).read_to_end(&mut head);
                read.with_context(|| format!("reading {name}"))?;
                let is_file = meta.is_file();
                let from = match is_file {
                    true => {
                        file.seek(SeekFrom::Start(0))?;
                        Input::File(file)
                    }
                    false => Input::Pipe(Box::new(io::Cursor::new(head.clone()).chain(file))),
                };
                (name, is_file.then_some(meta.len()), from)
            }
        };
        let format = format(&head).with_context(|| name.clone())?;
        if format == Format::Qcow2 && length.is_none() {
            bail!("{name} is a qcow2 image, which cannot be read in order: name it as a file");
        }
        Ok(Image {
            name,
            length: length.filter(|_| format == Format::Raw),
            format,
            from,
        })
    }

    /// The disk's bytes from the first on. A qcow2 image is unpacked into a temporary file,
    /// which is gone when the stream is.
    ///
    /// # Errors
    /// It is damaged, or changes while it is read.
    pub fn stream(self) -> Result<Stream> {
        let name = self.name;
        let within = || format!("reading {name}");
        let inner = match (self.format, self.from) {
            (Format::Qcow2, Input::File(file)) => {
                let before = stamp(&file).with_context(within)?;
                let mut hashed = Hashed::of(Box::new(file.try_clone()?));
                io::copy(&mut hashed, &mut io::sink()).with_context(within)?;
                let raw = tempfile::tempfile_in(large()).context("making a temporary file")?;
                qcow2::read(&file, &raw).with_context(within)?;
                if stamp(&file).with_context(within)? != before {
                    bail!("{name} was changed while it was read");
                }
                Inner::Unpacked(BufReader::with_capacity(1 << 20, raw), hashed.finish()?)
            }
            (format, from) => {
                let reader: Box<dyn Read + Send> = match from {
                    Input::File(file) => Box::new(file),
                    Input::Pipe(pipe) => pipe,
                };
                let hashed = Hashed::of(reader);
                match format {
                    Format::Zst => {
                        let buffered = BufReader::with_capacity(1 << 20, hashed);
                        let decoder = zstd::Decoder::with_buffer(buffered).with_context(within)?;
                        Inner::Zst(Box::new(decoder))
                    }
                    _ => Inner::Raw(Box::new(hashed)),
                }
            }
        };
        Ok(Stream { inner, name })
    }
}

/// Another one after every change of the file.
fn stamp(file: &File) -> io::Result<(u64, i64, i64, i64, i64)> {
    let meta = file.metadata()?;
    Ok((
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ))
}

fn format(head: &[u8]) -> Result<Format> {
    if head.is_empty() {
        bail!("is empty");
    }
    let other = |(at, magic, _): &&(usize, &[u8], &str)| {
        head.get(*at..).is_some_and(|rest| rest.starts_with(magic))
    };
    if let Some((_, _, why)) = OTHERS.iter().find(other) {
        bail!("{why}");
    }
    Ok(match () {
        () if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => Format::Zst,
        () if head.starts_with(b"QFI\xfb") => Format::Qcow2,
        () => Format::Raw,
    })
}

/// The bytes of a disk.
pub struct Stream {
    inner: Inner,
    name: String,
}

enum Inner {
    Raw(Box<Hashed>),
    Zst(Box<zstd::Decoder<'static, BufReader<Hashed>>>),
    Unpacked(BufReader<File>, Measured),
}

impl Stream {
    /// Fills as much of `buffer` as there is; less only at the end.
    ///
    /// # Errors
    /// The image cannot be read, or does not unpack.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let read = match &mut self.inner {
                Inner::Raw(reader) => reader.read(rest),
                Inner::Zst(reader) => reader.read(rest),
                Inner::Unpacked(reader, _) => reader.read(rest),
            };
            match read {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let unpacks = matches!(self.inner, Inner::Zst(_));
                    let doing = if unpacks { "unpacking" } else { "reading" };
                    return Err(error).with_context(|| format!("{doing} {}", self.name));
                }
            }
        }
        Ok(filled)
    }

    /// Of the file as it is, to its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn finish(self) -> Result<Measured> {
        let mut hashed = match self.inner {
            Inner::Raw(hashed) => *hashed,
            Inner::Zst(decoder) => {
                let mut buffered = decoder.finish();
                let read = io::copy(&mut buffered, &mut io::sink());
                read.with_context(|| format!("reading {}", self.name))?;
                buffered.into_inner()
            }
            Inner::Unpacked(_, measured) => return Ok(measured),
        };
        let read = io::copy(&mut hashed, &mut io::sink());
        read.with_context(|| format!("reading {}", self.name))?;
        hashed.finish()
    }
}

/// A reader whose bytes are hashed as they pass.
struct Hashed {
    from: Box<dyn Read + Send>,
    hasher: Hasher,
}

impl Hashed {
    fn of(from: Box<dyn Read + Send>) -> Hashed {
        Hashed {
            from,
            hasher: Hasher::new(&[]),
        }
    }

    fn finish(self) -> Result<Measured> {
        Ok(self.hasher.finish())
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// Whether what was read is what was expected.
///
/// # Errors
/// It is not.
pub fn check(expected: Option<&Expected>, measured: &Measured, name: &str) -> Result<()> {
    match expected {
        Some(Expected { digest, by }) if *digest != measured.sha256 => bail!(
            "{name} is not the image that {by} names: its SHA-256 is {}, not {}; it is damaged, \
             was changed, or is another file",
            measured.sha256.hex(),
            digest.hex()
        ),
        _ => Ok(()),
    }
}

/// Whether `path` stands for standard input.
pub fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

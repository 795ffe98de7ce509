//! Zip archives, read as the tar that they would be.
//!
//! [APPNOTE](https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), with zip64. The
//! central directory says what is in it; every member becomes a member of a tar, which the
//! store keeps and [`members`](super::members) checks like any other. So names, links,
//! sizes and names that are there twice are judged by one code.
//!
//! Members are stored, deflated, or packed with zstd or xz. One that is encrypted is an
//! error: a password in a recipe would be none.
//!
//! # Invariants
//! - A member's bytes have the length and the CRC-32 of the central directory, or reading
//!   fails: nothing is installed.
//! - The tar depends on the zip alone: order, names, modes, no times.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read};

use anyhow::{Context, Result, anyhow, bail};
use flate2::read::DeflateDecoder;
use nodeimg_formats::packing::Packing;
use rawzip::{CompressionMethod, CreatorSystem, ZipArchive, ZipFileHeaderRecord};
use tar::{EntryType, Header};

use super::members::{MAX_MEMBERS, REMEDY, text};
use super::rule::member_name;
use super::untar::At;

/// The first member, or the end of an archive without any.
const MAGICS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
const BLOCK: u64 = 512;
/// A link's text is a path.
const MAX_LINK: u64 = 4096;

const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

pub fn is_zip(head: &[u8]) -> bool {
    MAGICS.iter().any(|magic| head.starts_with(magic))
}

/// A member, as the central directory has it.
struct Member {
    name: Vec<u8>,
    shown: String,
    /// Type and permission bits of Unix; the type is 0 if the archive does not tell.
    mode: u32,
    method: CompressionMethod,
    /// Of its packed bytes in the file.
    start: u64,
    end: u64,
    /// Unpacked.
    size: u64,
    crc: u32,
}

/// The tar of the zip in `file`, made while it is read.
pub fn as_tar(file: &File) -> Result<Box<dyn Read + '_>> {
    let mut parts: VecDeque<Box<dyn Read + '_>> = VecDeque::new();
    for member in members(file)? {
        add(file, &member, &mut parts).with_context(|| format!("member `{}`", member.shown))?;
    }
    parts.push_back(Box::new(io::repeat(0).take(2 * BLOCK)));
    Ok(Box::new(Chain(parts)))
}

fn damaged(error: rawzip::Error) -> anyhow::Error {
    anyhow!("its zip data is damaged, or cut short: {error}")
}

fn members(file: &File) -> Result<Vec<Member>> {
    let own = file.try_clone().context("opening it again")?;
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(own, &mut buffer).map_err(damaged)?;
    let mut entries = archive.entries(&mut buffer);
    let mut all = Vec::new();
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        let path = entry.file_path();
        let name = path.as_ref().to_vec();
        let shown = name.escape_ascii().to_string();
        let (start, end) = archive
            .get_entry(entry.wayfinder())
            .map_err(damaged)
            .with_context(|| format!("member `{shown}`"))?
            .compressed_data_range();
        check(&entry, &name).with_context(|| format!("member `{shown}`"))?;
        all.push(Member {
            mode: mode(&entry),
            method: entry.compression_method(),
            start,
            end,
            size: entry.uncompressed_size_hint(),
            crc: entry.crc32(),
            name,
            shown,
        });
        if all.len() > MAX_MEMBERS {
            bail!("it has more than {MAX_MEMBERS} members");
        }
    }
    Ok(all)
}

/// What no member may be, whether a rule picks it or not.
fn check(entry: &ZipFileHeaderRecord<'_>, name: &[u8]) -> Result<()> {
    let flags = entry.flags();
    if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
        bail!(
            "is encrypted, and there is no password: unpack it and publish it without one, or pin \
             another release"
        );
    }
    member_name(&text(name)?).map_err(|error| anyhow!("{error}; {REMEDY}"))?;
    Ok(())
}

/// Type and permission bits; an archive of another system has none.
fn mode(entry: &ZipFileHeaderRecord<'_>) -> u32 {
    let system = entry.version_made_by().creator_system();
    let is_unix = system == CreatorSystem::UNIX || system == CreatorSystem::MACOS;
    let bits = if is_unix {
        entry.external_attributes() >> 16
    } else {
        0
    };
    match (bits & TYPE, entry.is_dir()) {
        (0, true) => DIRECTORY | 0o755,
        (0, false) => FILE | (if bits == 0 { 0o644 } else { bits & 0o7777 }),
        _ => bits,
    }
}

/// Header, bytes and padding of one member.
fn add<'a>(
    file: &'a File,
    member: &Member,
    parts: &mut VecDeque<Box<dyn Read + 'a>>,
) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(member.mode & 0o7777);
    header.set_mtime(0);
    header.set_size(0);
    match member.mode & TYPE {
        DIRECTORY => {
            header.set_entry_type(EntryType::Directory);
            parts.push_back(head(&mut header, &member.name, None)?);
        }
        SYMLINK => {
            if member.size > MAX_LINK {
                bail!(
                    "is a symbolic link of {} bytes, which is too long for a path",
                    member.size
                );
            }
            let mut target = Vec::new();
            bytes(file, member)?
                .read_to_end(&mut target)
                .map_err(|error| anyhow!("its zip data is damaged: {error}"))?;
            header.set_entry_type(EntryType::Symlink);
            parts.push_back(head(&mut header, &member.name, Some(&target))?);
        }
        FILE if !member.name.ends_with(b"/") => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(member.size);
            parts.push_back(head(&mut header, &member.name, None)?);
            parts.push_back(bytes(file, member)?);
            let rest = member.size.next_multiple_of(BLOCK) - member.size;
            parts.push_back(Box::new(io::repeat(0).take(rest)));
        }
        FILE => bail!("is a file with a slash at its end"),
        _ => bail!("is neither a file, a directory nor a link; {REMEDY}"),
    }
    Ok(())
}

/// The blocks before a member's bytes, with those for a long name or link.
fn head(header: &mut Header, name: &[u8], link: Option<&[u8]>) -> Result<Box<dyn Read + 'static>> {
    let mut blocks = Vec::new();
    for (kind, text, most) in [
        (EntryType::GNULongName, Some(name), 100),
        (EntryType::GNULongLink, link, 100),
    ] {
        let Some(text) = text.filter(|text| text.len() > most) else {
            continue;
        };
        let mut long = Header::new_gnu();
        long.as_mut_bytes()[..13].copy_from_slice(b"././@LongLink");
        long.set_mode(0o644);
        long.set_mtime(0);
        long.set_size(text.len() as u64 + 1);
        long.set_entry_type(kind);
        long.set_cksum();
        blocks.extend_from_slice(long.as_bytes());
        blocks.extend_from_slice(text);
        blocks.push(0);
        blocks.resize(blocks.len().next_multiple_of(BLOCK as usize), 0);
    }
    let fields = header.as_mut_bytes();
    let short = |text: &[u8]| text.len().min(100);
    fields[..short(name)].copy_from_slice(&name[..short(name)]);
    if let Some(link) = link {
        fields[157..157 + short(link)].copy_from_slice(&link[..short(link)]);
    }
    header.set_cksum();
    blocks.extend_from_slice(header.as_bytes());
    Ok(Box::new(Cursor::new(blocks)))
}

/// Its bytes, unpacked, of exactly the length and the checksum that are stated.
fn bytes<'a>(file: &'a File, member: &Member) -> Result<Box<dyn Read + 'a>> {
    let len = member.end.saturating_sub(member.start);
    let packed = At {
        file,
        at: member.start,
    }
    .take(len);
    let context = "preparing a decoder";
    let inner: Box<dyn Read + 'a> = match member.method {
        CompressionMethod::STORE => Box::new(packed),
        CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(io::BufReader::new(packed))),
        CompressionMethod::ZSTD => Packing::Zstd.decoder(packed).context(context)?,
        CompressionMethod::XZ => Packing::Xz.decoder(packed).context(context)?,
        other => bail!(
            "is packed by the zip method {other:?}: only stored, deflated, zstd and xz members \
             are read; publish it as a tar, or pin another release"
        ),
    };
    Ok(Box::new(Exactly {
        inner,
        left: member.size,
        crc: rawzip::Crc32::new(),
        wanted: member.crc,
        shown: member.shown.clone(),
        is_done: false,
    }))
}

/// Fails rather than give another number of bytes, or bytes of another checksum.
struct Exactly<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    crc: rawzip::Crc32,
    wanted: u32,
    shown: String,
    is_done: bool,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_done || buffer.is_empty() {
            return Ok(0);
        }
        let n = self.inner.read(buffer)?;
        let wrong = |what: &str| {
            let text = format!("member `{}` {what}", self.shown);
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        };
        if n == 0 {
            self.is_done = true;
            return match (self.left, self.crc.checksum() == self.wanted) {
                (0, true) => Ok(0),
                (0, false) => wrong("has not the checksum that is stated"),
                _ => wrong("is shorter than is stated"),
            };
        }
        let Some(left) = self.left.checked_sub(n as u64) else {
            return wrong("is longer than is stated");
        };
        self.left = left;
        self.crc.update(&buffer[..n]);
        Ok(n)
    }
}

/// One after the other.
struct Chain<'a>(VecDeque<Box<dyn Read + 'a>>);

impl Read for Chain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(part) = self.0.front_mut() {
            let n = part.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            self.0.pop_front();
        }
        Ok(0)
    }
}

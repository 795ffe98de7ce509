//! PE images: sections behind those of an EFI program, as a unified kernel
//! image has them
//! ([PE format](https://learn.microsoft.com/en-us/windows/win32/debug/pe-format)).
//!
//! ```text
//!   0  "MZ" ... 60 where the PE header is
//!  pe  "PE\0\0", 2 machine, 2 number of sections, ... 16 rest
//!      + 20: 2 size of the optional header
//!  pe+24  optional header: + 0 magic (20B: 64-bit)   +32 section alignment
//!         +36 file alignment   +56 size of the image   +60 size of all headers
//!         +64 checksum
//!  behind it  a header of 40 bytes for each section:
//!         0 name, 8   8 size in memory   12 address   16 size in the file
//!         20 place in the file   36 characteristics
//! ```
//!
//! # Invariants
//! - New sections follow everything in address and file; what was there is
//!   not moved.
//! - The bytes depend on the program and the sections alone.
//!
//! Left out: signatures, which cover the whole file and come last; a signed
//! program is refused.

use anyhow::{Context, Result, bail};

const SECTION_HEADER: usize = 40;
const PE32_PLUS: u16 = 0x20b;
/// Data that is there at the start, and may be read.
const INITIALIZED_READABLE: u32 = 0x4000_0040;
/// The certificate table's place among the data directories of PE32+.
const CERTIFICATES: usize = 112 + 4 * 8;

/// A section to be added.
pub struct NewSection<'a> {
    /// At most 8 bytes: `.linux`.
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// Where a section is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    pub name: String,
    /// In memory, from the image's base.
    pub address: u32,
    /// In bytes: what counts of the section.
    pub size: u32,
    /// In the file.
    pub offset: u32,
    /// In the file, padded.
    pub stored: u32,
}

/// The fields of an image that adding a section needs.
struct Headers {
    pe: usize,
    optional: usize,
    table: usize,
    count: u16,
    section_alignment: u32,
    file_alignment: u32,
    all: u32,
}

/// `program` with `sections` behind its own, in this order.
pub fn with_sections(program: &[u8], sections: &[NewSection<'_>]) -> Result<Vec<u8>> {
    let headers = Headers::read(program)?;
    let there = headers.sections(program)?;
    headers.check_room(program, &there, sections)?;
    let ends = there
        .iter()
        .map(|section| u64::from(section.address) + u64::from(section.size.max(section.stored)));
    let mut address = ends.max().unwrap_or(0);
    let total: usize = sections.iter().map(|section| section.bytes.len()).sum();
    let mut image = Vec::with_capacity(program.len() + total + (sections.len() + 1) * 4096);
    image.extend_from_slice(program);
    pad(&mut image, headers.file_alignment);
    let mut entries = Vec::new();
    for section in sections {
        address = address.next_multiple_of(u64::from(headers.section_alignment));
        let offset = image.len();
        image.extend_from_slice(section.bytes);
        pad(&mut image, headers.file_alignment);
        let mut entry = [0; SECTION_HEADER];
        entry[..section.name.len()].copy_from_slice(section.name.as_bytes());
        let numbers = [
            section.bytes.len() as u64,
            address,
            (image.len() - offset) as u64,
            offset as u64,
        ];
        for (at, number) in [8, 12, 16, 20].into_iter().zip(numbers) {
            put(&mut entry, at, small(number, section.name)?);
        }
        put(&mut entry, 36, INITIALIZED_READABLE);
        entries.extend_from_slice(&entry);
        address += section.bytes.len() as u64;
    }
    let at = headers.table + usize::from(headers.count) * SECTION_HEADER;
    image[at..at + entries.len()].copy_from_slice(&entries);
    let count = headers.count + sections.len() as u16;
    image[headers.pe + 6..headers.pe + 8].copy_from_slice(&count.to_le_bytes());
    let end = address.next_multiple_of(u64::from(headers.section_alignment));
    put(&mut image, headers.optional + 56, small(end, "the image")?);
    // Zero: firmware checks it for no application.
    put(&mut image, headers.optional + 64, 0);
    Ok(image)
}

/// Every section of `image`, in order.
pub fn sections(image: &[u8]) -> Result<Vec<Section>> {
    Headers::read(image)?.sections(image)
}

impl Headers {
    fn read(image: &[u8]) -> Result<Headers> {
        let context = "is not an EFI program: its headers end too early";
        if !image.starts_with(b"MZ") {
            bail!("is not an EFI program: it does not begin with `MZ`");
        }
        let pe = u32_at(image, 60).context(context)? as usize;
        if image.get(pe..pe.saturating_add(4)) != Some(b"PE\0\0") {
            bail!("is not an EFI program: there is no PE header");
        }
        let optional = pe + 24;
        if u16_at(image, optional) != Some(PE32_PLUS) {
            bail!("is not an EFI program for a 64-bit machine");
        }
        let length = u16_at(image, pe + 20).context(context)?;
        let number = |at: usize| u32_at(image, optional + at).context(context);
        let headers = Headers {
            pe,
            optional,
            table: optional + usize::from(length),
            count: u16_at(image, pe + 6).context(context)?,
            section_alignment: number(32)?,
            file_alignment: number(36)?,
            all: number(60)?,
        };
        number(64)?;
        for alignment in [headers.section_alignment, headers.file_alignment] {
            if !alignment.is_power_of_two() || alignment > 1 << 20 {
                bail!("is not an EFI program: {alignment} is not a valid section alignment");
            }
        }
        if usize::from(length) >= CERTIFICATES + 8 && number(CERTIFICATES + 4)? != 0 {
            bail!("is signed: another section would break the signature");
        }
        Ok(headers)
    }

    fn sections(&self, image: &[u8]) -> Result<Vec<Section>> {
        (0..usize::from(self.count))
            .map(|index| section_at(image, self.table + index * SECTION_HEADER))
            .collect::<Option<_>>()
            .context("is not an EFI program: its section table ends too early")
    }

    fn check_room(&self, image: &[u8], there: &[Section], new: &[NewSection<'_>]) -> Result<()> {
        let count = usize::from(self.count) + new.len();
        let stored = there.iter().filter(|section| section.stored > 0);
        let first = stored.map(|section| section.offset).min();
        let room = first.unwrap_or(self.all).min(self.all) as usize;
        let end = self.table + count * SECTION_HEADER;
        if end > room || room > image.len() || count > usize::from(u16::MAX) {
            bail!(
                "has room for {} more sections among its headers, but {} are needed",
                (room.saturating_sub(self.table) / SECTION_HEADER)
                    .saturating_sub(self.count.into()),
                new.len()
            );
        }
        for section in new {
            let name = section.name;
            if name.is_empty() || name.len() > 8 || !name.is_ascii() {
                bail!("`{name}` is not a valid section name: use 1 to 8 ASCII characters");
            }
            if there.iter().any(|other| other.name == name) {
                bail!("already has a section `{name}`");
            }
        }
        Ok(())
    }
}

fn section_at(image: &[u8], at: usize) -> Option<Section> {
    let name = image.get(at..at + 8)?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(Section {
        name: String::from_utf8_lossy(name).into_owned(),
        size: u32_at(image, at + 8)?,
        address: u32_at(image, at + 12)?,
        stored: u32_at(image, at + 16)?,
        offset: u32_at(image, at + 20)?,
    })
}

fn pad(image: &mut Vec<u8>, alignment: u32) {
    image.resize(image.len().next_multiple_of(alignment as usize), 0);
}

fn small(number: u64, what: &str) -> Result<u32> {
    u32::try_from(number)
        .ok()
        .with_context(|| format!("{what} reaches beyond the 4 GiB of an EFI program"))
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests;

//! The sections of an object file
//! ([System V gABI, sections](https://gabi.xinuos.com/elf/03-sheader.html)).
//!
//! ```text
//! header    40 e_shoff(u64)   58 e_shentsize(u16)   60 e_shnum(u16)   62 e_shstrndx(u16)
//! section   0 sh_name(u32)   24 sh_offset(u64)   32 sh_size(u64)
//! ```

use anyhow::{Context, Result, bail};

use super::{HEADER_LEN, MAGIC_64_LSB, u16_at, u32_at, u64_at};

const SECTION_LEN: usize = 64;

/// The sections of an object file.
pub struct Sections<'a> {
    bytes: &'a [u8],
    headers: Vec<&'a [u8]>,
    names: &'a [u8],
}

impl<'a> Sections<'a> {
    pub fn of(bytes: &'a [u8]) -> Result<Sections<'a>> {
        if !bytes.starts_with(MAGIC_64_LSB) || bytes.len() < HEADER_LEN {
            bail!("it is not a 64-bit little-endian ELF file");
        }
        let fields = (
            u64_at(bytes, 40),
            u16_at(bytes, 58),
            u16_at(bytes, 60),
            u16_at(bytes, 62),
        );
        let (Some(at), Some(size), Some(count), Some(names)) = fields else {
            bail!("its ELF header is cut off");
        };
        if usize::from(size) != SECTION_LEN {
            bail!("its section headers are {size} bytes long instead of {SECTION_LEN}");
        }
        let table = usize::try_from(at)
            .ok()
            .and_then(|at| bytes.get(at..)?.get(..SECTION_LEN * usize::from(count)))
            .context("it ends before its section headers do")?;
        let headers: Vec<&[u8]> = table.chunks_exact(SECTION_LEN).collect();
        let names = headers
            .get(usize::from(names))
            .context("it has no table of section names")?;
        Ok(Sections {
            bytes,
            names: content(bytes, names)?,
            headers,
        })
    }

    /// The content of the first section of that name; empty if there is none.
    pub fn named(&self, name: &str) -> Result<&'a [u8]> {
        let found = self.headers.iter().skip(1).find(|header| {
            let at = u32_at(header, 0).unwrap_or(u32::MAX);
            name_at(self.names, at) == Some(name.as_bytes())
        });
        match found {
            Some(header) => content(self.bytes, header).with_context(|| format!("section {name}")),
            None => Ok(&[]),
        }
    }
}

fn content<'a>(bytes: &'a [u8], header: &[u8]) -> Result<&'a [u8]> {
    let place = (u64_at(header, 24), u64_at(header, 32));
    let (Some(at), Some(size)) = place else {
        bail!("a section header is cut off");
    };
    usize::try_from(at)
        .ok()
        .and_then(|at| bytes.get(at..)?.get(..usize::try_from(size).ok()?))
        .context("it ends before one of its sections does")
}

/// The text at `at` of a table of texts, which end with NUL.
pub fn name_at(table: &[u8], at: u32) -> Option<&[u8]> {
    let rest = table.get(usize::try_from(at).ok()?..)?;
    rest.split(|byte| *byte == 0).next()
}

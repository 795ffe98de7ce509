//! What a module's object file says.
//!
//! [System V gABI](https://gabi.xinuos.com/elf/03-sheader.html), relocatable,
//! 64-bit little-endian:
//!
//! ```text
//! header    40 e_shoff(u64)   58 e_shentsize(u16)   60 e_shnum(u16)   62 e_shstrndx(u16)
//! section   0 sh_name(u32)   24 sh_offset(u64)   32 sh_size(u64)
//! symbol    0 st_name(u32)   6 st_shndx(u16, 0 = undefined)          24 bytes
//!
//! .modinfo            (key=value NUL)*
//! .symtab .strtab     __crc_NAME for each symbol that is exported, with modversions
//! __ksymtab_strings   (NAME NUL)*, where there are no modversions
//! __versions          (crc u64, NAME padded with NUL to 56)*: symbols that are used
//! ```

use anyhow::{Context, Result, bail};

const HEADER_LEN: usize = 64;
const SECTION_LEN: usize = 64;
const SYMBOL_LEN: usize = 24;
const VERSION_LEN: usize = 64;

/// What is read from a module.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Object {
    /// `key=value`, in order.
    pub info: Vec<String>,
    pub exports: Vec<String>,
    /// Symbols that it takes from elsewhere, in order of their first use.
    pub uses: Vec<String>,
}

impl Object {
    /// Reads a module that is no longer packed.
    pub fn read(bytes: &[u8]) -> Result<Object> {
        let sections = Sections::of(bytes)?;
        let info = strings(sections.named(".modinfo")?);
        let symbols = symbols(&sections)?;
        let mut exports: Vec<String> = symbols
            .iter()
            .filter_map(|symbol| Some(text(symbol.name.strip_prefix(b"__crc_")?)))
            .collect();
        if exports.is_empty() {
            exports = strings(sections.named("__ksymtab_strings")?);
        }
        let mut uses: Vec<String> = symbols
            .iter()
            .filter(|symbol| symbol.undefined && !symbol.name.is_empty())
            .map(|symbol| text(symbol.name))
            .collect();
        uses.extend(versions(sections.named("__versions")?));
        Ok(Object {
            info,
            exports,
            uses,
        })
    }
}

struct Sections<'a> {
    bytes: &'a [u8],
    headers: Vec<&'a [u8]>,
    names: &'a [u8],
}

impl<'a> Sections<'a> {
    fn of(bytes: &'a [u8]) -> Result<Sections<'a>> {
        if !bytes.starts_with(b"\x7fELF\x02\x01") || bytes.len() < HEADER_LEN {
            bail!("it is no 64-bit little-endian ELF file");
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
            bail!("its section headers are {size} bytes long, {SECTION_LEN} are right");
        }
        let table = usize::try_from(at)
            .ok()
            .and_then(|at| bytes.get(at..)?.get(..SECTION_LEN * usize::from(count)))
            .context("it ends before its section headers do")?;
        let headers: Vec<&[u8]> = table.chunks_exact(SECTION_LEN).collect();
        let names = headers
            .get(usize::from(names))
            .context("it has no section of section names")?;
        Ok(Sections {
            bytes,
            names: content(bytes, names)?,
            headers,
        })
    }

    /// The content of the first section of that name; empty where there is none.
    fn named(&self, name: &str) -> Result<&'a [u8]> {
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

struct Symbol<'a> {
    name: &'a [u8],
    undefined: bool,
}

fn symbols<'a>(sections: &Sections<'a>) -> Result<Vec<Symbol<'a>>> {
    let names = sections.named(".strtab")?;
    let table = sections.named(".symtab")?;
    // The first symbol is the one that is none.
    let entries = table.chunks_exact(SYMBOL_LEN).skip(1);
    entries
        .map(|entry| {
            let name = name_at(names, u32_at(entry, 0).unwrap_or(u32::MAX));
            Ok(Symbol {
                name: name.context("a symbol's name is outside the section .strtab")?,
                undefined: u16_at(entry, 6) == Some(0),
            })
        })
        .collect()
}

fn versions(section: &[u8]) -> impl Iterator<Item = String> {
    section
        .chunks_exact(VERSION_LEN)
        .filter_map(|entry| name_at(entry, 8))
        .map(text)
}

/// The texts of a section of texts; the padding between them is none.
fn strings(section: &[u8]) -> Vec<String> {
    let texts = section.split(|byte| *byte == 0);
    texts.filter(|part| !part.is_empty()).map(text).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn name_at(table: &[u8], at: u32) -> Option<&[u8]> {
    let rest = table.get(usize::try_from(at).ok()?..)?;
    rest.split(|byte| *byte == 0).next()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

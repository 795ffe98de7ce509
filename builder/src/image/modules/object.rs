//! What a module's object file says.
//!
//! [System V gABI](https://gabi.xinuos.com/elf/03-sheader.html), relocatable,
//! 64-bit little-endian:
//!
//! ```text
//! symbol    0 st_name(u32)   6 st_shndx(u16, 0 = undefined)          24 bytes
//!
//! .modinfo            (key=value NUL)*
//! .symtab .strtab     __crc_NAME for each symbol that is exported, with modversions
//! __ksymtab_strings   (NAME NUL)*, if there are no modversions
//! __versions          (crc u64, NAME padded with NUL to 56)*: symbols that are used
//! ```

use anyhow::{Context, Result};
use nodeimg_formats::elf::sections::{Sections, name_at};
use nodeimg_formats::elf::{u16_at, u32_at};

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
    /// Reads an unpacked module.
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

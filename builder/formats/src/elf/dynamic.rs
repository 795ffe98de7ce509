//! What a dynamically linked program asks its loader for.
//!
//! [System V gABI, dynamic linking](https://gabi.xinuos.com/elf/08-dynamic.html),
//! 64-bit little-endian only:
//!
//! ```text
//! ELF header   32 e_phoff(u64)   54 e_phentsize(u16)   56 e_phnum(u16)
//! program      0 p_type(u32)   8 p_offset   16 p_vaddr   32 p_filesz   (u64 each)
//!   PT_LOAD 1      address -> offset
//!   PT_DYNAMIC 2   (d_tag u64, d_val u64)*: NEEDED 1, STRTAB 5, STRSZ 10, RPATH 15, RUNPATH 29
//!   PT_INTERP 3    the loader's path
//! ```

use std::io;

use anyhow::{Context, Result, bail};

use super::{HEADER_LEN, MAGIC_64_LSB, u16_at, u32_at, u64_at};

const PROGRAM_HEADER_LEN: usize = 56;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
/// No dynamic section, string table or interpreter comes near this.
const MAX_TABLE: u64 = 64 << 20;

/// What the loader is told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dynamic {
    pub needed: Vec<String>,
    /// DT_RUNPATH, or DT_RPATH if there is none.
    pub run_path: Option<String>,
    pub interpreter: Option<String>,
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

/// Reads through `read(offset, len)`, which may return less at the end. `None`
/// if it is not a 64-bit ELF file or has no dynamic section.
pub fn read(read: impl Fn(u64, usize) -> io::Result<Vec<u8>>) -> Result<Option<Dynamic>> {
    let header = read(0, HEADER_LEN)?;
    if !header.starts_with(MAGIC_64_LSB) || header.len() < HEADER_LEN {
        return Ok(None);
    }
    let exactly = |offset: u64, len: u64| -> Result<Vec<u8>> {
        if len > MAX_TABLE {
            bail!("an ELF table of {len} bytes is not a valid program table");
        }
        let bytes = read(offset, usize::try_from(len)?)?;
        if bytes.len() as u64 != len {
            bail!("is an ELF file that ends before its tables do");
        }
        Ok(bytes)
    };
    let (Some(at), Some(size), Some(count)) = (
        u64_at(&header, 32),
        u16_at(&header, 54),
        u16_at(&header, 56),
    ) else {
        return Ok(None);
    };
    if usize::from(size) < PROGRAM_HEADER_LEN {
        return Ok(None);
    }
    let table = exactly(at, u64::from(size) * u64::from(count))?;
    let segments: Vec<Segment> = table
        .chunks_exact(usize::from(size))
        .filter_map(segment)
        .collect();
    let Some(section) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        return Ok(None);
    };
    let bytes = exactly(section.offset, section.size)?;
    let mut found = read_section(&bytes, &segments, exactly)?;
    if let Some(interpreter) = segments.iter().find(|segment| segment.kind == PT_INTERP) {
        let path = exactly(interpreter.offset, interpreter.size)?;
        found.interpreter = Some(string_at(&path, 0)?);
    }
    Ok(Some(found))
}

fn segment(header: &[u8]) -> Option<Segment> {
    Some(Segment {
        kind: u32_at(header, 0)?,
        offset: u64_at(header, 8)?,
        address: u64_at(header, 16)?,
        size: u64_at(header, 32)?,
    })
}

fn read_section(
    section: &[u8],
    segments: &[Segment],
    exactly: impl Fn(u64, u64) -> Result<Vec<u8>>,
) -> Result<Dynamic> {
    let entries: Vec<(u64, u64)> = section
        .chunks_exact(16)
        .filter_map(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?)))
        .take_while(|(tag, _)| *tag != DT_NULL)
        .collect();
    let value = |wanted: u64| {
        let found = entries.iter().find(|(tag, _)| *tag == wanted);
        found.map(|(_, value)| *value)
    };
    let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
        return Ok(Dynamic::default());
    };
    let offset = segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD)
        .find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            (within < segment.size).then(|| segment.offset.checked_add(within))?
        })
        .context("is an ELF file whose string table is in no segment")?;
    let strings = exactly(offset, size)?;
    let needed = entries
        .iter()
        .filter(|(tag, _)| *tag == DT_NEEDED)
        .map(|(_, at)| string_at(&strings, *at))
        .collect::<Result<_>>()?;
    let run_path = value(DT_RUNPATH)
        .or_else(|| value(DT_RPATH))
        .map(|at| string_at(&strings, at))
        .transpose()?;
    Ok(Dynamic {
        needed,
        run_path,
        interpreter: None,
    })
}

fn string_at(table: &[u8], at: u64) -> Result<String> {
    let rest = usize::try_from(at).ok().and_then(|at| table.get(at..));
    let text = rest.and_then(|rest| rest.split(|byte| *byte == 0).next());
    let text = text.context("is an ELF file with a name outside its string table")?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

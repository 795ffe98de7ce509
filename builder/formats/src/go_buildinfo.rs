//! What Go's linker says of a program: the compiler, and every module that is linked into it
//! ([debug/buildinfo](https://pkg.go.dev/debug/buildinfo), as of Go 1.18).
//!
//! ```text
//! section .go.buildinfo of an ELF file, or the beginning of its writable segment:
//!   0  "\xff Go buildinf:"        14 size of a pointer   15 flags: 1 big-endian, 2 inline
//!  32  two texts, each a length (varint) and its bytes: Go's version, the modules
//! the modules between two marks of 16 bytes, lines of words with tabs between them:
//!   path PATH   mod NAME VERSION SUM   dep NAME VERSION SUM   => NAME VERSION SUM   build KEY=VALUE
//! ```
//! Before Go 1.18 the texts were elsewhere, behind pointers: [`BuildInfo::Unreadable`]. Debian
//! builds its programs without modules, so theirs have no `dep` lines.

use std::io::{self, Read};

use super::elf::{HEADER_LEN, u16_at, u32_at, u64_at};
use super::readable::Readable;

const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGN: usize = 16;
const TEXTS: usize = 32;
const FLAG_INLINE: u8 = 2;
/// Around the text of the modules.
const MARK: usize = 16;
/// The linker puts it first; what is further away is not it.
const MAX_SEARCH: u64 = 1 << 20;
/// No table of sections or of segments comes near this.
const MAX_TABLE: u64 = 1 << 20;
/// No program has the modules for more.
const MAX_TEXT: u64 = 16 << 20;
const PT_LOAD: u32 = 1;
const WRITABLE: u32 = 2;

/// What is said of a program that Go has linked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BuildInfo {
    Readable(Build),
    /// Why nothing of it can be told.
    Unreadable(&'static str),
}

/// What a program was linked from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Build {
    /// `go1.24.4`, perhaps with words behind it.
    pub go: String,
    /// Of the main package.
    pub path: Option<String>,
    /// The main package's.
    pub main: Option<Module>,
    /// In the order of the file, which is that of their names.
    pub modules: Vec<Module>,
    /// `vcs.revision` and the like.
    pub settings: Vec<(String, String)>,
}

/// A module as it was linked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Module {
    pub name: String,
    /// `v1.2.3`, or `(devel)`.
    pub version: String,
    /// `h1:…` of go.sum; empty if it is not known.
    pub sum: String,
}

/// Reads what Go says of `program`; `None` if it is not a 64-bit ELF file that Go has linked.
///
/// # Errors
/// The bytes cannot be read.
pub fn read(program: &(impl Readable + ?Sized)) -> io::Result<Option<BuildInfo>> {
    let header = program.head(HEADER_LEN as u64)?;
    if !header.starts_with(b"\x7fELF\x02") || header.len() < HEADER_LEN {
        return Ok(None);
    }
    if header[5] != 1 {
        return big_endian(program);
    }
    for (offset, size) in places(program, &header)? {
        let Some(at) = search(program, offset, size)? else {
            continue;
        };
        return texts(program, at).map(Some);
    }
    Ok(None)
}

/// Of a computer that no image is for: all that is told is whether it is Go's.
fn big_endian(program: &(impl Readable + ?Sized)) -> io::Result<Option<BuildInfo>> {
    let mut found = Vec::new();
    program
        .part(0, program.size().min(MAX_TEXT))
        .read_to_end(&mut found)?;
    let is_go = found.windows(MAGIC.len()).any(|bytes| bytes == MAGIC);
    Ok(is_go.then_some(BuildInfo::Unreadable("it is a big-endian program")))
}

/// Offset and size of what may hold it: the section, else writable segments.
fn places(program: &(impl Readable + ?Sized), header: &[u8]) -> io::Result<Vec<(u64, u64)>> {
    let sections = table(program, header, 40, 58, 60)?;
    let names = u16_at(header, 62).and_then(|at| sections.get(usize::from(at)));
    let names = match names.and_then(|names| Some((u64_at(names, 24)?, u64_at(names, 32)?))) {
        Some((at, size)) => bytes(program, at, size.min(MAX_TABLE))?,
        None => Vec::new(),
    };
    let named = sections.iter().find_map(|section| {
        let at = u32_at(section, 0)?;
        let name = super::elf::sections::name_at(&names, at)?;
        (name == b".go.buildinfo").then(|| Some((u64_at(section, 24)?, u64_at(section, 32)?)))?
    });
    if let Some(place) = named {
        return Ok(vec![place]);
    }
    // Without sections it was cut down to what a kernel needs.
    if !names.is_empty() {
        return Ok(Vec::new());
    }
    let segments = table(program, header, 32, 54, 56)?;
    Ok(segments
        .iter()
        .filter(|segment| {
            u32_at(segment, 0) == Some(PT_LOAD)
                && u32_at(segment, 4).is_some_and(|flags| flags & WRITABLE != 0)
        })
        .filter_map(|segment| Some((u64_at(segment, 8)?, u64_at(segment, 32)?)))
        .collect())
}

/// The entries of a table whose place, size of an entry and number the header has there; none
/// if there is no such table.
fn table(
    program: &(impl Readable + ?Sized),
    header: &[u8],
    place: usize,
    each: usize,
    count: usize,
) -> io::Result<Vec<Vec<u8>>> {
    let fields = (
        u64_at(header, place),
        u16_at(header, each),
        u16_at(header, count),
    );
    let (Some(at), Some(each), Some(count)) = fields else {
        return Ok(Vec::new());
    };
    let size = u64::from(each) * u64::from(count);
    if each < 40 || size > MAX_TABLE {
        return Ok(Vec::new());
    }
    let all = bytes(program, at, size)?;
    Ok(all.chunks(usize::from(each)).map(<[u8]>::to_vec).collect())
}

/// `size` bytes from `at`, fewer if the file ends before.
fn bytes(program: &(impl Readable + ?Sized), at: u64, size: u64) -> io::Result<Vec<u8>> {
    let at = at.min(program.size());
    let size = size.min(program.size() - at);
    let mut found = Vec::new();
    program.part(at, size).read_to_end(&mut found)?;
    Ok(found)
}

/// Where the mark is in these bytes of the file.
fn search(program: &(impl Readable + ?Sized), offset: u64, size: u64) -> io::Result<Option<u64>> {
    let found = bytes(program, offset, size.min(MAX_SEARCH))?;
    let mut at = 0;
    while at + MAGIC.len() <= found.len() {
        if found[at..].starts_with(MAGIC) {
            return Ok(Some(offset + at as u64));
        }
        at += ALIGN;
    }
    Ok(None)
}

fn texts(program: &(impl Readable + ?Sized), at: u64) -> io::Result<BuildInfo> {
    let header = bytes(program, at, TEXTS as u64)?;
    if header.get(15).is_none_or(|flags| flags & FLAG_INLINE == 0) {
        return Ok(BuildInfo::Unreadable(
            "it was linked by a Go older than 1.18, whose form is not read",
        ));
    }
    let cut = BuildInfo::Unreadable("its Go build information is cut off");
    let Some((go, next)) = text(program, at + TEXTS as u64)? else {
        return Ok(cut);
    };
    let Some((modules, _)) = text(program, next)? else {
        return Ok(cut);
    };
    let mut build = Build {
        go: String::from_utf8_lossy(&go).into_owned(),
        ..Build::default()
    };
    if let Some(inner) = modules.get(MARK..modules.len().saturating_sub(MARK)) {
        build.read_lines(&String::from_utf8_lossy(inner));
    }
    Ok(BuildInfo::Readable(build))
}

/// A text with its length before it, and where it ends.
fn text(program: &(impl Readable + ?Sized), at: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
    let head = bytes(program, at, 10)?;
    let mut len = 0_u64;
    for (number, byte) in head.iter().enumerate() {
        // Nothing as long as to need more bits is read.
        if number > 4 {
            break;
        }
        len |= u64::from(byte & 0x7f) << (7 * number);
        if byte & 0x80 == 0 {
            let start = at + number as u64 + 1;
            let found = bytes(program, start, len.min(MAX_TEXT))?;
            let whole = found.len() as u64 == len;
            return Ok(whole.then_some((found, start + len)));
        }
    }
    Ok(None)
}

impl Build {
    fn read_lines(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split('\t');
            let kind = words.next().unwrap_or_default();
            let mut word = || words.next().unwrap_or_default().to_owned();
            match kind {
                "path" => self.path = Some(word()),
                "mod" => self.main = Some(Module::of(word)),
                "dep" => self.modules.push(Module::of(word)),
                "=>" => self.replaced(Module::of(word)),
                "build" => {
                    let setting = word();
                    let (key, value) = setting.split_once('=').unwrap_or((&setting, ""));
                    self.settings.push((unquoted(key), unquoted(value)));
                }
                _ => {}
            }
        }
    }

    /// The module before was another one; a folder of its own source is still that module.
    fn replaced(&mut self, by: Module) {
        let last = self.modules.last_mut().or(self.main.as_mut());
        if let Some(last) = last
            && !by.name.starts_with(['.', '/'])
        {
            *last = by;
        }
    }
}

impl Module {
    fn of(mut word: impl FnMut() -> String) -> Module {
        Module {
            name: word(),
            version: word(),
            sum: word(),
        }
    }
}

/// Go quotes a value with blanks as it quotes texts in its sources; the marks are taken off.
fn unquoted(text: &str) -> String {
    let inner = ['"', '`'].iter().find_map(|mark| {
        let text = text.strip_prefix(*mark)?;
        text.strip_suffix(*mark)
    });
    inner.unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests;

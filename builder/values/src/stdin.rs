//! `-` on the command line: standard input instead of a file.
//!
//! It is read to its end into a file without a name, in memory if it is small, which
//! `/proc` has a path for: whoever wants a file can open it twice and seek in it.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::system;

/// More than this goes to disk, in bytes. Keys and the like never do.
const IN_MEMORY: u64 = 64 << 20;

/// What messages call it.
pub const NAME: &str = "standard input";

static SPOOLED: OnceLock<File> = OnceLock::new();

/// The path that `text` names: itself, or what standard input holds if it is `-`.
///
/// # Errors
/// Standard input is a terminal, cannot be read, or was read for another argument already.
pub fn path(text: &str) -> Result<PathBuf> {
    if text != "-" {
        return Ok(text.into());
    }
    if SPOOLED.get().is_some() {
        bail!("`-`: standard input can be read only once, and another argument has it");
    }
    let input = io::stdin().lock();
    if input.is_terminal() {
        bail!("`-`: standard input is a terminal: pipe the content in, or name a file");
    }
    let file = spooled(input).context("`-`: reading standard input")?;
    let _ = SPOOLED.set(file);
    spool().context("`-` is for Linux alone: name a file")
}

/// Whether `path` is what [`path`] made of `-`.
pub fn is(path: &Path) -> bool {
    spool().is_some_and(|own| own == path)
}

/// How a message shows `path`.
pub fn shown(path: &Path) -> String {
    match is(path) {
        true => NAME.to_owned(),
        false => path.display().to_string(),
    }
}

/// `text` with the name instead of the path, which tells nobody anything.
pub fn named(text: String) -> String {
    match spool() {
        Some(path) => text.replace(&path.display().to_string(), NAME),
        None => text,
    }
}

fn spool() -> Option<PathBuf> {
    SPOOLED.get().and_then(system::path_of)
}

fn spooled(mut from: impl Read) -> io::Result<File> {
    let mut bytes = Vec::new();
    from.by_ref().take(IN_MEMORY).read_to_end(&mut bytes)?;
    let whole = (bytes.len() as u64) < IN_MEMORY;
    let mut file = match whole {
        true => system::memory_file()?,
        false => tempfile::tempfile()?,
    };
    file.write_all(&bytes)?;
    drop(bytes);
    if !whole {
        io::copy(&mut from, &mut file)?;
    }
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn small_and_large_input_is_kept_whole() {
        for size in [0, 5, IN_MEMORY, IN_MEMORY + 3] {
            let mut file = spooled(io::repeat(7).take(size)).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, size);
            assert!(bytes.iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn other_paths_are_themselves() {
        assert_eq!(path("./-").unwrap(), Path::new("./-"));
        assert!(!is(Path::new("/proc/self/fd/0")));
        assert_eq!(named("a".to_owned()), "a");
    }
}

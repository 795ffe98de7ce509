//! A walk over an overlay, embedded or on disk: the same list either way.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use include_dir::{Dir, DirEntry};
use nodeimg_values::regular;

use super::Source;

/// An overlay's files are held in memory; anything larger is an artifact.
const MAX_FILE: u64 = 64 << 20;
/// All of an overlay's files together.
const MAX_ALL: u64 = 1 << 30;

/// What there is at the top of an overlay.
const TOP: [&str; 3] = ["root", "templates", "README.md"];

/// Something below the overlay's directory.
pub struct Found<'a> {
    /// Its path below the overlay's directory, with slashes.
    pub relative: String,
    pub what: What<'a>,
}

pub enum What<'a> {
    Directory {
        empty: bool,
    },
    File(Cow<'a, [u8]>),
    /// The link's text.
    Symlink(String),
}

/// Everything in the overlay, sorted by path, directories before what is in them.
pub fn walk(source: Source<'_>) -> Result<Vec<Found<'_>>> {
    let mut found = Vec::new();
    match source {
        Source::Embedded(directory) => embedded(directory, directory.path(), &mut found)?,
        Source::Disk(directory) => {
            let meta = fs::metadata(directory)
                .with_context(|| format!("looking at {}", directory.display()))?;
            if !meta.is_dir() {
                bail!("{} is not a directory", directory.display());
            }
            let mut left = MAX_ALL;
            on_disk(directory, "", &mut found, &mut left)?;
        }
    }
    found.sort_by(|a, b| a.relative.cmp(&b.relative));
    Ok(found)
}

fn embedded<'a>(directory: &Dir<'a>, top: &Path, found: &mut Vec<Found<'a>>) -> Result<()> {
    for entry in directory.entries() {
        let path = entry.path();
        let relative = path
            .strip_prefix(top)
            .unwrap_or(path)
            .to_str()
            .with_context(|| format!("{} is not UTF-8", path.display()))?
            .to_owned();
        let what = match entry {
            DirEntry::Dir(inner) => {
                embedded(inner, top, found)?;
                What::Directory {
                    empty: inner.entries().is_empty(),
                }
            }
            DirEntry::File(file) => What::File(file.contents().into()),
        };
        found.push(Found { relative, what });
    }
    Ok(())
}

/// Adds what is in `directory`, which is called `prefix` (empty, or with a
/// slash at the end) in the overlay; says how much that is.
fn on_disk(
    directory: &Path,
    prefix: &str,
    found: &mut Vec<Found<'_>>,
    left: &mut u64,
) -> Result<usize> {
    let entries = fs::read_dir(directory)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("reading {}", directory.display()))?;
    if prefix.is_empty() {
        check_top(&entries)?;
    }
    for entry in &entries {
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            bail!("{} has a name that is not UTF-8", path.display());
        };
        let relative = format!("{prefix}{name}");
        let what = look(&path, &relative, found, left)
            .with_context(|| relative.escape_debug().to_string())?;
        found.push(Found { relative, what });
    }
    Ok(entries.len())
}

/// Before anything is read: a path that was meant for another directory, `/` say, leads to
/// things that never end.
fn check_top(entries: &[fs::DirEntry]) -> Result<()> {
    for entry in entries {
        let name = entry.file_name();
        let is_known = TOP.iter().any(|known| name == **known);
        if !is_known && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            bail!(
                "{}: an overlay holds `root/` and `templates/`: move it into one of them",
                name.to_string_lossy().escape_debug()
            );
        }
    }
    Ok(())
}

fn look(
    path: &Path,
    relative: &str,
    found: &mut Vec<Found<'_>>,
    left: &mut u64,
) -> Result<What<'static>> {
    let meta = fs::symlink_metadata(path).context("looking at it")?;
    let kind = meta.file_type();
    if kind.is_dir() {
        let inside = on_disk(path, &format!("{relative}/"), found, left)?;
        return Ok(What::Directory { empty: inside == 0 });
    }
    if kind.is_symlink() {
        let target = fs::read_link(path).context("reading the link")?;
        return match target.into_os_string().into_string() {
            Ok(target) => Ok(What::Symlink(target)),
            Err(_) => bail!("is a symbolic link to something that is not UTF-8"),
        };
    }
    if !kind.is_file() {
        bail!("is not a file, directory or link, but a device, a pipe or a socket");
    }
    if meta.len() > MAX_FILE {
        bail!("is larger than {MAX_FILE} bytes: make it an artifact of the recipe instead");
    }
    let bytes = regular::read(path, MAX_FILE).context("reading it")?;
    match left.checked_sub(bytes.len() as u64) {
        Some(rest) => *left = rest,
        None => bail!(
            "makes the overlay larger than {MAX_ALL} bytes: make its large files artifacts of \
             the recipe instead"
        ),
    }
    Ok(What::File(bytes.into()))
}

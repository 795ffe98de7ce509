//! Whether a directory is a store, and whose.
//!
//! A store has a file `CACHEDIR.TAG` ([the tag](https://bford.info/cachedir/) by which
//! backups know a cache) with a line of ours. It is written into an empty
//! directory, and into a store from before there was one, which is known by
//! having nothing but what a store has.
//!
//! # Invariants
//! - Nothing is made in a directory that holds anything else.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::unistd::{AccessFlags, access, geteuid};
use nodeimg_values::regular;
use walkdir::{DirEntry, WalkDir};

use super::place::{self, Part, TEMPORARY, There};

/// The file that marks a store.
pub const MARK: &str = "CACHEDIR.TAG";
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55\n";
const ABOUT: &str = "# The store of nodeimg: verified bytes by their digests. It can be removed \
                     at any time;\n# what is needed is fetched again.\n";
const FORMAT_KEY: &str = "nodeimg-store: ";
const FORMAT: &str = "1";
/// Of a mark, in bytes.
const LONGEST: u64 = 4096;

/// The lock that builds share.
pub const USE_LOCK: &str = "use.lock";

/// What may be done with a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// This user's. Whether others could write to it until now.
    Own { was_open: bool },
    /// Its files may be read and nothing be written; why.
    ReadOnly(String),
}

/// What is known of the directory at `root`.
enum State {
    Marked,
    /// A store of an earlier nodeimg, or nothing at all.
    Unmarked {
        is_empty: bool,
    },
}

/// Opens the directory at `root` as a store, making it and its mark if there is
/// nothing yet.
///
/// # Errors
/// It holds something else, is of a later format, or has parts of somebody else.
pub fn claim(root: &Path) -> Result<Access> {
    let context = || {
        format!(
            "opening the store {} (choose another with --store DIR)",
            root.display()
        )
    };
    let mut make = DirBuilder::new();
    make.recursive(true).mode(0o755);
    // Not if it is there: on a read-only medium even that would fail.
    if !root.is_dir() {
        make.create(root)
            .map_err(|error| in_its_place(root, error))
            .with_context(context)?;
    }
    let meta = fs::metadata(root).with_context(context)?;
    let state = state(root)?;
    if let Some(why) = not_ours(root, &meta) {
        return match state {
            State::Unmarked { is_empty: true } => {
                Err(anyhow::anyhow!("it {why}")).with_context(context)
            }
            _ => Ok(Access::ReadOnly(why)),
        };
    }
    let mut was_open = close(root, &meta).with_context(context)?;
    // As a file system in memory begins, say: nobody has anything in it yet.
    was_open &= !matches!(state, State::Unmarked { is_empty: true });
    if let State::Unmarked { .. } = state {
        write_mark(root).with_context(context)?;
    }
    for part in Part::ALL {
        was_open |= directory(&root.join(part.name())).with_context(context)?;
    }
    Ok(Access::Own { was_open })
}

/// Why no directory can be made at `root`.
fn in_its_place(root: &Path, error: io::Error) -> anyhow::Error {
    match fs::symlink_metadata(root) {
        Ok(meta) if meta.is_symlink() => {
            anyhow::anyhow!("it is a link to a directory that is not there")
        }
        Ok(_) => anyhow::anyhow!("it is not a directory"),
        Err(_) => error.into(),
    }
}

/// That `root` is a store of this user, before anything in it is removed.
pub fn check(root: &Path) -> Result<()> {
    let shown = root.display();
    let meta = fs::metadata(root).with_context(|| format!("opening the store {shown}"))?;
    if let Some(why) = not_ours(root, &meta) {
        bail!("the store {shown} {why}: nothing in it is removed");
    }
    match state(root)? {
        State::Marked => {}
        State::Unmarked { .. } => {
            bail!("{shown} is not a store of nodeimg: it has no {MARK}; nothing in it is removed")
        }
    }
    for part in Part::ALL {
        let path = root.join(part.name());
        if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_dir()) {
            bail!("{} is not a directory: nothing is removed", path.display());
        }
    }
    Ok(())
}

/// Why nothing may be written to it, if that is so.
fn not_ours(root: &Path, meta: &Metadata) -> Option<String> {
    if let Err(errno) = access(root, AccessFlags::W_OK) {
        return Some(format!("cannot be written to ({})", errno.desc()));
    }
    let user = geteuid();
    (meta.uid() != user.as_raw()).then(|| {
        format!(
            "belongs to the user with number {}, not to you (number {user})",
            meta.uid()
        )
    })
}

fn state(root: &Path) -> Result<State> {
    if is_marked(root)? {
        return Ok(State::Marked);
    }
    let names = names(root).with_context(|| format!("listing {}", root.display()))?;
    let is_part =
        |name: &&OsString| *name == USE_LOCK || Part::ALL.iter().any(|part| *name == part.name());
    let is_store = names.iter().any(|name| name == USE_LOCK) || has_only_blobs(root, &names);
    let foreign = names.iter().find(|name| !is_part(name));
    let Some(odd) = foreign.or_else(|| names.first().filter(|_| !is_store)) else {
        let is_empty = names.is_empty();
        return Ok(State::Unmarked { is_empty });
    };
    // Another nodeimg may have made it a store between the two looks.
    if is_marked(root)? {
        return Ok(State::Marked);
    }
    bail!(
        "{} is not a store of nodeimg: it holds `{}`; name an empty or a new directory with \
         --store DIR",
        root.display(),
        odd.to_string_lossy().escape_debug()
    )
}

/// Whether it is the copy of a store's blobs, as caches of CI restore it.
fn has_only_blobs(root: &Path, names: &[OsString]) -> bool {
    let blobs = root.join(Part::Blobs.name());
    let entries = || WalkDir::new(&blobs).min_depth(1).into_iter();
    let is_blob = |entry: walkdir::Result<DirEntry>| {
        let Ok(entry) = entry else { return false };
        let below = entry.path().strip_prefix(&blobs);
        entry.file_type().is_dir() || below.is_ok_and(|path| Part::Blobs.has(path))
    };
    let is_blobs = *names == [OsString::from(Part::Blobs.name())];
    is_blobs && entries().next().is_some() && entries().all(is_blob)
}

/// # Errors
/// It is marked as one of another format.
fn is_marked(root: &Path) -> Result<bool> {
    let mark = root.join(MARK);
    let look = place::look(&mark).with_context(|| format!("reading {}", mark.display()))?;
    let There::File(file, _) = look else {
        return Ok(false);
    };
    let mut text = String::new();
    // What cannot be read marks nothing.
    let _ = file.take(LONGEST).read_to_string(&mut text);
    match text.lines().find_map(|line| line.strip_prefix(FORMAT_KEY)) {
        None => Ok(false),
        Some(FORMAT) => Ok(true),
        Some(other) => bail!(
            "the store {} has format {}, but this nodeimg reads {FORMAT}: use a later nodeimg, or \
             another store with --store DIR",
            root.display(),
            other.escape_debug()
        ),
    }
}

/// What is in the directory, in order, without what says nothing about it: a tag, what a
/// file system has at its top, and what another nodeimg is writing at this moment.
fn names(root: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name();
        let says_nothing = [MARK, "lost+found"].iter().any(|passed| name == **passed)
            || name.to_string_lossy().starts_with(TEMPORARY);
        if !says_nothing {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn write_mark(root: &Path) -> io::Result<()> {
    let path = root.join(MARK);
    // A tag that somebody put there stays, with our line below.
    let head = match regular::read_text(&path) {
        Ok(text) if text.starts_with(SIGNATURE.trim_end()) => format!("{}\n", text.trim_end()),
        _ => SIGNATURE.to_owned(),
    };
    place::write(
        &path,
        format!("{head}{ABOUT}{FORMAT_KEY}{FORMAT}\n").as_bytes(),
    )
}

/// A part of the store; whether others could write to it. A link there may be meant, so
/// it is not cleared away.
fn directory(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other.map(|()| false),
    }
    let meta = fs::symlink_metadata(path)?;
    let shown = path.display();
    if !meta.is_dir() {
        return Err(io::Error::other(format!(
            "{shown} is not a directory: a link to one is not followed; move the whole store, and \
             name it with --store DIR"
        )));
    }
    let owner = meta.uid();
    if owner != geteuid().as_raw() {
        return Err(io::Error::other(format!(
            "{shown} belongs to the user with number {owner}, who can change what gets into your \
             images: remove it"
        )));
    }
    close(path, &meta)
}

/// Closes a directory of this user to the writes of others; whether it was open to them.
fn close(path: &Path, meta: &Metadata) -> io::Result<bool> {
    let is_open = place::others_write(meta);
    if is_open {
        let own = Permissions::from_mode(meta.mode() & 0o755);
        fs::set_permissions(path, own)?;
    }
    Ok(is_open)
}

//! What lies at the places of a store: regular files and directories of its user.
//!
//! A store is one user's. What others can put there, links to elsewhere, named
//! pipes that never answer, files that their owner can change after they were
//! hashed, is not used, and what was removed or moved aside is made again.
//!
//! # Invariants
//! - A link is never followed below the store's root.
//! - Opening never waits, whatever lies there.
//! - A directory in the place of a file is moved aside, never removed: what is
//!   in it is not ours.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Uid, geteuid};
use nodeimg_values::regular;

/// The bits by which others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;

/// How the temporary files of a store begin.
pub const TEMPORARY: &str = ".nodeimg-";

/// What is at a place where a file belongs.
#[derive(Debug)]
pub enum There {
    File(File, Metadata),
    Nothing,
    /// As a message says it: "a directory", "a symbolic link".
    Odd(&'static str),
}

/// Opens for reading what a store keeps at `path`.
pub fn look(path: &Path) -> io::Result<There> {
    opened(File::options().read(true), path)
}

fn opened(options: &mut OpenOptions, path: &Path) -> io::Result<There> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match options.custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
        Err(e) => {
            // Of a link, a socket, a directory that is opened for writing.
            let meta = fs::symlink_metadata(path)?;
            return match meta.is_file() {
                true => Err(e),
                false => Ok(There::Odd(regular::name(meta.file_type()))),
            };
        }
    };
    let meta = file.metadata()?;
    Ok(match meta.is_file() {
        true => There::File(file, meta),
        false => There::Odd(regular::name(meta.file_type())),
    })
}

/// Whether nobody but this user, or root, can change it.
pub fn is_ours(meta: &Metadata) -> bool {
    let owner = Uid::from_raw(meta.uid());
    (owner == geteuid() || owner.is_root()) && !others_write(meta)
}

/// A group of its user alone, as most systems make one for each user, is nobody else.
pub fn others_write(meta: &Metadata) -> bool {
    let own_group = meta.gid() == meta.uid();
    let of_others = if own_group { 0o002 } else { OTHERS_WRITE };
    meta.mode() & of_others != 0
}

/// Whether reading failed for the medium: what cannot be read today cannot be
/// read tomorrow.
pub fn is_rotten(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EIO as i32)
        || error.kind() == io::ErrorKind::PermissionDenied
}

/// Opens the file at `path` for reading and writing, an empty one if it is not
/// there; what is not a file of this user is cleared away.
pub fn own(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    options.mode(0o600);
    for _ in 0..2 {
        match opened(&mut options, path)? {
            There::File(file, meta) if is_ours(&meta) => return Ok(file),
            // Gone between two looks: a dangling link, or another process was at it.
            There::Nothing => {}
            _ => clear(path)?,
        }
    }
    Err(io::Error::other(format!(
        "another user puts files at {}",
        path.display()
    )))
}

/// Makes the place at `path` free.
pub fn clear(path: &Path) -> io::Result<()> {
    let gone = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::rename(path, aside(path)),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match gone {
        // Another process was faster.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A free name beside `path`.
fn aside(path: &Path) -> PathBuf {
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".not-ours-{number}"));
        PathBuf::from(name)
    };
    let free = (1..1000).find(|number| fs::symlink_metadata(name(*number)).is_err());
    name(free.unwrap_or(1000))
}

/// Makes the directory at `path`, whose parent is there; what is not a directory
/// there is cleared away, a file that the store does not know moved aside.
pub fn directory(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(meta) if meta.is_file() => fs::rename(path, aside(path))?,
        Ok(_) => clear(path)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    match DirBuilder::new().mode(0o755).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Writes all of `bytes` to `path` by a rename, so that it is there whole or
/// not at all and nothing behind a link is written to.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Other users may read a store.
    let mut temp = under_way()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(path.parent().unwrap_or(Path::new("/")))?;
    io::Write::write_all(&mut temp, bytes)?;
    put(temp, path).map(drop)
}

/// A file under way in `directory`.
pub fn temporary(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    under_way().tempfile_in(directory)
}

fn under_way() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY).suffix(".tmp");
    builder
}

/// Puts a finished file at `path`; a directory that is in the way is moved aside.
pub fn put(temp: tempfile::NamedTempFile, path: &Path) -> io::Result<File> {
    match temp.persist(path) {
        Err(e) if path.is_dir() => {
            clear(path)?;
            e.file.persist(path).map_err(|e| e.error)
        }
        other => other.map_err(|e| e.error),
    }
}

/// A directory of a store, with files of its own names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Blobs,
    Aliases,
    Derived,
    Built,
    Partial,
    Locks,
}

impl Part {
    pub const ALL: [Part; 6] = [
        Part::Blobs,
        Part::Aliases,
        Part::Derived,
        Part::Built,
        Part::Partial,
        Part::Locks,
    ];

    /// The directory's name.
    pub fn name(self) -> &'static str {
        match self {
            Part::Blobs => "blobs",
            Part::Aliases => "sha512",
            Part::Derived => "derived",
            Part::Built => "built",
            Part::Partial => "partial",
            Part::Locks => "locks",
        }
    }

    /// Whether the store makes files of this name here, `path` being below the
    /// part's directory. What has another name is somebody else's.
    pub fn has(self, path: &Path) -> bool {
        let names: Option<Vec<&str>> = path.iter().map(|name| name.to_str()).collect();
        let Some(names) = names else { return false };
        let under_way = |name: &str| {
            name.starts_with(TEMPORARY) || name.starts_with(".tmp") && name.len() == 10
        };
        match (self, names.as_slice()) {
            (Part::Blobs, [start, name]) => is_hex(name, 64) && name.starts_with(start),
            (Part::Aliases, [name]) => is_hex(name, 128) || under_way(name),
            (Part::Derived, [_, name]) => {
                is_hex(name.strip_suffix(".record").unwrap_or(name), 64) || under_way(name)
            }
            (Part::Locks, [name]) => is_hex(name, 64) || under_way(name),
            (Part::Built, [name]) => is_hex(name, 64) || is_left_behind(name),
            (Part::Partial, [name]) => {
                let stem = [".lock", ".validator"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end));
                is_hex(stem.unwrap_or(name), 64) || under_way(name)
            }
            _ => false,
        }
    }
}

/// What a killed process leaves of an atomic file: `.<64 hex>.XXXXXX.tmp`.
fn is_left_behind(name: &str) -> bool {
    let inner = name
        .strip_prefix('.')
        .and_then(|rest| rest.strip_suffix(".tmp"));
    inner.is_some_and(|inner| inner.get(..64).is_some_and(|stem| is_hex(stem, 64)))
}

fn is_hex(name: &str, digits: usize) -> bool {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    name.len() == digits && name.bytes().all(lower)
}

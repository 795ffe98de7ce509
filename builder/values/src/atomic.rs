//! Files and directories that appear whole or not at all.
//!
//! An unfinished output has a hidden name beside the final one
//! (`.overlay.tar.zst.XXXXXX.tmp`) and is gone when its owner is dropped. What
//! a killed build left is removed by the next one: a directory under way is
//! locked by its owner ([flock(2)](https://man7.org/linux/man-pages/man2/flock.2.html)),
//! so one that is not locked has none. So it is with files that hold secrets.
//!
//! # Invariants
//! - At a final name there is the old content, or all of the new.
//! - Modes are 0644 and 0755, whatever the umask; of what is private 0600 and 0700,
//!   from the beginning.
//! - An output directory is replaced only if it is empty or an earlier output: all
//!   that is in it are files that are listed in its `SHA256SUMS`, and signatures.

mod exchange;
mod together;

use std::fs::{self, File, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use tempfile::{NamedTempFile, PersistError, TempDir};

use crate::digest::{Hasher, Measured};
use crate::full::Writing;
use exchange::{exchange, put_back};
use together::Replaced;

/// The list of the files in an output directory, by its own name.
pub const CHECKSUMS: &str = "SHA256SUMS";

const SUFFIX: &str = ".tmp";

/// Writes all of `bytes` to `to`.
pub fn write_file(to: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(to)?;
    file.write_all(bytes).writing(to)?;
    file.commit()
}

/// Writes all of `bytes` to `to`, which keeps its permissions if it is there.
pub fn rewrite_file(to: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(to)?;
    if let Ok(meta) = fs::metadata(to) {
        file.mode = meta.permissions().mode() & 0o777;
    }
    file.write_all(bytes).writing(to)?;
    file.commit()
}

/// A file under way.
#[derive(Debug)]
pub struct AtomicFile {
    temp: NamedTempFile,
    to: PathBuf,
    mode: u32,
    _mine: Option<Flock<File>>,
}

impl AtomicFile {
    /// Begins a file that will be called `to`.
    pub fn create(to: &Path) -> Result<AtomicFile> {
        // 0600 until it is whole, as tempfile makes every file.
        let temp = tempfile::Builder::new()
            .prefix(&hidden(to)?)
            .suffix(SUFFIX)
            .tempfile_in(parent(to))
            .with_context(|| format!("writing into {}", parent(to).display()))?;
        Ok(AtomicFile {
            temp,
            to: to.to_owned(),
            mode: 0o644,
            _mine: None,
        })
    }

    /// For its owner alone.
    pub fn closed(self) -> AtomicFile {
        AtomicFile {
            mode: 0o600,
            ..self
        }
    }

    /// A file with secrets in it: for its owner alone, and what a killed process
    /// left of an earlier one is removed.
    pub fn private(to: &Path) -> Result<AtomicFile> {
        let _turn = lock(parent(to), FlockArg::LockExclusive);
        remove_left_behind(parent(to), &hidden(to)?);
        let file = AtomicFile::create(to)?.closed();
        let mine = lock(file.temp.path(), FlockArg::LockExclusive);
        Ok(AtomicFile {
            _mine: mine,
            ..file
        })
    }

    /// For files that are not written from start to end.
    pub fn file(&self) -> &File {
        self.temp.as_file()
    }

    /// For what writes and reads in any order.
    pub fn file_mut(&mut self) -> &mut File {
        self.temp.as_file_mut()
    }

    /// All that is in it by now.
    pub fn measure(&self) -> Result<Measured> {
        let mut file = self.temp.as_file();
        file.rewind()
            .and_then(|()| Hasher::measure(file, &[]))
            .with_context(|| format!("reading {} back", self.to.display()))
    }

    /// Puts the file in its place, for good even if the power fails.
    pub fn commit(self) -> Result<()> {
        self.put(NamedTempFile::persist)
    }

    /// The same, if nothing has that name.
    pub fn commit_new(self) -> Result<()> {
        self.put(NamedTempFile::persist_noclobber)
    }

    fn put(
        self,
        persist: impl FnOnce(NamedTempFile, PathBuf) -> Result<File, PersistError>,
    ) -> Result<()> {
        let mode = Permissions::from_mode(self.mode);
        self.temp
            .as_file()
            .set_permissions(mode)
            .writing(&self.to)?;
        self.temp.as_file().sync_all().writing(&self.to)?;
        persist(self.temp, self.to.clone())
            .map_err(|e| e.error)
            .with_context(|| format!("putting {} in its place", self.to.display()))?;
        sync_directory(parent(&self.to))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}

/// Keeps other builds from putting outputs into the same place, where the file
/// system knows locks.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held, not looked at")] Option<Flock<File>>);

/// A directory under way; dropped, it is gone.
#[derive(Debug)]
pub struct OutDir {
    temp: TempDir,
    to: PathBuf,
    kind: Kind,
    _mine: Option<Flock<File>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Of a build.
    Output,
    /// With secrets in it.
    Private { replace: bool },
}

impl Kind {
    fn mode(self) -> Permissions {
        Permissions::from_mode(match self {
            Kind::Output => 0o755,
            Kind::Private { .. } => 0o700,
        })
    }

    fn check(self, to: &Path) -> Result<()> {
        match self {
            Kind::Output => check_replaceable(to),
            Kind::Private { replace: false } if fs::symlink_metadata(to).is_ok() => {
                bail!("{} already exists", to.display())
            }
            Kind::Private { .. } => Ok(()),
        }
    }
}

impl OutDir {
    /// Begins an output directory that will be called `to`.
    pub fn stage(to: &Path) -> Result<OutDir> {
        OutDir::begin(to, Kind::Output)
    }

    /// Begins a directory for its owner alone. An earlier one is replaced if `replace`
    /// says so, whatever is in it: the caller has looked at that.
    pub fn private(to: &Path, replace: bool) -> Result<OutDir> {
        OutDir::begin(to, Kind::Private { replace })
    }

    fn begin(to: &Path, kind: Kind) -> Result<OutDir> {
        let directory = parent(to);
        let context = || {
            format!(
                "creating {} (choose an output directory that you can write to)",
                to.display()
            )
        };
        kind.check(to)?;
        if kind == Kind::Output {
            fs::create_dir_all(directory).with_context(context)?;
        }
        // Held until the new directory is locked: no other build can take it
        // for one that was left behind.
        let _turn = lock(directory, FlockArg::LockExclusive);
        let prefix = hidden(to)?;
        put_back(directory, &prefix, to);
        remove_left_behind(directory, &prefix);
        let temp = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(SUFFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(directory)
            .with_context(context)?;
        fs::set_permissions(temp.path(), kind.mode()).with_context(context)?;
        let mine = lock(temp.path(), FlockArg::LockExclusive);
        Ok(OutDir {
            temp,
            to: to.to_owned(),
            kind,
            _mine: mine,
        })
    }

    /// Where to write until [`commit`](OutDir::commit).
    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Puts the directory in its place, and removes an earlier one. While the
    /// result lives, no other build puts another one there.
    pub fn commit(self) -> Result<Turn> {
        sync_directory(self.temp.path())?;
        let directory = parent(&self.to).to_owned();
        let turn = Turn(lock(&directory, FlockArg::LockExclusive));
        let replaced = self.place()?;
        sync_directory(&directory)?;
        replaced.map_or(Ok(()), Replaced::remove)?;
        Ok(turn)
    }
}

/// `-o ~` must not cost anyone their home directory.
fn check_replaceable(to: &Path) -> Result<()> {
    let shown = to.display();
    let meta = match fs::symlink_metadata(to) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(|| format!("looking at {shown}")),
    };
    if !meta.is_dir() {
        bail!(
            "{shown} exists and is not a directory: remove it, or choose another output directory"
        );
    }
    let context = || format!("listing {shown}");
    let listed = match fs::read_to_string(to.join(CHECKSUMS)) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).with_context(context),
    };
    for entry in fs::read_dir(to).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name();
        let is_file = entry.file_type().with_context(context)?.is_file();
        let known = name.to_str().filter(|_| is_file).is_some_and(|name| {
            !listed.is_empty() && (name == CHECKSUMS || is_signature(name))
                || listed.lines().any(|line| {
                    line.split_once("  ")
                        .is_some_and(|(_, listed)| listed == name)
                })
        });
        if !known {
            bail!(
                "{shown} holds `{}`, which is not an output of an earlier build and would be \
                 replaced: move it away, or choose another output directory",
                name.to_string_lossy()
            );
        }
    }
    Ok(())
}

/// Whether a file is a signature of the checksums, or of what they list: it cannot be in them.
fn is_signature(name: &str) -> bool {
    name.strip_prefix(CHECKSUMS)
        .is_some_and(|rest| rest.starts_with('.'))
        || name.ends_with(".intoto.jsonl")
        || name.ends_with(".update.json.dsse")
        || name.ends_with(".sigstore.json")
}

/// Removes what killed builds left beside the directory `to`.
pub fn tidy(to: &Path) {
    let _turn = lock(parent(to), FlockArg::LockExclusive);
    if let Ok(prefix) = hidden(to) {
        put_back(parent(to), &prefix, to);
        remove_left_behind(parent(to), &prefix);
    }
}

/// What killed builds left; a failure here is for the next build to repair.
fn remove_left_behind(directory: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|name| name.starts_with(prefix) && name.ends_with(SUFFIX));
        if ours && lock(&entry.path(), FlockArg::LockExclusiveNonblock).is_some() {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let _ = match is_dir {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            };
        }
    }
}

/// `None` if it is held by another, or the file system knows no locks.
fn lock(directory: &Path, how: FlockArg) -> Option<Flock<File>> {
    let file = File::open(directory).ok()?;
    Flock::lock(file, how).ok()
}

/// Where the temporary name begins: `.<name>.`.
fn hidden(to: &Path) -> Result<String> {
    match to.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(format!(".{name}.")),
        None => bail!("`{}` is not a valid name for an output", to.display()),
    }
}

fn parent(to: &Path) -> &Path {
    match to.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .with_context(|| format!("writing {}", directory.display()))
}

#[cfg(test)]
mod tests;

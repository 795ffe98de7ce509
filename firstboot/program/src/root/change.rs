//! The half of [`Root`] that makes changes.
//!
//! # Invariants
//! - Every file, link and directory is renamed into place when complete, with its mode
//!   and owner. A link in its place is replaced, not followed.
//! - A file that not everybody may read is overwritten when it goes: before it is removed,
//!   and after another has taken its place.
//! - Before each change a [`Gate`] is asked.
//! - A failed change leaves no temporary file, if the disk still lets one be removed;
//!   leftovers of a power cut are removed by the next change or removal of the same
//!   name.
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, symlinkat, unlinkat};

use nodeimg_seed::contract::paths::TEMPORARY;

use super::{Access, Root, is_absent, split};
use crate::root::gate::{Change, Gate};

/// Mode of directories that lead to a path.
const THROUGH: Access = Access {
    mode: 0o755,
    uid: 0,
    gid: 0,
};

impl Root {
    /// Writes a file whole or not at all. The directory is not synced: see [`Root::sync_parent`].
    pub(crate) fn replace(
        &self,
        path: &str,
        bytes: &[u8],
        access: Access,
        gate: &mut dyn Gate,
    ) -> io::Result<()> {
        self.put(path, gate, |parent, temporary, gate| {
            write_new(parent, temporary, path, gate, (bytes, access))
        })
    }

    /// Replaces whatever is at the path with a symbolic link.
    pub(crate) fn replace_link(
        &self,
        path: &str,
        target: &str,
        gate: &mut dyn Gate,
    ) -> io::Result<()> {
        self.put(path, gate, |parent, temporary, gate| {
            gate.pass(Change::Create, path)?;
            Ok(symlinkat(target, parent, temporary)?)
        })
    }

    /// Creates a directory with its parents; an existing one stays as it is.
    pub(crate) fn make_directory(
        &self,
        path: &str,
        access: Access,
        gate: &mut dyn Gate,
    ) -> io::Result<()> {
        if self.exists(path) {
            return Ok(());
        }
        self.put(path, gate, |parent, temporary, gate| {
            gate.pass(Change::MakeDirectory, path)?;
            mkdirat(parent, temporary, Mode::S_IRWXU)?;
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            let made = openat(parent, temporary, flags | OFlag::O_CLOEXEC, Mode::empty())?;
            own(&made, path, access, gate)?;
            gate.pass(Change::Sync, path)?;
            Ok(fsync(&made)?)
        })
    }

    /// Renames a file within its directory; what had the new name is replaced.
    pub(crate) fn rename(&self, path: &str, to: &str, gate: &mut dyn Gate) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        gate.pass(Change::Rename, path)?;
        let directory = parent.as_fd();
        Ok(renameat(directory, name, directory, split(to)?.1)?)
    }

    /// Removes a directory that holds nothing but such directories; anything else stays.
    pub(crate) fn remove_empty(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        for (name, is_directory) in self.list(path)? {
            if is_directory {
                self.remove_empty(&format!("{path}/{name}"), gate)?;
            }
        }
        let (parent, name) = self.parent_of(path)?;
        gate.pass(Change::Remove, path)?;
        Ok(unlinkat(&parent, name, UnlinkatFlags::RemoveDir)?)
    }

    /// Makes renames and removals in the directory of `path` durable.
    pub(crate) fn sync_parent(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        gate.pass(Change::SyncDirectory, path)?;
        let (parent, _) = split(path)?;
        Ok(fsync(self.open_directory(parent)?)?)
    }

    /// Makes everything on the file system durable.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self.open_directory("/")?)?)
    }

    /// Removes a file and the leftovers of an interrupted run.
    pub(crate) fn remove(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        match self.parent_of(path) {
            Ok((parent, name)) => {
                if let Some(old) = private(&parent, name) {
                    overwrite(old, path, gate)?;
                }
            }
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
        self.unlink(path, gate)
    }

    fn unlink(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        clear(&parent, &temporary_of(name), path, Change::CleanUp, gate)?;
        clear(&parent, name, path, Change::Remove, gate)
    }

    /// Removes a file after its bytes were overwritten in place, as far as the
    /// file system writes in place (ext4 and vfat do). One that cannot be
    /// overwritten is removed all the same, and the error says so.
    pub(crate) fn wipe(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        let there = match self.open_inside(path, OFlag::O_WRONLY) {
            Err(error) if is_absent(&error) => return self.remove(path, gate),
            found => found,
        };
        let overwritten = there.and_then(|file| overwrite(file, path, gate));
        self.unlink(path, gate)?;
        self.sync_parent(path, gate)?;
        overwritten
    }

    /// Writes a mark over the head of a file, makes that durable, and then fills
    /// the rest: in place, as far as the file system writes in place.
    pub(crate) fn overwrite(
        &self,
        path: &str,
        mark: &str,
        filler: u8,
        gate: &mut dyn Gate,
    ) -> io::Result<()> {
        let mut file = File::from(self.open_inside(path, OFlag::O_WRONLY)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("is not a regular file"));
        }
        gate.pass(Change::Overwrite, path)?;
        file.write_all(mark.as_bytes())?;
        gate.pass(Change::Sync, path)?;
        file.sync_all()?;
        let mut left = usize::try_from(metadata.len())
            .unwrap_or(usize::MAX)
            .saturating_sub(mark.len());
        let block = [filler; 4096];
        while left > 0 {
            let part = left.min(block.len());
            gate.pass(Change::Overwrite, path)?;
            file.write_all(&block[..part])?;
            left -= part;
        }
        gate.pass(Change::Sync, path)?;
        file.sync_all()
    }

    /// Writes bytes into a file, in place.
    pub(crate) fn patch(
        &self,
        path: &str,
        offset: u64,
        bytes: &[u8],
        gate: &mut dyn Gate,
    ) -> io::Result<()> {
        let file = File::from(self.open_inside(path, OFlag::O_WRONLY)?);
        gate.pass(Change::Overwrite, path)?;
        file.write_all_at(bytes, offset)?;
        gate.pass(Change::Sync, path)?;
        file.sync_all()
    }

    fn open_directory(&self, path: &str) -> io::Result<OwnedFd> {
        self.open_inside(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
    }

    pub(super) fn parent_of<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (parent, name) = split(path)?;
        Ok((self.open_directory(parent)?, name))
    }

    /// Lets `make` create something under a temporary name, and renames it.
    fn put(
        &self,
        path: &str,
        gate: &mut dyn Gate,
        make: impl FnOnce(&OwnedFd, &str, &mut dyn Gate) -> io::Result<()>,
    ) -> io::Result<()> {
        self.create_directories(split(path)?.0, gate)?;
        let (parent, name) = self.parent_of(path)?;
        let temporary = temporary_of(name);
        let put = clear(&parent, &temporary, path, Change::CleanUp, gate)
            .and_then(|()| make(&parent, &temporary, gate))
            .and_then(|()| {
                let old = private(&parent, name);
                gate.pass(Change::Rename, path)?;
                let directory = parent.as_fd();
                renameat(directory, temporary.as_str(), directory, name)?;
                old.map_or(Ok(()), |old| overwrite(old, path, gate))
            });
        if put.is_err() {
            // The error above is the one to report; leftovers are removed by the next run.
            let _best_effort = clear(&parent, &temporary, path, Change::CleanUp, gate);
        }
        put
    }

    fn create_directories(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        match self.open_inside(path, OFlag::O_PATH | OFlag::O_DIRECTORY) {
            Ok(_) => return Ok(()),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
        self.create_directories(split(path)?.0, gate)?;
        let (parent, name) = self.parent_of(path)?;
        if fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok() {
            let reason = format!("{path} is a file or a dangling link, but must be a directory");
            return Err(io::Error::other(reason));
        }
        self.make_directory(path, THROUGH, gate)?;
        self.sync_parent(path, gate)
    }
}

fn temporary_of(name: &str) -> String {
    format!(".{name}{TEMPORARY}")
}

fn write_new(
    parent: &OwnedFd,
    temporary: &str,
    path: &str,
    gate: &mut dyn Gate,
    (bytes, access): (&[u8], Access),
) -> io::Result<()> {
    gate.pass(Change::Create, path)?;
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(
        parent,
        temporary,
        flags,
        Mode::from_bits_truncate(0o600),
    )?);
    // Two halves, so that the tests can stop between them.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for half in [first, second] {
        gate.pass(Change::Write, path)?;
        file.write_all(half)?;
    }
    own(&file, path, access, gate)?;
    gate.pass(Change::Sync, path)?;
    file.sync_all()
}

fn own(made: impl AsFd, path: &str, access: Access, gate: &mut dyn Gate) -> io::Result<()> {
    // Only root can change owners; a trial run as another user keeps its own.
    if Uid::effective().is_root() {
        gate.pass(Change::Own, path)?;
        let (uid, gid) = (Uid::from_raw(access.uid), Gid::from_raw(access.gid));
        fchown(&made, Some(uid), Some(gid))?;
    }
    // The umask would reduce the mode of open(2).
    gate.pass(Change::Own, path)?;
    Ok(fchmod(&made, Mode::from_bits_truncate(access.mode))?)
}

fn overwrite(file: OwnedFd, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
    let length = usize::try_from(fstat(&file)?.st_size).unwrap_or_default();
    let mut file = File::from(file);
    gate.pass(Change::Overwrite, path)?;
    file.write_all(&vec![0; length])?;
    gate.pass(Change::Sync, path)?;
    file.sync_all()
}

/// A file that others may not read, to be overwritten; not one that has another name as well.
/// A program that runs cannot be opened and stays as it is.
fn private(parent: &OwnedFd, name: &str) -> Option<OwnedFd> {
    let stat = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let hidden = Mode::from_bits_truncate(stat.st_mode) & Mode::S_IROTH == Mode::empty();
    if kind != SFlag::S_IFREG || !hidden || stat.st_size == 0 || stat.st_nlink != 1 {
        return None;
    }
    let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    openat(parent, name, flags, Mode::empty()).ok()
}

/// Removes a name; an empty directory only if it is left over from making one.
fn clear(
    parent: &OwnedFd,
    name: &str,
    path: &str,
    change: Change,
    gate: &mut dyn Gate,
) -> io::Result<()> {
    let stat = match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(()),
        found => found?,
    };
    let is_directory = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
    let flag = if is_directory && change == Change::CleanUp {
        UnlinkatFlags::RemoveDir
    } else {
        UnlinkatFlags::NoRemoveDir
    };
    gate.pass(change, path)?;
    Ok(unlinkat(parent, name, flag)?)
}

//! A directory that nothing leads out of: the node's root, an offline copy of
//! it, or a seed.
//!
//! # Invariants
//! - Every path is resolved as after chroot(2) into the directory
//!   (`openat2` with `RESOLVE_IN_ROOT`, Linux 5.6): neither `..` nor an absolute
//!   symbolic link leaves it, whoever made the tree.
//! - Only regular files are read, and no more of them than asked for.
//! - Writing replaces a name by rename: a link in its place is replaced, not followed.
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, readlinkat, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, symlinkat, unlinkat};
use zeroize::Zeroizing;

/// Suffix of a file that is being written.
const TEMPORARY: &str = ".nodeimg-tmp";

pub(crate) struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

/// Mode and owner of a file to write.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What stands at a path.
pub(crate) enum Entry {
    File(Zeroizing<Vec<u8>>, Access),
    Link(String),
}

/// Asked before each change of the disk. Tests stop a run here; see `apply`.
pub(crate) trait Gate {
    fn pass(&mut self, step: &str) -> io::Result<()>;
}

/// Lets everything pass.
pub(crate) struct Open;

impl Gate for Open {
    fn pass(&mut self, _step: &str) -> io::Result<()> {
        Ok(())
    }
}

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = nix::fcntl::open(path, flags, Mode::empty())?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// A directory that is open already; `shown` is what messages call it.
    pub(crate) fn of(fd: OwnedFd, shown: &Path) -> Self {
        Self {
            fd,
            path: shown.to_owned(),
        }
    }

    /// The same directory under another name in messages.
    pub(crate) fn renamed(self, shown: &Path) -> Self {
        Self::of(self.fd, shown)
    }

    /// Whether this is the running system itself.
    pub(crate) fn is_real(&self) -> bool {
        self.path == Path::new("/")
    }

    /// A path inside, as a person outside would write it.
    pub(crate) fn shown(&self, inside: &str) -> String {
        let below = inside.trim_start_matches('/');
        if below.is_empty() {
            return self.path.display().to_string();
        }
        self.path.join(below).display().to_string()
    }

    fn open_inside(&self, path: &str, flags: OFlag) -> io::Result<OwnedFd> {
        // A name may be a pipe or a terminal: opening it must neither wait nor
        // take it over. openat2 refuses the two flags beside O_PATH.
        let careful = if flags.contains(OFlag::O_PATH) {
            OFlag::empty()
        } else {
            OFlag::O_NOCTTY | OFlag::O_NONBLOCK
        };
        let how = OpenHow::new()
            .flags(flags | careful | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        Ok(openat2(self.fd.as_fd(), path, how)?)
    }

    /// The content of a regular file; `None` where there is nothing.
    pub(crate) fn read(&self, path: &str, limit: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let fd = match self.open_inside(path, OFlag::O_RDONLY) {
            Ok(fd) => fd,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let stat = fstat(&fd)?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(io::Error::other("is no regular file"));
        }
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if size > limit {
            return Err(io::Error::other(format!("is larger than {limit} bytes")));
        }
        // Room for all of it at once: a growing buffer would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        File::from(fd).take(most).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// What stands at a path itself, a link not followed; `None` for nothing, and
    /// for what can be neither kept nor put back (a directory, a device).
    pub(crate) fn entry(&self, path: &str, limit: usize) -> io::Result<Option<Entry>> {
        let (parent, name) = match self.parent_of(path, false, &mut Open) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let stat = match fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFLNK => {
                let target = readlinkat(&parent, name)?.to_string_lossy().into_owned();
                Ok(Some(Entry::Link(target)))
            }
            SFlag::S_IFREG => {
                let access = Access {
                    mode: stat.st_mode & 0o7777,
                    uid: stat.st_uid,
                    gid: stat.st_gid,
                };
                Ok(self
                    .read(path, limit)?
                    .map(|bytes| Entry::File(bytes, access)))
            }
            _ => Ok(None),
        }
    }

    /// Puts a symbolic link in the place of whatever is there, by rename.
    pub(crate) fn replace_link(
        &self,
        path: &str,
        target: &str,
        gate: &mut dyn Gate,
    ) -> io::Result<()> {
        let (parent, name) = self.parent_of(path, true, gate)?;
        let temporary = format!(".{name}{TEMPORARY}");
        gate.pass(&format!("create {path}"))?;
        remove_if_there(&parent, &temporary)?;
        symlinkat(target, &parent, temporary.as_str())?;
        gate.pass(&format!("rename {path}"))?;
        Ok(renameat(
            parent.as_fd(),
            temporary.as_str(),
            parent.as_fd(),
            name,
        )?)
    }

    /// A directory with those above it; one that is there stays as it is.
    pub(crate) fn make_directory(
        &self,
        path: &str,
        access: Access,
        gate: &mut dyn Gate,
    ) -> io::Result<()> {
        if self.exists(path) {
            return Ok(());
        }
        self.create_directories(path, gate)?;
        let made = self.open_inside(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        if Uid::effective().is_root() {
            fchown(
                &made,
                Some(Uid::from_raw(access.uid)),
                Some(Gid::from_raw(access.gid)),
            )?;
        }
        fchmod(&made, Mode::from_bits_truncate(access.mode))?;
        Ok(fsync(&made)?)
    }

    /// Whether there is anything of that name; a link to nothing is nothing.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.open_inside(path, OFlag::O_PATH).is_ok()
    }

    /// Names in a directory with whether each is a directory itself, sorted; empty where there is none.
    pub(crate) fn list(&self, path: &str) -> io::Result<Vec<(String, bool)>> {
        let fd = match self.open_inside(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Ok(fd) => fd,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in Dir::from_fd(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." {
                continue;
            }
            let directory = match entry.file_type() {
                Some(kind) => kind == Type::Directory,
                None => self.list(&format!("{path}/{name}")).is_ok(),
            };
            names.push((name, directory));
        }
        names.sort();
        Ok(names)
    }

    /// Writes a file whole or not at all. The directory is not synced: see [`Root::sync_parent`].
    pub(crate) fn replace(
        &self,
        path: &str,
        bytes: &[u8],
        access: Access,
        gate: &mut dyn Gate,
    ) -> io::Result<()> {
        let (parent, name) = self.parent_of(path, true, gate)?;
        let temporary = format!(".{name}{TEMPORARY}");
        gate.pass(&format!("create {path}"))?;
        remove_if_there(&parent, &temporary)?;
        let written = write_new(&parent, &temporary, bytes, access, path, gate);
        let renamed = written.and_then(|()| {
            gate.pass(&format!("rename {path}"))?;
            Ok(renameat(
                parent.as_fd(),
                temporary.as_str(),
                parent.as_fd(),
                name,
            )?)
        });
        if renamed.is_err() && gate.pass(&format!("clean up {path}")).is_ok() {
            // The error that counts is the one above; a rest is removed by the next run.
            let _best_effort = remove_if_there(&parent, &temporary);
        }
        renamed
    }

    /// Makes renames and removals in the directory of `path` durable.
    pub(crate) fn sync_parent(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        gate.pass(&format!("sync the directory of {path}"))?;
        let (parent, _) = split(path)?;
        Ok(fsync(self.open_inside(
            parent,
            OFlag::O_RDONLY | OFlag::O_DIRECTORY,
        )?)?)
    }

    /// Removes a file, and what an interrupted run left beside it.
    pub(crate) fn remove(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        gate.pass(&format!("remove {path}"))?;
        let (parent, name) = match self.parent_of(path, false, gate) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        remove_if_there(&parent, &format!(".{name}{TEMPORARY}"))?;
        remove_if_there(&parent, name)
    }

    /// Removes a file after its bytes were overwritten in place, as far as the
    /// file system writes in place (ext4 and vfat do). Nothing there is as good as removed.
    pub(crate) fn wipe(&self, path: &str) -> io::Result<()> {
        let fd = match self.open_inside(path, OFlag::O_WRONLY) {
            Ok(fd) => fd,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let length = usize::try_from(fstat(&fd)?.st_size).unwrap_or_default();
        let mut file = File::from(fd);
        file.write_all(&vec![0; length])?;
        file.sync_all()?;
        self.remove(path, &mut Open)?;
        self.sync_parent(path, &mut Open)
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
            return Err(io::Error::other("is no regular file"));
        }
        gate.pass(&format!("mark {path}"))?;
        file.write_all(mark.as_bytes())?;
        file.sync_all()?;
        gate.pass(&format!("fill {path}"))?;
        let mut left = usize::try_from(metadata.len())
            .unwrap_or(usize::MAX)
            .saturating_sub(mark.len());
        let block = [filler; 4096];
        while left > 0 {
            let part = left.min(block.len());
            file.write_all(&block[..part])?;
            left -= part;
        }
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
        gate.pass(&format!("patch {path}"))?;
        file.write_all_at(bytes, offset)?;
        file.sync_all()
    }

    fn parent_of<'a>(
        &self,
        path: &'a str,
        create: bool,
        gate: &mut dyn Gate,
    ) -> io::Result<(OwnedFd, &'a str)> {
        let (parent, name) = split(path)?;
        if create {
            self.create_directories(parent, gate)?;
        }
        Ok((
            self.open_inside(parent, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?,
            name,
        ))
    }

    fn create_directories(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        let mut above = "/".to_owned();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let here = format!("{}/{part}", above.trim_end_matches('/'));
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
            match self.open_inside(&here, flags) {
                Ok(_) => {}
                Err(error) if is_absent(&error) => {
                    gate.pass(&format!("make directory {here}"))?;
                    let parent = self.open_inside(&above, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
                    mkdirat(&parent, part, Mode::from_bits_truncate(0o755)).map_err(|errno| {
                        let link = errno == Errno::EEXIST;
                        if link {
                            io::Error::other(format!("{here} is a link to nothing"))
                        } else {
                            errno.into()
                        }
                    })?;
                    let made = self.open_inside(&here, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
                    fchmod(&made, Mode::from_bits_truncate(0o755))?;
                    fsync(&parent)?;
                }
                Err(error) => return Err(error),
            }
            above = here;
        }
        Ok(())
    }
}

/// Directory and name of a path below the root. Paths of plans and stamps come
/// here, and a stamp is only a file: nothing odd is followed.
fn split(path: &str) -> io::Result<(&str, &str)> {
    let odd = || io::Error::other(format!("{path} is no absolute path of a file"));
    let (parent, name) = path.rsplit_once('/').ok_or_else(odd)?;
    let plain = |part: &str| !matches!(part, "." | "..") && !part.contains('\0');
    if !path.starts_with('/') || name.is_empty() || !path.split('/').all(plain) {
        return Err(odd());
    }
    Ok((if parent.is_empty() { "/" } else { parent }, name))
}

fn write_new(
    parent: &OwnedFd,
    temporary: &str,
    bytes: &[u8],
    access: Access,
    path: &str,
    gate: &mut dyn Gate,
) -> io::Result<()> {
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::openat(
        parent.as_fd(),
        temporary,
        flags,
        Mode::from_bits_truncate(0o600),
    )?;
    let mut file = File::from(fd);
    // Two halves, so that the tests can stop between them.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    gate.pass(&format!("write {path}"))?;
    file.write_all(second)?;
    let (uid, gid) = (Uid::from_raw(access.uid), Gid::from_raw(access.gid));
    // Only root can give files away; a trial run as someone else keeps its own.
    if Uid::effective().is_root() {
        fchown(&file, Some(uid), Some(gid))?;
    }
    // The mode of open(2) would be cut by the umask.
    fchmod(&file, Mode::from_bits_truncate(access.mode))?;
    gate.pass(&format!("sync {path}"))?;
    file.sync_all()
}

fn remove_if_there(parent: &OwnedFd, name: &str) -> io::Result<()> {
    match fstatat(parent.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
        Ok(_) => Ok(unlinkat(parent.as_fd(), name, UnlinkatFlags::NoRemoveDir)?),
    }
}

/// Nothing of that name, be it that a directory on the way is missing or is none.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::ENOENT | Errno::ENOTDIR)
    )
}

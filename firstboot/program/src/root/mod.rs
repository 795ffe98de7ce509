//! A directory that nothing leads out of: the node's root, an offline copy of
//! it, or a seed.
//!
//! # Invariants
//! - Every path is resolved as after chroot(2) into the directory
//!   (`openat2` with `RESOLVE_IN_ROOT`, Linux 5.6): neither `..` nor an absolute
//!   symbolic link leaves it, whoever made the tree.
//! - Only regular files are read, and no more of them than asked for.
//! - Changes to it are in [`change`] and [`below`].
mod below;
mod change;
pub(crate) mod gate;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use zeroize::Zeroizing;

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

impl Access {
    /// Owned by root, readable by everybody.
    pub(crate) const PUBLIC: Self = Self {
        mode: 0o644,
        uid: 0,
        gid: 0,
    };
}

/// What is known of a path without reading it.
#[derive(Clone, Copy)]
pub(crate) struct Stat {
    kind: SFlag,
    /// In bytes.
    pub(crate) size: u64,
}

impl Stat {
    pub(crate) fn is_directory(&self) -> bool {
        self.kind == SFlag::S_IFDIR
    }

    pub(crate) fn is_link(&self) -> bool {
        self.kind == SFlag::S_IFLNK
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == SFlag::S_IFREG
    }
}

/// The kind of file at a path.
pub(crate) enum PathEntry {
    File(Zeroizing<Vec<u8>>, Access),
    Link(String),
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

    /// A directory that is already open; `shown` is its name in messages.
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

    /// The content of a regular file; `None` if there is nothing.
    pub(crate) fn read(&self, path: &str, limit: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let fd = match self.open_inside(path, OFlag::O_RDONLY) {
            Ok(fd) => fd,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let stat = fstat(&fd)?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(io::Error::other("is not a regular file"));
        }
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if size > limit {
            return Err(io::Error::other(format!("is larger than {limit} bytes")));
        }
        // Allocated at once: a growing buffer would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        File::from(fd).take(most).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The file at a path, without following a link; `None` if there is none, or if it
    /// can be neither kept nor put back (a directory, a device).
    pub(crate) fn entry(&self, path: &str, limit: usize) -> io::Result<Option<PathEntry>> {
        let (parent, name) = match self.parent_of(path) {
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
                Ok(Some(PathEntry::Link(target)))
            }
            SFlag::S_IFREG => {
                let access = Access {
                    mode: stat.st_mode & 0o7777,
                    uid: stat.st_uid,
                    gid: stat.st_gid,
                };
                Ok(self
                    .read(path, limit)?
                    .map(|bytes| PathEntry::File(bytes, access)))
            }
            _ => Ok(None),
        }
    }

    /// What is at a path, without following a link in its last part; `None` if there is
    /// nothing.
    pub(crate) fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        let found = self
            .parent_of(path)
            .and_then(|(parent, name)| Ok(fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?));
        match found {
            Ok(stat) => Ok(Some(Stat {
                kind: SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT,
                size: u64::try_from(stat.st_size).unwrap_or_default(),
            })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The directory that a path leads to, links followed, by its own path in this root.
    pub(crate) fn real_directory(&self, path: &str) -> io::Result<String> {
        let found = self.open_inside(path, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let shown = |fd: &OwnedFd| std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        // Without /proc, no link is known.
        let (Ok(real), Ok(top)) = (shown(&found), shown(&self.fd)) else {
            return Ok(path.to_owned());
        };
        let inside = real.strip_prefix(&top).map_err(io::Error::other)?;
        Ok(format!("/{}", inside.display()))
    }

    /// Whether anything of that name exists; a dangling link does not count.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.open_inside(path, OFlag::O_PATH).is_ok()
    }

    pub(crate) fn is_directory(&self, path: &str) -> bool {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        self.open_inside(path, flags).is_ok()
    }

    /// Names in a directory with whether each is a directory itself, sorted; empty if it does not
    /// exist.
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
}

/// Directory and name of a path below the root. Paths of plans and stamps come here,
/// and a stamp is only a file: odd paths are refused.
fn split(path: &str) -> io::Result<(&str, &str)> {
    let odd = || io::Error::other(format!("{path} is not the absolute path of a file"));
    let (parent, name) = path.rsplit_once('/').ok_or_else(odd)?;
    let plain = |part: &str| !matches!(part, "." | "..") && !part.contains('\0');
    if !path.starts_with('/') || name.is_empty() || !path.split('/').all(plain) {
        return Err(odd());
    }
    Ok((if parent.is_empty() { "/" } else { parent }, name))
}

/// Nothing of that name: also if a directory of the path is missing or is not a directory.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::ENOENT | Errno::ENOTDIR)
    )
}

//! Everything below a directory, removed.
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Root, is_absent};
use crate::root::gate::{Change, Gate};

impl Root {
    /// Removes everything below a directory, whatever it is and whatever its name; the
    /// directory itself stays. An interrupted run leaves a part, which the next one removes.
    pub(crate) fn empty(&self, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
        match self.open_inside(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Ok(directory) => empty(directory, path, gate),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn empty(directory: OwnedFd, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
    let mut directory = Dir::from_fd(directory)?;
    let mut names = Vec::new();
    for entry in directory.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    for name in names {
        remove(&directory, &name, path, gate)?;
    }
    Ok(())
}

fn remove(within: &Dir, name: &CStr, path: &str, gate: &mut dyn Gate) -> io::Result<()> {
    gate.pass(Change::Remove, path)?;
    match unlinkat(within.as_fd(), name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR) => {}
        other => return Ok(other?),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    empty(
        openat(within.as_fd(), name, flags, Mode::empty())?,
        path,
        gate,
    )?;
    gate.pass(Change::Remove, path)?;
    Ok(unlinkat(within.as_fd(), name, UnlinkatFlags::RemoveDir)?)
}

//! A volume as a directory that only this process sees.
//!
//! The mount is made by file descriptor (fsopen(2), fsmount(2), Linux 5.2) and
//! attached nowhere: no path leads to it, no other process meets it, and it is
//! gone with the descriptor, however the process ends.
//!
//! # Invariants
//! - Nosuid, nodev, noexec; an error of the device is an error here and never a kernel
//!   panic.
//! - A seed is read from a volume that is read-only: nothing is written to the device,
//!   not even a journal replayed. Only secrets that are no longer needed are
//!   overwritten, through a second mount.
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nodeimg_seed::volume::FileSystem;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use super::Device;
use crate::root::Root;

/// Opens the volume on a device.
pub(crate) fn open(device: &Device, kind: FileSystem) -> io::Result<Root> {
    match detached(device, kind, Mode::Read) {
        Ok(fd) => Ok(Root::of(fd, &device.path)),
        // It is mounted elsewhere for writing, as the boot partition can be; the
        // kernel keeps one state per volume, so it is read at that mount.
        Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => {
            let place = mounted_at(&device.number).ok_or(error)?;
            let root = Root::open(&place)?;
            Ok(root.renamed(&device.path))
        }
        Err(error) => Err(error),
    }
}

/// Opens the volume for writing, which an optical disc and a device that is
/// switched to read-only are not for (EROFS).
pub(crate) fn open_writable(device: &Device, kind: FileSystem) -> io::Result<Root> {
    if kind == FileSystem::Iso9660 || device.read_only {
        return Err(io::ErrorKind::ReadOnlyFilesystem.into());
    }
    let fd = detached(device, kind, Mode::Write)?;
    Ok(Root::of(fd, &device.path))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    Write,
}

fn detached(device: &Device, kind: FileSystem, mode: Mode) -> io::Result<OwnedFd> {
    let context = fsopen(kind.to_string(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    let made = configure(&context, &device.path, kind, mode);
    made.map_err(|error| explained(error, &context))?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_NOATIME;
    if mode == Mode::Read {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    // A mount can be worked in only through a descriptor that is open for reading.
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    Ok(rustix::fs::openat(
        &mount,
        ".",
        flags,
        rustix::fs::Mode::empty(),
    )?)
}

fn configure(
    context: &OwnedFd,
    path: &Path,
    kind: FileSystem,
    mode: Mode,
) -> rustix::io::Result<()> {
    let context = context.as_fd();
    if mode == Mode::Read {
        fsconfig_set_flag(context, "ro")?;
    }
    fsconfig_set_string(context, "source", path)?;
    if kind == FileSystem::Ext {
        if mode == Mode::Read {
            fsconfig_set_flag(context, "noload")?;
        }
        // The superblock may ask for a panic.
        fsconfig_set_string(context, "errors", "continue")?;
    }
    fsconfig_create(context)
}

/// The kernel's own reason, from the context, beside the error number.
fn explained(error: rustix::io::Errno, context: &OwnedFd) -> io::Error {
    let mut message = [0; 256];
    let plain = io::Error::from(error);
    if error == rustix::io::Errno::BUSY {
        return plain;
    }
    match rustix::io::read(context, &mut message) {
        Ok(length) => {
            let text = String::from_utf8_lossy(message.get(2..length).unwrap_or_default());
            io::Error::new(plain.kind(), format!("{plain} ({})", text.trim_end()))
        }
        Err(_) => plain,
    }
}

/// The mount point of a whole volume in this system.
fn mounted_at(number: &str) -> Option<PathBuf> {
    place_in(&fs::read_to_string("/proc/self/mountinfo").ok()?, number)
}

/// <https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html>: id, parent,
/// device, root, mount point.
fn place_in(mounts: &str, number: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').take(5).collect();
        match fields.as_slice() {
            [_, _, device, "/", place] if *device == number => Some(unescaped(place)),
            _ => None,
        }
    })
}

/// Spaces and the like are written as `\040`.
fn unescaped(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::path::PathBuf;

    use super::place_in;

    #[test]
    fn mount_points() {
        let mounts = "22 1 0:20 / /sys rw - sysfs sysfs rw\n\
                      30 1 8:1 /sub /mnt rw - ext4 /dev/sda1 rw\n\
                      31 1 8:1 / /media/a\\040b\\134 rw - ext4 /dev/sda1 rw\n\
                      short\n";
        for (number, expected) in [
            ("8:1", Some("/media/a b\\")),
            ("8:2", None),
            ("0:20", Some("/sys")),
        ] {
            assert_eq!(place_in(mounts, number), expected.map(PathBuf::from));
        }
    }
}

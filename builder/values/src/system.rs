//! What Linux can and macOS cannot, and what macOS gets for it. The rest of the builder is POSIX.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Exchanges two names of one file system in one step, with every C library: musl's own way is
/// not atomic. False: this system or this file system cannot.
#[cfg(target_os = "linux")]
pub fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        // Some network file systems.
        Err(Errno::INVAL | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Flushes everything of the file system that `file` is on. False: this system cannot.
#[cfg(target_os = "linux")]
pub fn flush_around(file: &File) -> io::Result<bool> {
    rustix::fs::syncfs(file)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
pub fn flush_around(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// A file without a name that stays in memory.
#[cfg(target_os = "linux")]
pub fn memory_file() -> io::Result<File> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    Ok(File::from(memfd_create(c"nodeimg", MFdFlags::MFD_CLOEXEC)?))
}

#[cfg(not(target_os = "linux"))]
pub fn memory_file() -> io::Result<File> {
    tempfile::tempfile()
}

/// A path by which this process can open an open file again, from its start; none if the
/// system has none.
#[cfg(target_os = "linux")]
pub fn path_of(file: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    Some(format!("/proc/self/fd/{}", file.as_raw_fd()).into())
}

#[cfg(not(target_os = "linux"))]
pub fn path_of(_: &File) -> Option<PathBuf> {
    None
}

/// What is read of this file next comes from its medium, not from memory. Advice: nothing is
/// wrong if it is not taken.
#[cfg(target_os = "linux")]
pub fn forget(file: &File) {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

#[cfg(not(target_os = "linux"))]
pub fn forget(_: &File) {}

/// What an ordinary user may still write where `path` is, in bytes.
///
/// # Errors
/// There is nothing at `path`, or it cannot be looked at.
// The types are narrower on macOS.
#[allow(clippy::unnecessary_cast)]
pub fn free_space(path: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(path)?;
    Ok((found.blocks_available() as u64).saturating_mul(found.fragment_size() as u64))
}

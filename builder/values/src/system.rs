//! What Linux can and macOS cannot, and what macOS gets for it. The rest of the builder is POSIX.

use std::fs::File;
use std::io;
use std::path::Path;

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

/// What is read of this file next comes from its medium, not from memory. Advice: nothing is
/// wrong if it is not taken.
#[cfg(target_os = "linux")]
pub fn forget(file: &File) {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

#[cfg(not(target_os = "linux"))]
pub fn forget(_: &File) {}

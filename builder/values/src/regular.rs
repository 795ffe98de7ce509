//! Files that a user or a mirror names, read as what they should be.
//!
//! A path may lead to a named pipe that never answers or a device that never ends.
//! Here it is opened without waiting, looked at, and read up to a limit.

use std::fs::{File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// Recipes, lists and the like are never longer, in bytes.
pub const TEXT: u64 = 64 << 20;

/// Opens a file for reading; links are followed.
///
/// # Errors
/// It is not a regular file, whose kind the error names.
pub fn open(path: &Path) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let kind = file.metadata()?.file_type();
    match kind.is_file() {
        true => Ok(file),
        false => Err(io::Error::other(format!(
            "it is {}, not a file",
            name(kind)
        ))),
    }
}

/// All of a file of at most `most` bytes.
///
/// # Errors
/// It is not a regular file, or longer.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(format!(
            "it has more than {most} bytes, the limit for it"
        ))),
        false => Ok(bytes),
    }
}

/// The same of a text of at most [`TEXT`] bytes.
///
/// # Errors
/// It is not a regular file, longer, or not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(read(path, TEXT)?);
    text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8"))
}

/// As a message names what is not a regular file.
pub fn name(kind: FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_regular_file_is_read_and_only_up_to_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a"), "text").unwrap();
        std::os::unix::fs::symlink("a", path("link")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_text(&path("link")).unwrap(), "text");
        assert!(
            read(&path("a"), 3)
                .unwrap_err()
                .to_string()
                .contains("3 bytes")
        );
        for (odd, kind) in [
            (path("pipe"), "a named pipe"),
            (dir.path().to_owned(), "a directory"),
            ("/dev/zero".into(), "a device"),
        ] {
            let error = read_text(&odd).unwrap_err().to_string();
            assert!(error.contains(kind), "{error}");
        }
    }
}

//! Why writing failed: whether for lack of room is said only if it is so.

use std::fmt::Display;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

/// What a message about a failed write ends with.
pub fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => " (is the disk full?)",
        _ => "",
    }
}

/// The context of a failed write.
pub trait Writing<T> {
    /// Of the file at `path`.
    fn writing(self, path: &Path) -> Result<T>;

    /// Of what `what` says, with its verb.
    fn while_writing(self, what: impl Display) -> Result<T>;
}

impl<T> Writing<T> for io::Result<T> {
    fn writing(self, path: &Path) -> Result<T> {
        self.while_writing(format_args!("writing {}", path.display()))
    }

    fn while_writing(self, what: impl Display) -> Result<T> {
        match self {
            Ok(done) => Ok(done),
            Err(e) => {
                let text = format!("{what}{}", hint(&e));
                Err(e).context(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_full_disk_is_said_of_a_full_disk_alone() {
        let failed = |code| {
            let error: io::Result<()> = Err(io::Error::from_raw_os_error(code));
            format!("{:#}", error.writing(Path::new("/x")).unwrap_err())
        };
        let full = failed(nix::errno::Errno::ENOSPC as i32);
        assert!(
            full.starts_with("writing /x (is the disk full?): "),
            "{full}"
        );
        let broken = failed(nix::errno::Errno::EIO as i32);
        assert!(broken.starts_with("writing /x: "), "{broken}");
    }
}

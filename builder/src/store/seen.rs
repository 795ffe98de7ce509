//! What this process has hashed of the store: several images of one command are made of the
//! same files, which are hashed once.
//!
//! # Invariants
//! A file counts as the one that was hashed only while it has the same inode, size and change
//! time: nobody can write to it and keep those.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nodeimg_values::digest::Measured;

use super::reading::Stamp;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Identity {
    device: u64,
    inode: u64,
    stamp: Stamp,
}

#[derive(Debug, Default)]
pub struct Seen(Mutex<HashMap<PathBuf, (Identity, Measured)>>);

impl Seen {
    /// What the bytes of `file`, which was opened at `path`, were when they were hashed.
    pub fn get(&self, path: &Path, file: &File) -> io::Result<Option<Measured>> {
        let now = Identity::of(file)?;
        let all = self.all();
        let found = all.get(path).filter(|(identity, _)| *identity == now);
        Ok(found.map(|(_, measured)| measured.clone()))
    }

    /// `file`, which was opened at `path` and stamped before it was hashed.
    pub fn put(&self, path: &Path, file: &File, before: Stamp, got: &Measured) -> io::Result<()> {
        let identity = Identity::of(file)?;
        // What has changed meanwhile is hashed again.
        if identity.stamp == before {
            self.all().insert(path.to_owned(), (identity, got.clone()));
        }
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<PathBuf, (Identity, Measured)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    fn of(file: &File) -> io::Result<Identity> {
        let meta = file.metadata()?;
        Ok(Identity {
            device: meta.dev(),
            inode: meta.ino(),
            stamp: Stamp::of(file)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use nodeimg_values::digest::Hasher;

    use super::*;

    #[test]
    fn what_was_written_to_or_replaced_is_not_known_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let open = || File::open(&path).unwrap();
        let seen = Seen::default();
        let put = || {
            let before = Stamp::of(&open()).unwrap();
            let got = Hasher::measure(open(), &[]).unwrap();
            seen.put(&path, &open(), before, &got).unwrap();
        };
        let is_known = || seen.get(&path, &open()).unwrap().is_some();
        fs::write(&path, "one").unwrap();
        assert!(!is_known());
        put();
        assert!(is_known());
        // The clock of change times may tick each 10 ms.
        std::thread::sleep(std::time::Duration::from_millis(30));
        fs::write(&path, "two").unwrap();
        assert!(!is_known());
        put();
        fs::write(dir.path().join("other"), "two").unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        assert!(!is_known());
    }
}

//! A download under way: bytes so far, their digest, and what a resume needs.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nodeimg_values::digest::{Algorithm, Digest, Expected, Hasher, Measured};
use nodeimg_values::full::Writing;

use super::place::{self, Part, There};
use super::{Stamp, Store, VerifiedBlob, alias_path, blob_path, sync_directory};

/// In bytes; entity tags and dates are shorter.
const LONGEST_VALIDATOR: u64 = 1024;

/// The one download of something that is under way on this machine: others
/// who want the same wait for its lock and then find the blob in the store.
#[derive(Debug)]
pub struct Partial<'a> {
    store: &'a Store,
    path: PathBuf,
    file: File,
    hasher: HasherOf,
    _lock: Flock<File>,
}

/// Keeps `Debug` of a [`Partial`] free of hash state.
struct HasherOf(Hasher);

impl std::fmt::Debug for HasherOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

/// Bytes that were not the ones wanted; they are dropped.
#[derive(Debug)]
pub struct Rejected {
    pub expected: String,
    pub got: String,
}

impl Store {
    /// Starts or resumes the download named `key` (its URL and digest).
    /// Waits while another process is at the same.
    pub fn partial(&self, key: &str, extra: &[Algorithm]) -> Result<Partial<'_>> {
        let path = self
            .root
            .join(Part::Partial.name())
            .join(Digest::sha256(key.as_bytes()).hex());
        let preparing = format!("preparing the download file {}", path.display());
        let lock = place::own(&path.with_extension("lock")).while_writing(&preparing)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, errno)| io::Error::from(errno))
            .while_writing(&preparing)?;
        let mut file = place::own(&path).while_writing(&preparing)?;
        let mut hasher = Hasher::new(extra);
        let so_far = match io::copy(&mut file, &mut HashSink(&mut hasher)) {
            Ok(so_far) => so_far,
            // What cannot be read back does not begin anything.
            Err(e) if place::is_rotten(&e) => {
                place::clear(&path).while_writing(&preparing)?;
                file = place::own(&path).while_writing(&preparing)?;
                hasher = Hasher::new(extra);
                0
            }
            Err(e) => return Err(e).while_writing(&preparing),
        };
        file.seek(SeekFrom::Start(so_far))
            .while_writing(&preparing)?;
        Ok(Partial {
            store: self,
            path,
            file,
            hasher: HasherOf(hasher),
            _lock: lock,
        })
    }
}

/// Feeds a hasher through `io::copy`.
struct HashSink<'a>(&'a mut Hasher);

impl Write for HashSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Partial<'_> {
    /// Bytes that are there already.
    pub fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|m| m.len())
    }

    /// The `If-Range` value that the bytes so far belong to, if one was given. What no
    /// header can hold, as a power cut may leave it, is none.
    pub fn validator(&self) -> Option<String> {
        let There::File(file, _) = place::look(&self.path.with_extension("validator")).ok()? else {
            return None;
        };
        let mut text = String::new();
        file.take(LONGEST_VALIDATOR + 1)
            .read_to_string(&mut text)
            .ok()?;
        let fits = text.len() as u64 <= LONGEST_VALIDATOR;
        let is_value = fits && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        (is_value && !text.trim().is_empty()).then_some(text)
    }

    /// Remembers a strong `ETag` or a date for a later resume.
    pub fn set_validator(&self, validator: Option<&str>) -> io::Result<()> {
        let path = self.path.with_extension("validator");
        match validator {
            Some(validator) => place::write(&path, validator.as_bytes()),
            None => place::clear(&path),
        }
    }

    /// Empties it, with what a resume needs.
    pub fn start_over(&mut self, extra: &[Algorithm]) -> Result<()> {
        self.restart(extra)
            .and_then(|()| self.set_validator(None))
            .while_writing("emptying a download file in the store")
    }

    /// Appends all that `from` gives; the inner result is of reading it.
    pub fn take(&mut self, from: &mut impl Read) -> Result<io::Result<()>> {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(Ok(())),
                Ok(n) => self.write(&buffer[..n])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Ok(Err(e)),
            }
        }
    }

    /// Discards what is there: the server starts over.
    pub fn restart(&mut self, extra: &[Algorithm]) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hasher = HasherOf(Hasher::new(extra));
        Ok(())
    }

    /// Appends and hashes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).writing(&self.path)?;
        self.hasher.0.update(bytes);
        Ok(())
    }

    /// The digests of the bytes, without an expected one: for `lock`.
    pub fn measured(&self) -> Measured {
        self.hasher.0.clone().finish()
    }

    /// Ends the download: into the store if it is what was wanted, dropped
    /// otherwise.
    pub fn commit(self, want: &Expected) -> Result<Result<VerifiedBlob, Rejected>> {
        let got = self.measured();
        if let Some((expected, got)) = want.mismatch(&got) {
            self.discard();
            return Ok(Err(Rejected { expected, got }));
        }
        let blob = blob_path(&self.store.root, &got.sha256);
        let storing = format!("storing {}", blob.display());
        self.file.sync_all().while_writing(&storing)?;
        let directory = blob.parent().unwrap_or(Path::new("/"));
        place::directory(directory).while_writing(&storing)?;
        if blob.is_dir() {
            place::clear(&blob).while_writing(&storing)?;
        }
        fs::rename(&self.path, &blob).while_writing(&storing)?;
        // After the rename: a partial that a crash leaves must stay writable.
        let read_only = Permissions::from_mode(0o444);
        self.file
            .set_permissions(read_only)
            .while_writing(&storing)?;
        sync_directory(directory).while_writing(&storing)?;
        if let Some(sha512) = &got.sha512 {
            self.store
                .write_alias(sha512, &got.sha256)
                .while_writing(&storing)?;
        }
        let _ = fs::remove_file(self.path.with_extension("validator"));
        // The file that was written and hashed, by whatever name: one that cannot be
        // written through.
        let There::File(file, _) = place::look(&blob).while_writing(&storing)? else {
            bail!("{} is not what was just put there", blob.display());
        };
        let stamp = Stamp::of(&file).while_writing(&storing)?;
        Ok(Ok(VerifiedBlob {
            spans: None,
            file,
            stamp,
            path: blob,
            sha256: got.sha256,
            sha512: got.sha512,
            size: got.size,
        }))
    }

    /// Drops the bytes; the lock file stays, since another may hold it open.
    pub fn discard(self) {
        for path in [self.path.clone(), self.path.with_extension("validator")] {
            let _ = fs::remove_file(path);
        }
    }
}

impl Store {
    pub(super) fn write_alias(&self, sha512: &Digest, sha256: &Digest) -> io::Result<()> {
        place::write(
            &alias_path(&self.root, sha512),
            sha256.to_string().as_bytes(),
        )
    }
}

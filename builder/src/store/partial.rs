//! A download under way: bytes so far, their digest, and what a resume needs.

use std::fs::{self, File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use nodeimg_values::digest::{Algorithm, Digest, Expected, Hasher, Measured};

use super::{Stamp, Store, VerifiedBlob, open_lock_file, sync_directory};

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
            .join("partial")
            .join(Digest::sha256(key.as_bytes()).hex());
        let context = || format!("preparing the download file {}", path.display());
        let lock = open_lock_file(&path.with_extension("lock")).with_context(context)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, errno)| io::Error::from(errno))
            .with_context(context)?;
        let mut file = open_lock_file(&path).with_context(context)?;
        let mut hasher = Hasher::new(extra);
        let so_far = io::copy(&mut file, &mut HashSink(&mut hasher)).with_context(context)?;
        file.seek(SeekFrom::Start(so_far)).with_context(context)?;
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

    /// The `If-Range` value that the bytes so far belong to, if one was given.
    pub fn validator(&self) -> Option<String> {
        fs::read_to_string(self.path.with_extension("validator"))
            .ok()
            .filter(|v| !v.is_empty())
    }

    /// Remembers a strong `ETag` or a date for a later resume.
    pub fn set_validator(&self, validator: Option<&str>) -> io::Result<()> {
        fs::write(
            self.path.with_extension("validator"),
            validator.unwrap_or_default(),
        )
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
        self.file
            .write_all(bytes)
            .with_context(|| format!("writing {} (is the disk full?)", self.path.display()))?;
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
        let blob = self.store.blob_path(&got.sha256);
        let context = || format!("storing {}", blob.display());
        self.file.sync_all().with_context(context)?;
        let directory = blob.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory).with_context(context)?;
        fs::rename(&self.path, &blob).with_context(context)?;
        // After the rename: a partial that a crash leaves must stay writable.
        fs::set_permissions(&blob, Permissions::from_mode(0o444)).with_context(context)?;
        sync_directory(directory).with_context(context)?;
        if let Some(sha512) = &got.sha512 {
            self.store
                .write_alias(sha512, &got.sha256)
                .with_context(context)?;
        }
        let _ = fs::remove_file(self.path.with_extension("validator"));
        let file = File::open(&blob).with_context(context)?;
        let stamp = Stamp::of(&file).with_context(context)?;
        Ok(Ok(VerifiedBlob {
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
    fn write_alias(&self, sha512: &Digest, sha256: &Digest) -> io::Result<()> {
        let path = self.alias_path(sha512);
        let directory = path.parent().unwrap_or(Path::new("/"));
        let mut temp = tempfile::NamedTempFile::new_in(directory)?;
        temp.write_all(sha256.to_string().as_bytes())?;
        temp.as_file().sync_all()?;
        temp.persist(&path).map_err(|e| e.error)?;
        Ok(())
    }
}

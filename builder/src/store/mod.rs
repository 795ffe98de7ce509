//! The store: verified bytes on disk, by digest.
//!
//! ```text
//! <root>/use.lock                   shared by builds, exclusive for gc
//!        blobs/<2 hex>/<64 hex>     0444, named by SHA-256
//!        sha512/<128 hex>           text: the SHA-256 of the blob with that SHA-512
//!        derived/<what>/<64 hex>    made from what that SHA-256 stands for (an unpacked tar)
//!        derived/<what>/<64 hex>.record
//!        built/<64 hex>             what an output directory was built from
//!        partial/<64 hex>{,.lock,.validator}   downloads under way
//! ```
//!
//! # Invariants
//! - [`VerifiedBlob`] has one maker, this room: its bytes were hashed by this
//!   process, after it opened the file.
//! - What is made from a blob is kept only if the bytes that were read for it were the
//!   blob's ([`Reading`]).
//! - Files appear whole: temporary file, fsync, rename.
//! - Any number of builds may use one store at a time; [`gc`](Store::gc) waits for none
//!   and takes nothing from a running one: it refuses while one runs.

mod bundle;
mod derived;
mod maintenance;
mod partial;
mod reading;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nodeimg_values::digest::{Digest, Expected, Hasher};

pub use partial::{Partial, Rejected};
pub use reading::Reading;
use reading::Stamp;

/// A blob is marked as used at most this often, so that a warm build writes nothing.
const TOUCH_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Content-addressed bytes on disk.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    _in_use: Flock<File>,
}

/// Bytes in the store whose digest this process has checked.
#[derive(Debug)]
pub struct VerifiedBlob {
    file: File,
    path: PathBuf,
    sha256: Digest,
    /// Checked as well, if it was asked for.
    sha512: Option<Digest>,
    size: u64,
    /// Of the file before it was hashed.
    stamp: Stamp,
}

impl VerifiedBlob {
    /// Open for reading; use positioned reads, the file is shared.
    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn sha256(&self) -> &Digest {
        &self.sha256
    }

    /// Where it was checked as well.
    pub fn sha512(&self) -> Option<&Digest> {
        self.sha512.as_ref()
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// What a look-up found.
#[derive(Debug)]
pub enum Lookup {
    Found(VerifiedBlob),
    Missing,
    /// It was there with other bytes than its name says, and is gone now.
    DroppedCorrupt {
        path: PathBuf,
        found: Digest,
    },
}

impl Store {
    /// Opens the store at `root`, making it if it is not there.
    pub fn open(root: &Path) -> Result<Store> {
        let context = || {
            format!(
                "opening the store {} (choose another with --store DIR)",
                root.display()
            )
        };
        for part in ["blobs", "sha512", "derived", "partial", "built"] {
            fs::create_dir_all(root.join(part)).with_context(context)?;
        }
        let file = open_lock_file(&root.join("use.lock")).with_context(context)?;
        let lock = Flock::lock(file, FlockArg::LockShared)
            .map_err(|(_, errno)| io::Error::from(errno))
            .with_context(context)?;
        Ok(Store {
            root: root.to_owned(),
            _in_use: lock,
        })
    }

    /// `$XDG_CACHE_HOME/nodeimg`, else `~/.cache/nodeimg`
    /// ([XDG base directories](https://specifications.freedesktop.org/basedir-spec/latest/)).
    pub fn default_root() -> Result<PathBuf> {
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        match (absolute("XDG_CACHE_HOME"), absolute("HOME")) {
            (Some(cache), _) => Ok(cache.join("nodeimg")),
            (None, Some(home)) => Ok(home.join(".cache/nodeimg")),
            (None, None) => {
                bail!(
                    "no directory for the store is known: set HOME or XDG_CACHE_HOME, or use \
                    --store DIR"
                )
            }
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The blob of these digests, hashed again; a corrupt one is dropped.
    pub fn find(&self, want: &Expected) -> Result<Lookup> {
        let Some(sha256) = self.resolve(want)? else {
            return Ok(Lookup::Missing);
        };
        let path = self.blob_path(&sha256);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Lookup::Missing),
            Err(e) => return Err(e).with_context(|| format!("reading {}", path.display())),
        };
        let context = || format!("reading {}", path.display());
        // Before the stamp, which this changes.
        touch(&file);
        let stamp = Stamp::of(&file).with_context(context)?;
        let got = Hasher::measure(&file, &want.extra_algorithms()).with_context(context)?;
        if got.sha256 != sha256 {
            fs::remove_file(&path)
                .with_context(|| format!("dropping the corrupt {}", path.display()))?;
            return Ok(Lookup::DroppedCorrupt {
                path,
                found: got.sha256,
            });
        }
        if want.mismatch(&got).is_some() {
            // A whole blob, but not the one that this lock entry means (its
            // SHA-512 or size differs): fetching will tell who is wrong.
            return Ok(Lookup::Missing);
        }
        Ok(Lookup::Found(VerifiedBlob {
            file,
            path,
            sha256,
            sha512: got.sha512,
            size: got.size,
            stamp,
        }))
    }

    /// Where the record of an output directory is, by the digest of its path.
    pub fn built_record(&self, directory: &Digest) -> PathBuf {
        self.root.join("built").join(directory.hex())
    }

    fn blob_path(&self, sha256: &Digest) -> PathBuf {
        self.root
            .join("blobs")
            .join(&sha256.hex()[..2])
            .join(sha256.hex())
    }

    fn alias_path(&self, sha512: &Digest) -> PathBuf {
        self.root.join("sha512").join(sha512.hex())
    }

    /// The name in `blobs/` that stands for `want`, if any is known. Where it
    /// rests on an alias alone, the blob's SHA-512 is checked when it is used.
    fn resolve(&self, want: &Expected) -> Result<Option<Digest>> {
        match (&want.sha256, &want.sha512) {
            (Some(sha256), _) => Ok(Some(sha256.clone())),
            (None, Some(sha512)) => self.alias(sha512),
            (None, None) => bail!("a blob was requested without a digest"),
        }
    }

    /// The SHA-256 of the blob with this SHA-512, as seen when it was stored.
    fn alias(&self, sha512: &Digest) -> Result<Option<Digest>> {
        let path = self.alias_path(sha512);
        match fs::read_to_string(&path) {
            // A broken alias costs a download, nothing else.
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| format!("reading {}", path.display())),
        }
    }
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(path)
}

/// Marks a file as used today, for gc. Failing is harmless: the store may be
/// another user's, or on a read-only medium.
fn touch(file: &File) {
    let stale = file
        .metadata()
        .and_then(|m| m.modified())
        .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > TOUCH_EVERY));
    if stale {
        let _ = file.set_modified(SystemTime::now());
    }
}

/// Makes a rename into `directory` last through a power cut.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;

//! The store: verified bytes on disk, by digest.
//!
//! ```text
//! <root>/CACHEDIR.TAG               says that this is a store, and of which format
//!        use.lock                   shared by builds, exclusive for gc
//!        blobs/<2 hex>/<64 hex>     0444, named by SHA-256
//!        sha512/<128 hex>           text: the SHA-256 of the blob with that SHA-512
//!        derived/<what>/<64 hex>    made from what that SHA-256 stands for (an unpacked tar)
//!        derived/<what>/<64 hex>.record
//!        built/<64 hex>             what an output directory was built from
//!        partial/<64 hex>{,.lock,.validator}   downloads under way
//!        locks/<64 hex>             the path of a lock whose blobs outlive a budget
//! ```
//!
//! # Invariants
//! - [`VerifiedBlob`] has one maker, this room: its bytes were hashed by this
//!   process, after it opened the file.
//! - What is made from a blob is kept only if the bytes that were read for it were the
//!   blob's ([`Reading`]).
//! - Files appear whole: temporary file, fsync, rename.
//! - A store is one user's; another's, or one on a read-only medium, is only read.
//! - Nothing is removed that the store has not made: only in a marked store, and
//!   only files with the names of its own ([`mark`], [`place`]).
//! - Any number of builds may use one store at a time; [`gc`](Store::gc) waits for none
//!   and takes nothing from a running one: it refuses while one runs.

mod alias;
mod budget;
mod bundle;
mod derived;
mod maintenance;
mod mark;
mod partial;
mod place;
mod reading;
mod record;
mod seen;
mod spans;

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nodeimg_values::digest::{Algorithm, Digest, Expected, Hasher, Measured};
use nodeimg_values::{temporary, trace};
use tempfile::TempDir;

use alias::alias_path;
use mark::{Access, USE_LOCK};
use place::{Part, There};

pub use maintenance::GcReport;
pub use partial::{Partial, Rejected};
pub use reading::Reading;
use reading::Stamp;
use seen::Seen;
pub use spans::Spans;

/// A blob is marked as used at most this often, so that a warm build writes nothing.
const TOUCH_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Content-addressed bytes on disk.
#[derive(Debug)]
pub struct Store {
    /// Where this process writes.
    root: PathBuf,
    below: Option<Below>,
    was_open: bool,
    seen: Seen,
    _in_use: Flock<File>,
}

/// A store that is only read, below one of this process alone.
#[derive(Debug)]
struct Below {
    root: PathBuf,
    why: String,
    _above: TempDir,
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
    /// Of one that the store has derived: what is known of its parts.
    spans: Option<Spans>,
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
    /// Something else was there than its name says, and is gone now.
    DroppedCorrupt {
        path: PathBuf,
        /// "its digest is sha256:…"
        why: String,
    },
}

/// What lies at the place of a blob, hashed.
#[expect(clippy::large_enum_variant, reason = "one at a time, where it is made")]
enum Hashed {
    Good {
        file: File,
        meta: Metadata,
        /// Of the file before it was hashed.
        stamp: Stamp,
        got: Measured,
    },
    Missing,
    /// As [`Lookup::DroppedCorrupt`] says it.
    Bad(String),
}

impl Store {
    /// Opens the store at `root`, making it if it is not there. What is written for one
    /// that can only be read, see [`only_read`](Store::only_read), is gone with the
    /// result.
    ///
    /// # Errors
    /// `root` is a directory of something else, or has parts of somebody else.
    pub fn open(root: &Path) -> Result<Store> {
        let why = match mark::claim(root)? {
            Access::ReadOnly(why) => why,
            Access::Own { was_open } => {
                let store = Store::in_use(root.to_owned(), None)?;
                return Ok(Store { was_open, ..store });
            }
        };
        let parent = temporary::large();
        let above = tempfile::Builder::new()
            .prefix("nodeimg-store-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .with_context(|| format!("creating a directory in {}", parent.display()))?;
        mark::claim(above.path())?;
        let place = above.path().to_owned();
        let below = Below {
            root: root.to_owned(),
            why,
            _above: above,
        };
        Store::in_use(place, Some(below))
    }

    fn in_use(root: PathBuf, below: Option<Below>) -> Result<Store> {
        let lock = || {
            let file = place::own(&root.join(USE_LOCK))?;
            Flock::lock(file, FlockArg::LockShared).map_err(|(_, errno)| io::Error::from(errno))
        };
        let lock = lock().with_context(|| {
            format!(
                "opening the store {} (choose another with --store DIR)",
                root.display()
            )
        })?;
        Ok(Store {
            root,
            below,
            was_open: false,
            seen: Seen::default(),
            _in_use: lock,
        })
    }

    /// Whether other users could write to it until now. Files that they own or can change
    /// are not used.
    pub fn was_open(&self) -> bool {
        self.was_open
    }

    /// Why nothing that is brought or made stays in the store, if that is so.
    pub fn only_read(&self) -> Option<&str> {
        self.below.as_ref().map(|below| below.why.as_str())
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

    /// As the user named it.
    pub fn root(&self) -> &Path {
        self.below.as_ref().map_or(&self.root, |below| &below.root)
    }

    /// The blob of these digests, hashed again; a corrupt one is dropped.
    pub fn find(&self, want: &Expected) -> Result<Lookup> {
        let Some(sha256) = self.resolve(want)? else {
            return Ok(Lookup::Missing);
        };
        let known = self.belong_together(want);
        let extra = match known {
            true => Vec::new(),
            false => want.extra_algorithms(),
        };
        let mut found_at = blob_path(&self.root, &sha256);
        let mut hashed = self.hashed(&found_at, &sha256, &extra)?;
        match (&hashed, &self.below) {
            (Hashed::Bad(_), _) => {
                place::clear(&found_at)
                    .with_context(|| format!("dropping the corrupt {}", found_at.display()))?;
            }
            (Hashed::Missing, Some(below)) => {
                found_at = blob_path(&below.root, &sha256);
                hashed = self.hashed(&found_at, &sha256, &extra)?;
            }
            _ => {}
        }
        if let (Hashed::Good { got, .. }, true) = (&mut hashed, known) {
            got.sha512.clone_from(&want.sha512);
        }
        match hashed {
            Hashed::Bad(why) if found_at.starts_with(&self.root) => Ok(Lookup::DroppedCorrupt {
                path: found_at,
                why,
            }),
            // A whole blob, but not the one that this lock entry means (its
            // SHA-512 or size differs): fetching will tell who is wrong.
            Hashed::Good { got, .. } if want.mismatch(&got).is_some() => Ok(Lookup::Missing),
            Hashed::Good { file, meta, .. } if !place::is_ours(&meta) => {
                self.adopt(&file, &sha256, want)
            }
            Hashed::Good {
                file, stamp, got, ..
            } => {
                if let (Some(sha512), false) = (&got.sha512, known) {
                    // Only to save the next build the work.
                    let _ = self.write_alias(sha512, &sha256);
                }
                Ok(Lookup::Found(VerifiedBlob {
                    file,
                    stamp,
                    spans: None,
                    path: found_at,
                    sha256,
                    sha512: got.sha512,
                    size: got.size,
                }))
            }
            Hashed::Missing | Hashed::Bad(_) => Ok(Lookup::Missing),
        }
    }

    /// What lies at `path`, hashed if this process has not done so.
    fn hashed(&self, path: &Path, sha256: &Digest, extra: &[Algorithm]) -> Result<Hashed> {
        let context = || format!("reading {}", path.display());
        if let Ok(There::File(file, meta)) = place::look(path)
            && let Some(got) = self.seen.get(path, &file).with_context(context)?
            && got.sha256 == *sha256
            && (extra.is_empty() || got.sha512.is_some())
        {
            let stamp = Stamp::of(&file).with_context(context)?;
            return Ok(Hashed::Good {
                file,
                meta,
                stamp,
                got,
            });
        }
        let hashed = hash(path, sha256, extra)?;
        if let Hashed::Good {
            file, stamp, got, ..
        } = &hashed
        {
            self.seen
                .put(path, file, *stamp, got)
                .with_context(context)?;
        }
        Ok(hashed)
    }

    /// A blob whose file another user owns, who can change it after it was hashed:
    /// a copy of it.
    fn adopt(&self, mut file: &File, sha256: &Digest, want: &Expected) -> Result<Lookup> {
        let want = Expected {
            sha256: Some(sha256.clone()),
            ..want.clone()
        };
        let extra = want.extra_algorithms();
        // Not the key of a download: that may be locked by who is looking here.
        let mut partial = self.partial(&format!("copy of {sha256}"), &extra)?;
        partial.start_over(&extra)?;
        file.rewind()
            .with_context(|| format!("reading the file of {sha256}"))?;
        if partial.take(&mut file)?.is_err() {
            partial.discard();
            return Ok(Lookup::Missing);
        }
        Ok(match partial.commit(&want)? {
            Ok(blob) => Lookup::Found(blob),
            Err(_) => Lookup::Missing,
        })
    }

    /// Where the record of an output directory is, by the digest of its path.
    pub fn built_record(&self, directory: &Digest) -> PathBuf {
        self.root.join(Part::Built.name()).join(directory.hex())
    }
}

fn blob_path(root: &Path, sha256: &Digest) -> PathBuf {
    let hex = sha256.hex();
    root.join(Part::Blobs.name()).join(&hex[..2]).join(hex)
}

/// Enough of a digest for people.
fn short(digest: &Digest) -> &str {
    digest.hex().get(..12).unwrap_or_default()
}

/// Hashes what lies at `path`, where the blob `sha256` belongs.
fn hash(path: &Path, sha256: &Digest, extra: &[Algorithm]) -> Result<Hashed> {
    let bad = |e: &io::Error| Hashed::Bad(format!("it cannot be read: {e}"));
    let context = || format!("reading {}", path.display());
    let (file, meta) = match place::look(path) {
        Ok(There::File(file, meta)) => (file, meta),
        Ok(There::Nothing) => return Ok(Hashed::Missing),
        Ok(There::Odd(kind)) => return Ok(Hashed::Bad(format!("it is {kind}"))),
        Err(e) if place::is_rotten(&e) => return Ok(bad(&e)),
        Err(e) => return Err(e).with_context(context),
    };
    if place::is_ours(&meta) {
        // Before the stamp, which this changes.
        touch(&file);
    }
    let stamp = Stamp::of(&file).with_context(context)?;
    let _span = trace::span("store", || format!("hash {}", short(sha256)));
    Ok(match Hasher::measure(&file, extra) {
        Ok(got) if got.sha256 == *sha256 => Hashed::Good {
            file,
            meta,
            stamp,
            got,
        },
        Ok(got) => Hashed::Bad(format!("its digest is {}", got.sha256)),
        Err(e) if place::is_rotten(&e) => bad(&e),
        Err(e) => return Err(e).with_context(context),
    })
}

/// Marks a file as used today, for gc. Failing is harmless: the store may be
/// on a read-only medium.
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

//! The files of a run: what the guest has written to its disk, the firmware's
//! variables, and the seed's medium.
//!
//! Without `--keep` all of them are gone when the run is over. With it the
//! disk and the variables stay in a directory, for one image:
//!
//! ```text
//!  disk.qcow2    the node's writes, over the built disk
//!  vars.fd       the firmware's variables
//!  state.json    over which disk
//! ```
//!
//! # Invariants
//! - A medium with a seed's secrets is never kept but where the user asks for
//!   a command to run (`--print`).
//! - A layer that belongs to one disk is never used over another.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nodeimg_formats::qcow2;
use nodeimg_formats::region::Region;
use nodeimg_values::{atomic, temporary};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::firmware::Flash;
use super::image::Image;
use super::seed;

/// Room for a state partition, if the image has less: it costs nothing
/// until it is written to.
const DEFAULT_DISK: u64 = 8 << 30;
const GRAIN: u64 = 1 << 20;

const DISK: &str = "disk.qcow2";
const VARS: &str = "vars.fd";
const ABOUT: &str = "state.json";

/// Where a run's files are.
#[derive(Debug)]
pub struct State {
    temporary: TempDir,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    directory: PathBuf,
    _mine: Flock<File>,
}

/// What `state.json` says.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct About {
    disk: PathBuf,
    identity: String,
}

impl State {
    /// `keep` is made if it is not there.
    pub fn open(keep: Option<&Path>) -> Result<State> {
        let parent = temporary::large();
        let temporary = tempfile::Builder::new()
            .prefix("nodeimg-run-")
            // Its own user alone: a seed's secrets will be in it.
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .with_context(|| format!("creating a directory in {}", parent.display()))?;
        let kept = keep.map(Kept::open).transpose()?;
        Ok(State { temporary, kept })
    }

    /// Leaves everything where it is; where that is.
    pub fn leave(self) -> PathBuf {
        self.temporary.keep()
    }

    fn directory(&self) -> &Path {
        match &self.kept {
            Some(kept) => &kept.directory,
            None => self.temporary.path(),
        }
    }

    /// Whether the next run continues with what this one writes.
    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// The disk that the guest writes to, over `image`. `size` is what the
    /// guest sees, in bytes.
    pub fn disk(&self, image: &Image, size: Option<u64>) -> Result<PathBuf> {
        let path = self.directory().join(DISK);
        let shown = path.display();
        let about = About {
            disk: image.path.clone(),
            identity: image.identity.clone(),
        };
        let about_path = self.directory().join(ABOUT);
        if path.exists() {
            if size.is_some() {
                bail!(
                    "{shown} already has its size: leave --disk-size out, or remove the directory \
                     to start over"
                );
            }
            About::read(&about_path)?.check(&about, self.directory())?;
            // Of an earlier nodeimg, it may be open to all.
            fs::set_permissions(&path, Permissions::from_mode(0o600))
                .with_context(|| format!("closing {shown} to other users"))?;
            return Ok(path);
        }
        let size = match size {
            Some(size) if size < image.size => bail!(
                "--disk-size: the disk has {} bytes and cannot be made smaller",
                image.size
            ),
            Some(size) => size,
            None => image.machine_size.unwrap_or(DEFAULT_DISK).max(image.size),
        };
        let Some(backing) = image.path.to_str() else {
            bail!("{}: QEMU needs a path in UTF-8", image.path.display());
        };
        atomic::write_file(&about_path, &serde_json::to_vec(&about)?)?;
        // The node's keys will be in it, and the directory may be one of the user's that
        // others can enter.
        let overlay = atomic::AtomicFile::create(&path)?.closed();
        let size = size.next_multiple_of(GRAIN);
        qcow2::overlay(backing, image.format.name(), size, &mut overlay.file())
            .with_context(|| format!("writing {shown}"))?;
        overlay.commit()?;
        Ok(path)
    }

    /// The machine's own copy of the firmware's variables.
    pub fn vars(&self, template: &Flash) -> Result<Flash> {
        let path = self.directory().join(VARS);
        if !path.exists() {
            let from = template.path.display();
            let context = || format!("copying {from} to {}", path.display());
            copy(&template.path, &path).with_context(context)?;
        }
        Ok(Flash {
            path,
            format: template.format,
        })
    }

    /// The medium of a seed directory, as a raw disk.
    pub fn medium(&self, directory: &Path) -> Result<PathBuf> {
        let path = self.temporary.path().join("seed.img");
        let mut file =
            File::create_new(&path).with_context(|| format!("writing {}", path.display()))?;
        seed::write(directory, &mut file)?;
        Ok(path)
    }
}

impl Kept {
    fn open(directory: &Path) -> Result<Kept> {
        let shown = directory.display();
        // Its own user alone: a node's keys will be in it.
        let mut make = DirBuilder::new();
        make.recursive(true).mode(0o700);
        make.create(directory)
            .with_context(|| format!("creating {shown}"))?;
        for entry in fs::read_dir(directory).with_context(|| format!("listing {shown}"))? {
            let name = entry?.file_name();
            let known = [DISK, VARS, ABOUT].iter().any(|known| name == **known);
            let under_way = name.to_str().is_some_and(|name| name.ends_with(".tmp"));
            if !known && !under_way {
                bail!(
                    "--keep {shown}: it holds `{}`, so it is not the state of a run: name a new \
                     directory",
                    name.to_string_lossy()
                );
            }
        }
        let directory = fs::canonicalize(directory)?;
        let file = File::open(&directory).with_context(|| format!("opening {shown}"))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mine) => Ok(Kept {
                directory,
                _mine: mine,
            }),
            Err(_) => bail!("--keep {shown}: another run is using it"),
        }
    }
}

impl About {
    fn read(path: &Path) -> Result<About> {
        let context = || format!("reading {}", path.display());
        let text = fs::read(path).with_context(context)?;
        serde_json::from_slice(&text).with_context(context)
    }

    fn check(&self, now: &About, directory: &Path) -> Result<()> {
        let shown = directory.display();
        let theirs = self.disk.display();
        if self.disk != now.disk {
            bail!(
                "{shown} is the state of another disk, {theirs}: name another directory, or \
                 remove this one to start over"
            );
        }
        if self.identity != now.identity {
            bail!(
                "{shown} is the state of {theirs} from before it was rebuilt: remove the \
                 directory to start over"
            );
        }
        Ok(())
    }
}

/// Zeros become holes: the flash of arm64 has 64 MiB of them.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let len = from.metadata()?.len();
    let parent = to.parent().unwrap_or(Path::new("."));
    let file = tempfile::Builder::new()
        .suffix(".tmp")
        .tempfile_in(parent)?;
    let mut region = Region::new(file.as_file(), 0);
    io::copy(&mut from, &mut region)?;
    file.as_file().set_len(len)?;
    file.persist(to)?;
    Ok(())
}

#[cfg(test)]
mod tests;

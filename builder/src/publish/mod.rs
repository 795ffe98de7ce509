//! Output directories in a container registry.
//!
//! ```text
//! REPO:TAG                index of all architectures, joined from those of
//! REPO:TAG-ARCH           index of one: manifests of
//!   files                 every file of the directory, by name       (pull)
//!   update                root, hash tree, UKI                       (nodeimg-update)
//!   disk, raw | qcow2     one file                                   (Ironic, podman machine)
//! REPO:TAG-containerdisk  a container image with /disk/disk.qcow2    (KubeVirt)
//! REPO:TAG-update         a container image with the update          (Jobs on nodes)
//! REPO:key-HEX32          REPO:TAG-ARCH, by what it was built from
//! REPO:sha256-HEX.sig     signatures of a manifest or an index, as cosign makes them
//! REPO:sha256-HEX         what belongs to a manifest, where the registry keeps no such lists
//! ```
//! `directory` is what there is, `layout` its manifests, `container` its container images, whose
//! layers `layer` makes, `join` the index of several architectures, `cosign` signatures of all of
//! these; `send` does it all, `pull` undoes it; `by_key` takes what somebody else has built from
//! the same, `pins` keeps what locks pin, for all machines that share a repository; `own` is the
//! container image of nodeimg itself.
//!
//! # Invariants
//! - No file is sent that is not the one that `SHA256SUMS` lists.
//! - A tag names only what is there as a whole; the tag without an architecture is the last.
//! - The same directory has the same manifests, whoever publishes it and when.

pub mod address;
pub mod by_key;
mod container;
pub mod cosign;
mod directory;
mod file;
mod join;
mod layer;
mod layout;
mod media;
pub mod own;
pub mod pins;
pub mod pull;
pub mod send;

use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_formats::elf::{HEADER_LEN, program};
use nodeimg_values::arch::Arch;
use nodeimg_values::regular;

pub use directory::Directory;

use crate::input::fetch::push::Source;

/// No program of an update is longer, in bytes.
const MAX_PROGRAM: u64 = 64 << 20;

/// A static nodeimg-update for `arch`.
pub fn updater(path: &Path, arch: Arch) -> Result<Source> {
    let context = || format!("the program {}", path.display());
    let bytes = regular::read(path, MAX_PROGRAM).with_context(context)?;
    let head = bytes.get(..HEADER_LEN).unwrap_or(&bytes);
    if !program::is_elf(head) {
        bail!("{} is not an ELF program", path.display());
    }
    program::check_arch(head, arch).with_context(context)?;
    Ok(Source::bytes(bytes))
}

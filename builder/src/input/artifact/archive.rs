//! Tar archives, plain or packed, and zip archives: what Kubernetes, containerd and CNI
//! publish, and who publishes nothing but zip.
//!
//! A packed archive is decompressed once ever; the tar is kept in the store
//! and files are spans of it. What is checked (members, rules, sizes, ELF
//! headers) is checked while it is decompressed, so that an archive that is
//! refused leaves no tar behind.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_formats::packing::Packing;

use super::Spec;
use super::binary::describe;
use super::members;
use super::select::{Picked, What, select};
use super::untar::{At, Limit, Untar};
use super::zip;
use crate::store::{Store, VerifiedBlob};
use crate::tree::{Content, ImagePath, Node};

/// Name and version of the step from a packed archive to its tar.
const DERIVED: &str = "untar-1";
/// The same for a zip.
const UNZIPPED: &str = "unzip-1";

pub fn unpack(
    store: &Store,
    blob: Arc<VerifiedBlob>,
    spec: &Spec<'_>,
) -> Result<Vec<(ImagePath, Node)>> {
    let head = Content::whole(Arc::clone(&blob))
        .head(512)
        .context("reading it from the store")?;
    let (tar, picked) = match Packing::of(&head) {
        Some(packing) => unpacked(store, &blob, packing, spec)?,
        None if is_tar(&head) => {
            limit(spec).check(blob.size())?;
            let picked = select(&members::read_seeking(At::start(blob.file()))?, spec)?;
            (blob, picked)
        }
        None if zip::is_zip(&head) => unzipped(store, &blob, spec)?,
        None => bail!("it is not a tar archive, nor a zip: {}", describe(&head)),
    };
    Ok(picked
        .into_iter()
        .map(|item| node(item, &tar, spec))
        .collect())
}

fn node(item: Picked, tar: &Arc<VerifiedBlob>, spec: &Spec<'_>) -> (ImagePath, Node) {
    let node = match item.what {
        What::File(body) => {
            let content = Content::Span {
                blob: Arc::clone(tar),
                offset: body.offset,
                len: body.size,
            };
            Node::file(content, item.mode, spec.origin())
        }
        What::Symlink(target) => Node::symlink(target, spec.origin()),
    };
    (item.path, node)
}

/// The tar of a zip archive and the members picked from it.
fn unzipped(
    store: &Store,
    blob: &VerifiedBlob,
    spec: &Spec<'_>,
) -> Result<(Arc<VerifiedBlob>, Vec<Picked>)> {
    let untar = Untar {
        store,
        step: UNZIPPED,
        limit: limit(spec),
    };
    let read = |tar: &mut dyn Read| select(&members::read_through(tar)?, spec);
    let (tar, fresh) = untar.unpack_by(blob, "zip", |from| zip::as_tar(from.file()), read)?;
    picked_of(tar, fresh, spec)
}

/// The tar of a compressed archive and the members picked from it; from the store if
/// it was unpacked before.
fn unpacked(
    store: &Store,
    blob: &VerifiedBlob,
    packing: Packing,
    spec: &Spec<'_>,
) -> Result<(Arc<VerifiedBlob>, Vec<Picked>)> {
    let untar = Untar {
        store,
        step: DERIVED,
        limit: limit(spec),
    };
    let read = |tar: &mut dyn Read| select(&members::read_through(tar)?, spec);
    let (tar, fresh) = untar.unpack(blob, packing, read)?;
    picked_of(tar, fresh, spec)
}

/// What was picked while the tar was made, or else from the tar that is there.
fn picked_of(
    tar: VerifiedBlob,
    fresh: Option<Vec<Picked>>,
    spec: &Spec<'_>,
) -> Result<(Arc<VerifiedBlob>, Vec<Picked>)> {
    let picked = match fresh {
        Some(picked) => picked,
        None => select(&members::read_seeking(At::start(tar.file()))?, spec)?,
    };
    Ok((Arc::new(tar), picked))
}

/// How much an artifact may unpack to.
pub fn limit(spec: &Spec<'_>) -> Limit {
    Limit {
        bytes: spec.max_unpacked,
        remedy: "if that is expected, raise the artifact's `max_unpacked` in the recipe",
    }
}

/// Whether `head` is a tar header: its checksum is right, as in every tar
/// since the first.
fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.get(..512) else {
        return false;
    };
    let mut header = tar::Header::new_old();
    header.as_mut_bytes().copy_from_slice(block);
    let stated = header.cksum().ok();
    header.set_cksum();
    stated.is_some() && stated == header.cksum().ok() && block.iter().any(|&b| b != 0)
}

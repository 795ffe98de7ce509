//! Tar archives, plain or packed: what Kubernetes, containerd and CNI publish.
//!
//! A packed archive is decompressed once ever; the tar is kept in the store
//! and files are spans of it. What is checked (members, rules, sizes, ELF
//! headers) is checked while it is decompressed, so that an archive that is
//! refused leaves no tar behind.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::packing::Packing;

use super::Spec;
use super::binary::describe;
use super::members;
use super::select::{Picked, What, select};
use crate::store::{Store, VerifiedBlob};
use crate::tree::{Content, ImagePath, Node};

/// Name and version of the step from a packed archive to its tar.
const DERIVED: &str = "untar-1";

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
            check_size(blob.size(), spec)?;
            let picked = select(&members::read_seeking(At::start(blob.file()))?, spec)?;
            (blob, picked)
        }
        None => bail!("it is not a tar archive: {}", describe(&head)),
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

/// The tar of a compressed archive and the members picked from it; from the store if
/// it was unpacked before.
fn unpacked(
    store: &Store,
    blob: &VerifiedBlob,
    packing: Packing,
    spec: &Spec<'_>,
) -> Result<(Arc<VerifiedBlob>, Vec<Picked>)> {
    let mut fresh = None;
    let tar = store.derive(blob, DERIVED, |to| {
        let decoder = packing
            .decoder(At::start(blob.file()))
            .with_context(|| format!("preparing the {} decoder", packing.name()))?;
        let mut copy = Copying {
            from: decoder,
            to,
            name: packing.name(),
            left: spec.max_unpacked,
            failed: None,
        };
        let picked = members::read_through(&mut copy).and_then(|all| select(&all, spec));
        // What the reader met is the cause; `tar` only saw its consequence.
        fresh = Some(match copy.failed {
            Some(Failure::TooLarge) => return Err(too_large(spec)),
            Some(Failure::Other(error)) => return Err(error),
            None => picked?,
        });
        Ok(())
    })?;
    check_size(tar.size(), spec)?;
    let picked = match fresh {
        Some(picked) => picked,
        None => select(&members::read_seeking(At::start(tar.file()))?, spec)?,
    };
    Ok((Arc::new(tar), picked))
}

fn check_size(size: u64, spec: &Spec<'_>) -> Result<()> {
    match size > spec.max_unpacked {
        true => Err(too_large(spec)),
        false => Ok(()),
    }
}

fn too_large(spec: &Spec<'_>) -> anyhow::Error {
    anyhow!(
        "it unpacks to more than {} bytes: if that is expected, raise the artifact's \
         `max_unpacked` in the recipe",
        spec.max_unpacked
    )
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

/// Reads a shared file from a place of its own.
pub(super) struct At<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
}

impl At<'_> {
    fn start(file: &File) -> At<'_> {
        At { file, at: 0 }
    }
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for At<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a seek out of the file"))?;
        Ok(self.at)
    }
}

/// Reads what `from` gives and writes it to `to`, up to a limit.
struct Copying<'a> {
    from: Box<dyn Read + 'a>,
    to: &'a mut dyn Write,
    name: &'static str,
    left: u64,
    failed: Option<Failure>,
}

enum Failure {
    TooLarge,
    Other(anyhow::Error),
}

impl Copying<'_> {
    fn fail(&mut self, failure: Failure) -> io::Error {
        self.failed = Some(failure);
        io::Error::other("unpacking failed")
    }

    fn damaged(&self, error: &io::Error) -> Failure {
        let name = self.name;
        Failure::Other(match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                anyhow!("the archive is cut short: its {name} data ends too early")
            }
            _ => anyhow!("its {name} data is damaged, or something follows it: {error}"),
        })
    }
}

impl Read for Copying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = loop {
            match self.from.read(buffer) {
                Ok(n) => break n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let failure = self.damaged(&e);
                    return Err(self.fail(failure));
                }
            }
        };
        let Some(left) = self.left.checked_sub(n as u64) else {
            return Err(self.fail(Failure::TooLarge));
        };
        self.left = left;
        if let Err(e) = self.to.write_all(&buffer[..n]) {
            let error = anyhow!(e).context("writing its tar into the store (is the disk full?)");
            return Err(self.fail(Failure::Other(error)));
        }
        Ok(n)
    }
}

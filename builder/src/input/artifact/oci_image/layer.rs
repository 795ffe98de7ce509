//! One layer of a container image: a tar, packed or plain, whose members are changes to
//! the layers below it
//! ([OCI layers](https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md)).
//!
//! Headers are read with the `tar` crate, what pax and GNU tar put before them here: the
//! crate takes a line feed in a binary attribute for the end of a record.
//!
//! # Invariants
//! Every name is relative, normalised and without `..`. No member is a device node.

use std::io::{self, Read, Seek};
use std::mem;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nodeimg_formats::packing::Packing;
use nodeimg_values::digest::{Algorithm, Digest};
use tar::{Entry, EntryType, Header};

use super::Blob;
use crate::input::artifact::members::text;
use crate::input::artifact::untar::{At, Limit, Untar};
use crate::store::{Reading, Store, VerifiedBlob};
use crate::tree::{Content, Stat};

/// Name and version of the step from a packed layer to its tar.
const UNPACKED: &str = "untar-layer-1";
/// Name and version of the look for device nodes.
const LOOKED_AT: &str = "layer-devices-1";
const LIMIT: Limit = Limit {
    bytes: 8 << 30,
    remedy: "a layer that large cannot be baked in",
};
/// Bound on the records before one member, which are read into memory.
const MAX_RECORDS: u64 = 1 << 20;
/// Bound on the memory that the list of a layer's members takes.
const MAX_MEMBERS: usize = 500_000;
const XATTR: &str = "SCHILY.xattr.";
/// Meaningless on another system, or of an overlay file system itself.
const LEFT_OUT: [&str; 3] = ["trusted.", "user.overlay.", "security.selinux"];

/// One member, by its path below the image's root; empty for the root itself.
#[derive(Clone, Debug)]
pub struct Member {
    pub path: String,
    pub stat: Stat,
    pub kind: MemberKind,
}

#[derive(Clone, Debug)]
pub enum MemberKind {
    Directory,
    File(Content),
    /// The link's text as it stands.
    Symlink(String),
    /// Another path of the image.
    Hardlink(String),
}

/// Where a file's bytes are in its tar.
struct Found {
    path: String,
    stat: Stat,
    kind: FoundKind,
}

enum FoundKind {
    Directory,
    File { offset: u64, len: u64 },
    Symlink(String),
    Hardlink(String),
}

/// The members of `layer`, in its order; its tar is kept in the store.
pub fn read(store: &Store, layer: &Blob, diff_id: &Digest) -> Result<Vec<Member>> {
    let context = || format!("its layer {}", layer.digest);
    members(store, layer, diff_id).with_context(context)
}

fn members(store: &Store, layer: &Blob, diff_id: &Digest) -> Result<Vec<Member>> {
    let (tar, fresh) = match packing(layer)? {
        Some(packing) => {
            let untar = Untar {
                store,
                step: UNPACKED,
                limit: LIMIT,
            };
            let (tar, fresh) = untar.unpack(&layer.bytes, packing, read_through)?;
            (Arc::new(tar), fresh)
        }
        None => (Arc::clone(&layer.bytes), None),
    };
    let is_known = diff_id.algorithm() == Algorithm::Sha256;
    ensure!(
        !is_known || diff_id == tar.sha256(),
        "it unpacks to {}, but the image's configuration says {diff_id}",
        tar.sha256()
    );
    let found = match fresh {
        Some(found) => found,
        None => read_seeking(At::start(tar.file()))?,
    };
    Ok(found.into_iter().map(|one| member(one, &tar)).collect())
}

/// Refuses a layer with a device node; looks at its bytes once ever.
pub fn refuse_devices(store: &Store, layer: &Blob) -> Result<()> {
    let look = || -> Result<()> {
        if store.kept(LOOKED_AT, layer.bytes.sha256())?.is_some() {
            return Ok(());
        }
        let mut from = layer.bytes.reading();
        let looked = look_for_devices(packing(layer)?, &mut from);
        from.finish()?;
        looked?;
        store.keep(LOOKED_AT, layer.bytes.sha256(), b"")
    };
    look().with_context(|| format!("its layer {}", layer.digest))
}

fn look_for_devices(packing: Option<Packing>, from: &mut Reading<'_>) -> Result<()> {
    let tar: Box<dyn Read> = match packing {
        Some(packing) => packing.decoder(from)?,
        None => Box::new(from),
    };
    for entry in tar::Archive::new(tar).entries().map_err(damaged)?.raw(true) {
        let entry = entry.map_err(damaged)?;
        let shown = || format!("member `{}`", entry.path_bytes().escape_ascii());
        refuse_device(entry.header().entry_type()).with_context(shown)?;
    }
    Ok(())
}

fn refuse_device(kind: EntryType) -> Result<()> {
    ensure!(
        !matches!(kind, EntryType::Char | EntryType::Block),
        "is a device node, which a node image never takes from a container image: make the \
         container image without it, a container gets its /dev from the runtime"
    );
    Ok(())
}

fn packing(layer: &Blob) -> Result<Option<Packing>> {
    let head = Content::whole(Arc::clone(&layer.bytes)).head(16);
    Ok(Packing::of(&head.context("reading it from the store")?))
}

fn member(found: Found, tar: &Arc<VerifiedBlob>) -> Member {
    let kind = match found.kind {
        FoundKind::Directory => MemberKind::Directory,
        FoundKind::File { offset, len } => MemberKind::File(Content::Span {
            blob: Arc::clone(tar),
            offset,
            len,
        }),
        FoundKind::Symlink(target) => MemberKind::Symlink(target),
        FoundKind::Hardlink(target) => MemberKind::Hardlink(target),
    };
    Member {
        path: found.path,
        stat: found.stat,
        kind,
    }
}

/// Reads to the very end, so that a copying reader has copied all of it.
fn read_through(mut reader: &mut dyn Read) -> Result<Vec<Found>> {
    let found = list(tar::Archive::new(&mut reader).entries().map_err(damaged)?)?;
    io::copy(&mut reader, &mut io::sink()).map_err(damaged)?;
    Ok(found)
}

fn read_seeking(reader: impl Read + Seek) -> Result<Vec<Found>> {
    let mut archive = tar::Archive::new(reader);
    list(archive.entries_with_seek().map_err(damaged)?)
}

fn list<R: Read>(entries: tar::Entries<'_, R>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut before = Before::default();
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        if before.takes(&mut entry)? {
            continue;
        }
        let before = mem::take(&mut before);
        let raw = before.path(&entry);
        let shown = || format!("member `{}`", raw.escape_ascii());
        found.push(one(&entry, &raw, &before).with_context(shown)?);
        ensure!(
            found.len() <= MAX_MEMBERS,
            "it has more than {MAX_MEMBERS} members"
        );
    }
    Ok(found)
}

fn one<R: Read>(entry: &Entry<'_, R>, raw: &[u8], before: &Before) -> Result<Found> {
    let kind = entry.header().entry_type();
    refuse_device(kind)?;
    let len = entry.size();
    ensure!(
        kind != EntryType::GNUSparse && !before.is_sparse(),
        "is a sparse file, which is not supported: make the image's layers without `--sparse`"
    );
    ensure!(
        before.number("size")?.is_none_or(|size| size == len),
        "is larger than 8 GiB, which is not supported"
    );
    let link = before.link(entry);
    let target = || -> Result<String> {
        let link = link.as_deref().context("is a link to nothing")?;
        text(link)
    };
    let kind = match kind {
        // Before ustar, a directory was a file with a slash at the end.
        EntryType::Regular | EntryType::Continuous if raw.ends_with(b"/") => FoundKind::Directory,
        EntryType::Regular | EntryType::Continuous => FoundKind::File {
            offset: entry.raw_file_position(),
            len,
        },
        EntryType::Directory => FoundKind::Directory,
        EntryType::Symlink => FoundKind::Symlink(target()?),
        EntryType::Link => FoundKind::Hardlink(relative(&target()?)?),
        EntryType::Fifo => bail!(
            "is a named pipe, which a node image cannot hold: make the container image without it"
        ),
        other => bail!(
            "has the unknown type `{}`",
            char::from(other.as_byte()).escape_default()
        ),
    };
    Ok(Found {
        path: relative(&text(raw)?)?,
        stat: before.stat(entry.header())?,
        kind,
    })
}

/// What stands before a member and says more of it than its header can.
#[derive(Default)]
struct Before {
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    /// Of pax.
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Before {
    /// Whether `entry` stands before a member and says more of it.
    fn takes<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<bool> {
        match entry.header().entry_type() {
            EntryType::XHeader => self.records = records(&small(entry)?)?,
            EntryType::GNULongName => self.long_path = Some(until_nul(small(entry)?)),
            EntryType::GNULongLink => self.long_link = Some(until_nul(small(entry)?)),
            // What holds for the whole archive, as `git archive` notes its commit.
            EntryType::XGlobalHeader => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn record(&self, key: &str) -> Option<&[u8]> {
        let mut found = self.records.iter().rev();
        found
            .find(|(there, _)| there == key.as_bytes())
            .map(|(_, value)| value.as_slice())
    }

    fn number(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.record(key) else {
            return Ok(None);
        };
        let number = str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok());
        let shown = || format!("its pax record `{key}` is not a number");
        number.with_context(shown).map(Some)
    }

    fn is_sparse(&self) -> bool {
        let mut keys = self.records.iter().map(|(key, _)| key);
        keys.any(|key| key.starts_with(b"GNU.sparse."))
    }

    fn path<R: Read>(&self, entry: &Entry<'_, R>) -> Vec<u8> {
        let said = self.record("path").or(self.long_path.as_deref());
        said.map_or_else(|| entry.path_bytes().into_owned(), <[u8]>::to_vec)
    }

    fn link<R: Read>(&self, entry: &Entry<'_, R>) -> Option<Vec<u8>> {
        let said = self.record("linkpath").or(self.long_link.as_deref());
        let said = said.map(<[u8]>::to_vec);
        said.or_else(|| entry.link_name_bytes().map(|bytes| bytes.into_owned()))
    }

    fn stat(&self, header: &Header) -> Result<Stat> {
        let id = |key, of_header: io::Result<u64>| -> Result<u32> {
            // An empty field is root's, as every unpacker reads it.
            let id = self.number(key)?.or_else(|| of_header.ok());
            let id = u32::try_from(id.unwrap_or_default());
            id.with_context(|| format!("its {key} is too large"))
        };
        let mut stat = Stat {
            mode: header.mode().context("has no readable mode")? & 0o7777,
            uid: id("uid", header.uid())?,
            gid: id("gid", header.gid())?,
            ..Stat::default()
        };
        for (key, value) in &self.records {
            if let Some(name) = key.strip_prefix(XATTR.as_bytes()) {
                let name = text(name)?;
                if !LEFT_OUT.iter().any(|start| name.starts_with(start)) {
                    stat.xattrs.insert(name, value.clone());
                }
            }
        }
        Ok(stat)
    }
}

fn small<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>> {
    ensure!(
        entry.size() <= MAX_RECORDS,
        "the records before a member are longer than {MAX_RECORDS} bytes"
    );
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(damaged)?;
    Ok(bytes)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes.truncate(end.unwrap_or(bytes.len()));
    bytes
}

/// `<length> <key>=<value>\n` each; the length counts all of it.
fn records(mut bytes: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let one = record(bytes).context("a pax record cannot be read")?;
        let (len, key, value) = one;
        all.push((key.to_vec(), value.to_vec()));
        bytes = &bytes[len..];
    }
    Ok(all)
}

fn record(bytes: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let len: usize = str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let body = bytes.get(space + 1..len)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    Some((len, &body[..equals], &body[equals + 1..]))
}

/// Below the image's root, as every unpacker takes it: `/bin/x`, `./bin/x`.
fn relative(raw: &str) -> Result<String> {
    let parts: Vec<&str> = raw
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    ensure!(
        !parts.contains(&".."),
        "`{}` leaves the image's root: nothing from it is used",
        raw.escape_debug()
    );
    Ok(parts.join("/"))
}

fn damaged(error: io::Error) -> anyhow::Error {
    anyhow!("it cannot be read as a tar: {error}")
}

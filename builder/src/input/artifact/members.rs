//! The members of a tar archive, checked one by one.
//!
//! Read with the `tar` crate: [ustar and pax](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13)
//! and the [GNU extensions](https://www.gnu.org/software/tar/manual/html_node/Standard.html)
//! for long names. Sparse members are refused: their bytes are not one span.
//!
//! # Invariants
//! A listed member has a relative name without `..`, is a file, directory or
//! link, and its links do not leave the archive. That holds for members that
//! no rule picks, too: an archive with one hostile member is not trusted.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::elf::HEADER_LEN;
use nodeimg_formats::guarded::{Guard, Guarded};
use tar::{Entries, Entry, EntryType};

use super::rule::member_name;
use crate::tree::climbs_above;

/// Of an archive that nobody makes by accident.
pub const REMEDY: &str = "nothing from it is used: pin another release, or ask its publisher";

/// More members than any node artifact has; bounds the memory that a listing takes.
pub const MAX_MEMBERS: usize = 200_000;
/// Bound on the headers of one member (names, pax records), which are read into memory.
const MAX_HEADERS: u64 = 1024 * 1024;

/// One member.
#[derive(Debug)]
pub struct Member {
    /// Without `./` before and `/` behind; empty for the archive's top.
    pub name: String,
    pub kind: MemberKind,
    /// Permission bits.
    pub mode: u32,
    /// `None` if the header has no number.
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    /// Whether a file capability goes with it.
    pub has_capability: bool,
}

#[derive(Clone, Debug)]
pub enum MemberKind {
    Directory,
    File(Body),
    /// The link's text as it stands.
    Symlink(String),
    /// Another member, by its normalised name.
    Hardlink(String),
}

/// A file member's bytes in the tar.
#[derive(Clone, Debug)]
pub struct Body {
    pub offset: u64,
    pub size: u64,
    /// The first bytes: an ELF header's worth.
    pub head: Vec<u8>,
}

/// The members of the tar that `reader` gives, all read (so that a copying
/// reader has copied all of it).
pub fn read_through(reader: impl Read) -> Result<Vec<Member>> {
    let guard = Rc::new(Guard::new(MAX_HEADERS));
    let mut archive = tar::Archive::new(Guarded::new(reader, Rc::clone(&guard)));
    let members = list(archive.entries().map_err(damaged)?, &guard)?;
    check_end(archive.into_inner(), &guard)?;
    Ok(members)
}

/// The same from a tar on disk, skipping over the members' bytes.
pub fn read_seeking(reader: impl Read + Seek) -> Result<Vec<Member>> {
    let guard = Rc::new(Guard::new(MAX_HEADERS));
    let mut archive = tar::Archive::new(Guarded::new(reader, Rc::clone(&guard)));
    let members = list(archive.entries_with_seek().map_err(damaged)?, &guard)?;
    check_end(archive.into_inner(), &guard)?;
    Ok(members)
}

fn list<R: Read>(mut entries: Entries<'_, R>, guard: &Guard) -> Result<Vec<Member>> {
    let mut members: Vec<Member> = Vec::new();
    let mut body = 0;
    loop {
        guard.allow_headers_after(body);
        let Some(entry) = entries.next() else {
            return Ok(members);
        };
        let mut entry = entry
            .map_err(damaged)
            .with_context(|| match members.last() {
                Some(last) => format!("after member `{}`", last.name.escape_debug()),
                None => "its content is not a tar archive".to_owned(),
            })?;
        body = entry.size();
        guard.allow_body(body);
        let shown = entry.path_bytes().escape_ascii().to_string();
        let member = read_member(&mut entry).with_context(|| format!("member `{shown}`"))?;
        members.extend(member);
        if members.len() > MAX_MEMBERS {
            bail!("it has more than {MAX_MEMBERS} members");
        }
    }
}

/// `None` for an entry that is not a member, such as pax records for the whole archive.
fn read_member<R: Read>(entry: &mut Entry<'_, R>) -> Result<Option<Member>> {
    let has_capability = read_records(entry)?;
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(None);
    }
    let raw = text(&entry.path_bytes())?;
    let name = member_name(&raw).map_err(|error| anyhow!("{error}; {REMEDY}"))?;
    let link = entry.link_name_bytes().map(|bytes| text(&bytes));
    let kind = match kind {
        // Before ustar, a directory was a file with a slash at the end.
        EntryType::Regular | EntryType::Continuous if raw.ends_with('/') => MemberKind::Directory,
        EntryType::Regular | EntryType::Continuous => {
            let mut head = Vec::new();
            let offset = entry.raw_file_position();
            let size = entry.size();
            entry
                .by_ref()
                .take(HEADER_LEN as u64)
                .read_to_end(&mut head)
                .map_err(damaged)?;
            MemberKind::File(Body { offset, size, head })
        }
        EntryType::Directory => MemberKind::Directory,
        EntryType::Symlink => MemberKind::Symlink(symlink_target(&name, link)?),
        EntryType::Link => {
            let target = link.context("is a hard link to nothing")??;
            if entry.size() > 0 {
                // Some readers take it for the next member, others for this one's.
                bail!("is a hard link with content");
            }
            let target = member_name(&target).map_err(|error| {
                anyhow!("is a hard link that leaves the archive's root: {error}; {REMEDY}")
            })?;
            MemberKind::Hardlink(target)
        }
        EntryType::Char | EntryType::Block => {
            bail!("is a device node, which an image never takes from an archive; {REMEDY}")
        }
        EntryType::Fifo => {
            bail!("is a named pipe, which an image never takes from an archive; {REMEDY}")
        }
        other => bail!(
            "has the unknown type `{}`",
            char::from(other.as_byte()).escape_default()
        ),
    };
    if name.is_empty() && !matches!(kind, MemberKind::Directory) {
        bail!("is the archive's top, but not a directory");
    }
    let mode = entry.header().mode().context("has no readable mode")? & 0o7777;
    let header = entry.header();
    Ok(Some(Member {
        name,
        kind,
        mode,
        uid: header.uid().ok(),
        gid: header.gid().ok(),
        has_capability,
    }))
}

/// Refuses sparse members, and records that would change members behind our back or
/// that readers take differently; whether there is a file capability among them.
fn read_records<R: Read>(entry: &mut Entry<'_, R>) -> Result<bool> {
    let kind = entry.header().entry_type();
    if kind == EntryType::GNUSparse {
        bail!("is a sparse file: the archive must be made without `--sparse`");
    }
    if kind == EntryType::XGlobalHeader && entry.size() > MAX_HEADERS {
        bail!("is a pax record longer than {MAX_HEADERS} bytes");
    }
    let Some(records) = entry.pax_extensions().map_err(damaged)? else {
        return Ok(false);
    };
    let mut has_capability = false;
    let mut seen = BTreeSet::new();
    for record in records {
        let record = record
            .map_err(damaged)
            .context("has a pax record that cannot be read")?;
        let key = record.key_bytes();
        if key.starts_with(b"GNU.sparse.") {
            bail!("is a sparse file: the archive must be made without `--sparse`");
        }
        let renames = [&b"path"[..], b"linkpath", b"size"].contains(&key);
        if kind == EntryType::XGlobalHeader && renames {
            bail!(
                "is a pax record that sets `{}` for every member",
                key.escape_ascii()
            );
        }
        if renames && !seen.insert(key.to_vec()) {
            bail!("has two pax records `{}`", key.escape_ascii());
        }
        let value = record.value_bytes();
        let is_number = || str::from_utf8(value).is_ok_and(|text| text.parse::<u64>().is_ok());
        if key == b"size" && !is_number() {
            bail!(
                "has a pax record `size` of `{}`, which is not a size",
                value.escape_ascii()
            );
        }
        has_capability |= key.ends_with(b".xattr.security.capability");
    }
    Ok(has_capability)
}

fn symlink_target(name: &str, link: Option<Result<String>>) -> Result<String> {
    let target = link.context("is a symbolic link to nothing")??;
    if target.is_empty() || target.chars().any(char::is_control) {
        bail!(
            "is a symbolic link to `{}`, which is not a valid path",
            target.escape_debug()
        );
    }
    // An absolute link is one within the image that it is meant for.
    // Counted in the archive's own names, where `bin` is not `usr/bin`.
    let depth = name.matches('/').count();
    if !target.starts_with('/') && climbs_above(&target, depth) {
        bail!("is a symbolic link to `{target}`, which leaves the archive's root; {REMEDY}");
    }
    Ok(target)
}

/// A name or link in an archive.
pub fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| anyhow!("`{}` is not UTF-8", bytes.escape_ascii()))
}

fn damaged(error: io::Error) -> anyhow::Error {
    anyhow!("the archive cannot be read: {error}")
}

/// After the end mark only zeros may come, as tar's blocking makes them.
fn check_end<R: Read>(mut reader: Guarded<R>, guard: &Guard) -> Result<()> {
    if guard.is_at_end() {
        bail!("the archive is cut short: its end mark is missing");
    }
    let mut buffer = vec![0; 64 * 1024];
    loop {
        guard.allow_body(buffer.len() as u64);
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) if buffer[..n].iter().all(|&b| b == 0) => {}
            Ok(_) => bail!("there is data after the archive's end mark"),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(damaged(e)),
        }
    }
}

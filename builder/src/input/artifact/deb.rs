//! Debian packages ([deb(5)](https://manpages.debian.org/deb.5)): an ar archive
//! of `debian-binary`, `control.tar.*` and `data.tar.*`.
//!
//! The data is decompressed once ever; the tar is kept in the store and files
//! are spans of it. Owners and modes are those of the tar's headers, setuid
//! included: packages are Debian's, by signature. Maintainer scripts are data
//! here, nothing runs them.
//!
//! # Invariants
//! Owners are ids that mean the same on every Debian system.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_formats::ar;
use nodeimg_formats::packing::Packing;
use nodeimg_values::arch::Arch;

use super::binary::describe;
use super::members::{self, Member, MemberKind};
use super::untar::At;
use crate::store::{Store, VerifiedBlob};
use crate::tree::{Content, ImagePath, Node, Origin, Stat};

/// Name and version of the step from a package to its data's tar.
const DERIVED: &str = "deb-data-1";
/// More than any package of a node unpacks to.
const MAX_DATA: u64 = 4 << 30;
/// More than all the control files of any package.
const MAX_CONTROL: u64 = 64 << 20;
/// User and group ids below this are the same on every Debian system
/// ([Debian Policy 9.2.2](https://www.debian.org/doc/debian-policy/ch-opersys.html#uid-and-gid-classes)).
const STATIC_IDS: u64 = 100;

/// What a package should be.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub arch: Arch,
}

/// A package's files, and what it says of itself.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub nodes: Vec<(ImagePath, Node)>,
    /// `control`, `md5sums`, `conffiles`, `postinst` and the like.
    pub control: BTreeMap<String, Vec<u8>>,
}

/// Reads the package in `blob`, which must be the one that `want` says.
pub fn unpack(store: &Store, blob: &VerifiedBlob, want: Identity<'_>) -> Result<Package> {
    let parts = Parts::of(blob)?;
    let control = control(blob, &parts.control)?;
    check_identity(&control, want)?;
    let (tar, members) = data(store, blob, &parts.data)?;
    let nodes = Files::new(&members, &tar, want.name).nodes()?;
    Ok(Package {
        name: want.name.to_owned(),
        nodes,
        control,
    })
}

/// Does the slow part of [`unpack`], whose result the store keeps for it.
pub fn unpack_ahead(store: &Store, blob: &VerifiedBlob) -> Result<()> {
    data(store, blob, &Parts::of(blob)?.data).map(drop)
}

/// Only what the package says of itself: the files of its control archive.
pub fn control_of(blob: &VerifiedBlob, want: Identity<'_>) -> Result<BTreeMap<String, Vec<u8>>> {
    let control = control(blob, &Parts::of(blob)?.control)?;
    check_identity(&control, want)?;
    Ok(control)
}

/// The files of its control archive, whatever package it is.
pub fn control_files(blob: &VerifiedBlob) -> Result<BTreeMap<String, Vec<u8>>> {
    control(blob, &Parts::of(blob)?.control)
}

/// A field of a control file, of those with one line.
pub fn field<'a>(control: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = control.lines();
    lines.find_map(|line| {
        let (there, value) = line.split_once(':')?;
        there.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

struct Parts {
    control: ar::Member,
    data: ar::Member,
}

impl Parts {
    fn of(blob: &VerifiedBlob) -> Result<Parts> {
        let mut head = Vec::new();
        let at = At {
            file: blob.file(),
            at: 0,
        };
        at.take(512)
            .read_to_end(&mut head)
            .context("reading it from the store")?;
        if !head.starts_with(b"!<arch>\n") {
            bail!("it is not a Debian package: {}", describe(&head));
        }
        let members = ar::members(blob.file(), blob.size())?;
        let version = members.first().filter(|m| m.name == "debian-binary");
        let version = version
            .context("it is not a Debian package: it does not begin with `debian-binary`")?;
        let mut text = String::new();
        section(blob, version)
            .take(16)
            .read_to_string(&mut text)
            .context("reading `debian-binary`")?;
        if !text.starts_with("2.") {
            bail!(
                "its format is {}, but this nodeimg reads only 2",
                text.trim().escape_debug()
            );
        }
        let one = |prefix: &str| {
            let mut found = members.iter().filter(|m| m.name.starts_with(prefix));
            match (found.next(), found.next()) {
                (Some(member), None) => Ok(member.clone()),
                _ => bail!("it does not have exactly one member `{prefix}*`"),
            }
        };
        Ok(Parts {
            control: one("control.tar")?,
            data: one("data.tar")?,
        })
    }
}

fn section<'a>(blob: &'a VerifiedBlob, member: &ar::Member) -> impl Read + use<'a> {
    At {
        file: blob.file(),
        at: member.offset,
    }
    .take(member.size)
}

/// A member's tar, whatever it is packed with; `from` reads the member of `blob`.
fn unpacked<'a>(
    blob: &VerifiedBlob,
    member: &ar::Member,
    from: impl Read + 'a,
) -> Result<Box<dyn Read + 'a>> {
    let mut head = Vec::new();
    section(blob, member)
        .take(16)
        .read_to_end(&mut head)
        .context("reading it from the store")?;
    match Packing::of(&head) {
        Some(packing) => packing
            .decoder(from)
            .with_context(|| format!("preparing the {} decoder", packing.name())),
        None if member.name.ends_with(".tar") => Ok(Box::new(from)),
        None => bail!("`{}` is not compressed with gzip, zstd or xz", member.name),
    }
}

fn control(blob: &VerifiedBlob, member: &ar::Member) -> Result<BTreeMap<String, Vec<u8>>> {
    let context = || format!("reading its `{}`", member.name);
    let mut tar = Vec::new();
    let whole = unpacked(blob, member, section(blob, member))?
        .take(MAX_CONTROL + 1)
        .read_to_end(&mut tar)
        .with_context(context)?;
    if whole as u64 > MAX_CONTROL {
        bail!(
            "its `{}` unpacks to more than {MAX_CONTROL} bytes",
            member.name
        );
    }
    let mut files = BTreeMap::new();
    for member in members::read_through(tar.as_slice()).with_context(context)? {
        if let MemberKind::File(body) = member.kind {
            let start = usize::try_from(body.offset)?;
            let end = start.saturating_add(usize::try_from(body.size)?);
            let bytes = tar.get(start..end).with_context(context)?;
            files.insert(member.name, bytes.to_vec());
        }
    }
    Ok(files)
}

fn check_identity(control: &BTreeMap<String, Vec<u8>>, want: Identity<'_>) -> Result<()> {
    let text = control.get("control").context("it has no file `control`")?;
    let text = String::from_utf8_lossy(text);
    let field = |name: &str| field(&text, name).unwrap_or_default();
    let (name, version, arch) = (field("Package"), field("Version"), field("Architecture"));
    let fits = arch == "all" || arch == want.arch.name();
    if (name, version) != (want.name, want.version) || !fits {
        bail!("it is the package {name} {version} ({arch})");
    }
    Ok(())
}

/// The tar of the data and its members; from the store if it was unpacked before.
fn data(
    store: &Store,
    blob: &VerifiedBlob,
    member: &ar::Member,
) -> Result<(Arc<VerifiedBlob>, Vec<Member>)> {
    let context = || format!("reading its `{}`", member.name);
    let mut fresh = None;
    let tar = store.derive(blob, DERIVED, |from, to| {
        from.skip_to(member.offset).with_context(context)?;
        let from = unpacked(blob, member, from.take(member.size))?.take(MAX_DATA + 1);
        let mut copy = Copying { from, to };
        let members = members::read_through(&mut copy).with_context(context)?;
        if copy.from.limit() == 0 {
            bail!("it unpacks to more than {MAX_DATA} bytes");
        }
        fresh = Some(members);
        Ok(())
    })?;
    let members = match fresh {
        Some(members) => members,
        None => members::read_seeking(At {
            file: tar.file(),
            at: 0,
        })
        .with_context(context)?,
    };
    Ok((Arc::new(tar), members))
}

/// Writes what it reads.
struct Copying<'a, R> {
    from: R,
    to: &'a mut dyn Write,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.write_all(&buffer[..n])?;
        Ok(n)
    }
}

/// The members of a data tar, on their way to nodes.
struct Files<'a> {
    members: &'a [Member],
    tar: &'a Arc<VerifiedBlob>,
    package: &'a str,
    by_name: BTreeMap<&'a str, &'a Member>,
}

impl<'a> Files<'a> {
    fn new(members: &'a [Member], tar: &'a Arc<VerifiedBlob>, package: &'a str) -> Files<'a> {
        let by_name = members.iter().map(|m| (m.name.as_str(), m)).collect();
        Files {
            members,
            tar,
            package,
            by_name,
        }
    }

    fn nodes(&self) -> Result<Vec<(ImagePath, Node)>> {
        let mut nodes = Vec::with_capacity(self.members.len());
        for member in self.members {
            let node = self
                .node(member)
                .with_context(|| format!("member `{}`", member.name.escape_debug()))?;
            nodes.extend(node);
        }
        nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let Some(pair) = nodes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            bail!("it has `{}` twice", pair[0].0);
        }
        Ok(nodes)
    }

    /// `None` for the root, and for the links of a merged /usr, which every
    /// image has anyway.
    fn node(&self, member: &Member) -> Result<Option<(ImagePath, Node)>> {
        if member.name.is_empty() {
            return Ok(None);
        }
        let path = ImagePath::from_relative(&member.name)?;
        let origin = Origin::Package(self.package.to_owned());
        let mut node = match &member.kind {
            // A link in every image, whatever a package takes it for.
            MemberKind::Directory | MemberKind::Symlink(_)
                if ImagePath::is_merged(&member.name) =>
            {
                return Ok(None);
            }
            MemberKind::Directory => Node::directory(member.mode, origin),
            MemberKind::Symlink(target) => Node::symlink(target.clone(), origin),
            MemberKind::File(_) => Node::file(self.content(member)?, member.mode, origin),
            MemberKind::Hardlink(target) => {
                let there = self.by_name.get(target.as_str());
                let there = there.with_context(|| {
                    format!("is a hard link to `{target}`, which does not exist")
                })?;
                Node::file(self.content(there)?, there.mode, origin)
            }
        };
        node.stat = Stat {
            uid: static_id(member.uid, "user")?,
            gid: static_id(member.gid, "group")?,
            ..node.stat
        };
        Ok(Some((path, node)))
    }

    fn content(&self, member: &Member) -> Result<Content> {
        let MemberKind::File(body) = &member.kind else {
            bail!("is a hard link to `{}`, which is not a file", member.name);
        };
        Ok(Content::Span {
            blob: Arc::clone(self.tar),
            offset: body.offset,
            len: body.size,
        })
    }
}

fn static_id(id: Option<u64>, what: &str) -> Result<u32> {
    let id = id.with_context(|| format!("has no readable {what}"))?;
    match u32::try_from(id) {
        Ok(small) if id < STATIC_IDS => Ok(small),
        _ => bail!(
            "belongs to the {what} {id}, which is not the same on every Debian system (0 to 99 are)"
        ),
    }
}

#[cfg(test)]
mod tests;

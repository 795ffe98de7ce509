//! Every file of a root, hashed on all cores.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result};
use nodeimg_formats::go_buildinfo::{self, BuildInfo};
use nodeimg_inspect::root::{Kind, Root};
use nodeimg_values::digest::{Digest, Hasher};
use nodeimg_values::parallel::{cores, in_parallel};

use crate::output::sbom::INSIDE;

/// What is read at a time, in bytes.
const PIECE: usize = 128 << 10;
/// A program that is larger is not asked what Go says of it, in bytes.
const LARGEST_PROGRAM: u64 = 1 << 30;
/// Texts that are compared later.
pub const STATUS: &str = "/usr/lib/sysimage/dpkg/status";
pub const IMAGES: &str = "/usr/lib/nodeimg/images/";
/// Behind the name of a container image: its digest, then its names.
pub const NAMES: &str = ".names";

/// What is at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    Directory,
    File {
        size: u64,
        sha256: Digest,
    },
    Symlink(String),
    /// A device, a pipe or a socket.
    Other,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub what: What,
}

/// All that is compared of a tree.
#[derive(Default)]
pub struct Listing {
    /// By absolute path.
    pub files: BTreeMap<String, File>,
    /// Contents of files that are read for what they say.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// What Go says of executable files.
    pub programs: BTreeMap<String, BuildInfo>,
}

/// Whether the content of a file is read for what it says.
pub fn is_text(path: &str) -> bool {
    path == STATUS || INSIDE.contains(&path) || (path.starts_with(IMAGES) && path.ends_with(NAMES))
}

/// One file's content as it is read.
pub struct Reading {
    hasher: Hasher,
    /// Kept, if it may be a program or is a text.
    kept: Option<Vec<u8>>,
    is_text: bool,
    size: u64,
}

/// What one file says.
pub struct Read1 {
    pub size: u64,
    pub sha256: Digest,
    pub text: Option<Vec<u8>>,
    pub program: Option<BuildInfo>,
}

impl Reading {
    pub fn of(path: &str, mode: u32, size: u64) -> Reading {
        let is_text = is_text(path);
        let may_be_program = mode & 0o111 != 0 && size <= LARGEST_PROGRAM;
        Reading {
            hasher: Hasher::new(&[]),
            kept: (is_text || may_be_program).then(Vec::new),
            is_text,
            size: 0,
        }
    }

    /// Reads all of it.
    pub fn all(mut self, mut from: impl Read) -> Result<Read1> {
        let mut buffer = vec![0; PIECE];
        loop {
            let length = from.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            let bytes = &buffer[..length];
            self.hasher.update(bytes);
            // A script is not looked into.
            if self.size == 0 && !self.is_text && !bytes.starts_with(b"\x7fELF") {
                self.kept = None;
            }
            if let Some(kept) = &mut self.kept {
                kept.extend_from_slice(bytes);
            }
            self.size += length as u64;
        }
        let mut read = Read1 {
            size: self.size,
            sha256: self.hasher.finish().sha256,
            text: None,
            program: None,
        };
        match (self.kept, self.is_text) {
            (Some(kept), true) => read.text = Some(kept),
            (Some(kept), false) => read.program = go_buildinfo::read(&kept)?,
            (None, _) => {}
        }
        Ok(read)
    }
}

/// Hashes every file.
///
/// # Errors
/// A file cannot be read.
pub fn of_root(root: &Root) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut work: Vec<(&str, u32, u64)> = Vec::new();
    for (path, node) in root.nodes() {
        let mode = u32::from(node.mode);
        let what = match &node.kind {
            Kind::Directory => What::Directory,
            Kind::Symlink(target) => What::Symlink(target.clone()),
            Kind::Other => What::Other,
            Kind::File(size) => {
                work.push((path, mode, *size));
                continue;
            }
        };
        let file = File {
            mode,
            uid: u64::from(node.uid),
            gid: u64::from(node.gid),
            what,
        };
        listing.files.insert(path.to_owned(), file);
    }
    // The largest first, so that no core is left with one at the end.
    work.sort_by_key(|(path, _, size)| (std::cmp::Reverse(*size), *path));
    let read = in_parallel(cores(), work.len(), |index| {
        let (path, mode, size) = work[index];
        let content = root.content(path)?;
        Reading::of(path, mode, size)
            .all(content)
            .with_context(|| format!("reading `{}` of the image", path.escape_debug()))
    });
    for ((path, mode, _), read) in work.into_iter().zip(read) {
        let read = read?;
        let node = root.node(path).context("a file went away")?;
        let file = File {
            mode,
            uid: u64::from(node.uid),
            gid: u64::from(node.gid),
            what: What::File {
                size: read.size,
                sha256: read.sha256.clone(),
            },
        };
        listing.add(path, file, read);
    }
    Ok(listing)
}

impl Listing {
    /// Adds a file that was read.
    pub fn add(&mut self, path: &str, file: File, read: Read1) {
        self.files.insert(path.to_owned(), file);
        if let Some(text) = read.text {
            self.texts.insert(path.to_owned(), text);
        }
        if let Some(program) = read.program {
            self.programs.insert(path.to_owned(), program);
        }
    }
}

//! The files of an image: a SquashFS, read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, anyhow, bail};
use backhand::{FilesystemReader, InnerNode, Squashfs, SquashfsFileReader};

use crate::directories;
use crate::medium::Window;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// One path of the image.
#[derive(Clone, Debug)]
pub struct Node {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub kind: Kind,
}

/// What is at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    Directory,
    /// Of this many bytes.
    File(u64),
    /// The link's text.
    Symlink(String),
    /// A device, a pipe or a socket.
    Other,
}

/// A root file system.
pub struct Root {
    reader: FilesystemReader<'static>,
    nodes: BTreeMap<String, Node>,
    contents: BTreeMap<String, SquashfsFileReader>,
}

impl Root {
    /// Reads the tables of the SquashFS in `window`.
    ///
    /// # Errors
    /// It is not a SquashFS with zstd, or is damaged.
    pub fn read(window: Window) -> Result<Root> {
        let damaged = |error| anyhow!("the SquashFS cannot be read: {error}");
        let mut tables = Squashfs::from_reader(BufReader::new(window)).map_err(damaged)?;
        directories::check(&mut tables).context("the SquashFS is damaged")?;
        let reader = tables.into_filesystem_reader().map_err(damaged)?;
        let mut nodes = BTreeMap::new();
        let mut contents = BTreeMap::new();
        for found in reader.files() {
            let path = found
                .fullpath
                .to_str()
                .with_context(|| format!("{:?} is not UTF-8", found.fullpath))?
                .to_owned();
            let kind = match &found.inner {
                InnerNode::Dir(_) => Kind::Directory,
                InnerNode::File(file) => {
                    contents.insert(path.clone(), file.clone());
                    Kind::File(file.file_len() as u64)
                }
                InnerNode::Symlink(link) => Kind::Symlink(link.link.display().to_string()),
                _ => Kind::Other,
            };
            let header = &found.header;
            let node = Node {
                mode: header.permissions,
                uid: header.uid,
                gid: header.gid,
                kind,
            };
            nodes.insert(path, node);
        }
        Ok(Root {
            reader,
            nodes,
            contents,
        })
    }

    /// Every path with what is there, sorted.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    pub fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// What lies directly in the directory `path`, sorted: names and nodes.
    pub fn list<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let length = prefix.len();
        self.nodes
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .filter_map(move |(path, node)| {
                let name = &path[length..];
                (!name.is_empty() && !name.contains('/')).then_some((name, node))
            })
    }

    /// The path that `path` leads to, links followed inside the image as on a running node.
    ///
    /// # Errors
    /// A part of it is not there or not a directory, or the links go in a circle.
    pub fn resolve(&self, path: &str) -> Result<String> {
        let mut todo: Vec<String> = parts(path);
        let mut at: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at.pop();
                    continue;
                }
                _ => at.push(part),
            }
            let here = format!("/{}", at.join("/"));
            let Some(node) = self.nodes.get(&here) else {
                bail!("`{}` is not in the image", here.escape_debug());
            };
            if let Kind::Symlink(target) = &node.kind {
                links += 1;
                if links > MAX_LINKS {
                    bail!("`{}`: the links go in a circle", path.escape_debug());
                }
                at.pop();
                if target.starts_with('/') {
                    at.clear();
                }
                todo.extend(parts(target));
            }
        }
        Ok(format!("/{}", at.join("/")))
    }

    /// What each regular file takes in the image, compressed, in bytes. Files of one content are
    /// stored once: it counts for the first path. What shares a block is a part of it by length.
    pub fn stored(&self) -> BTreeMap<&str, u64> {
        let mut seen = BTreeSet::new();
        let fragments = self.reader.fragments.as_deref().unwrap_or_default();
        let block = u64::from(self.reader.block_size).max(1);
        let mut stored = BTreeMap::new();
        for (path, file) in &self.contents {
            let place = (file.blocks_start(), file.frag_index(), file.block_offset());
            let blocks: u64 = file
                .block_sizes()
                .iter()
                .map(|size| u64::from(size.size()))
                .sum();
            let tail = match fragments.get(file.frag_index()) {
                Some(shared) => {
                    file.file_len() as u64 % block * u64::from(shared.size.size()) / block
                }
                None => 0,
            };
            let size = if seen.insert(place) { blocks + tail } else { 0 };
            stored.insert(path.as_str(), size);
        }
        stored
    }

    /// The content of the file at `path`, which is not followed if it is a link.
    pub fn content(&self, path: &str) -> Result<impl Read + '_> {
        let file = self
            .contents
            .get(path)
            .with_context(|| format!("`{}` is not a regular file", path.escape_debug()))?;
        Ok(Fenced(self.reader.file(file).reader()))
    }

    /// The content of a file of at most `limit` bytes, links followed; `None` if there is none.
    ///
    /// # Errors
    /// The file system is damaged, or the file is larger.
    pub fn small_file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Ok(path) = self.resolve(path) else {
            return Ok(None);
        };
        let Some(Kind::File(size)) = self.node(&path).map(|node| &node.kind) else {
            return Ok(None);
        };
        if *size > limit {
            bail!("`{path}` has {size} bytes, more than the {limit} that are read of such a file");
        }
        let mut bytes = Vec::new();
        self.content(&path)?
            .read_to_end(&mut bytes)
            .with_context(|| format!("reading `{path}` of the image"))?;
        Ok(Some(bytes))
    }

    /// Likewise, as text; what is not UTF-8 is replaced.
    pub fn small_text(&self, path: &str, limit: u64) -> Result<Option<String>> {
        let bytes = self.small_file(path, limit)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Whatever a damaged block makes the library do, it is an error.
struct Fenced<R>(R);

impl<R: Read> Read for Fenced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = catch_unwind(AssertUnwindSafe(|| self.0.read(buffer)));
        let damaged = "the SquashFS has a damaged block";
        read.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::InvalidData, damaged)))
    }
}

/// The parts of a path, the last one first.
fn parts(path: &str) -> Vec<String> {
    path.split('/').rev().map(str::to_owned).collect()
}

//! What a node adds to the key of something that it is a part of.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, Result};
use nodeimg_values::digest::{Digest, Hasher};
use nodeimg_values::key::KeyWriter;

use super::{Content, ImagePath, Kind, Node};

impl Node {
    /// Adds everything about the node at `path` but where it came from. `bytes` says which
    /// bytes a file's content is.
    pub fn add_to(
        &self,
        key: &mut KeyWriter,
        path: &ImagePath,
        bytes: impl FnOnce(&Content) -> Result<Digest>,
    ) -> Result<()> {
        key.add("path", path.as_str());
        key.add_number("mode", self.stat.mode.into());
        key.add_number("uid", self.stat.uid.into());
        key.add_number("gid", self.stat.gid.into());
        for (name, value) in &self.stat.xattrs {
            key.add("attribute", name);
            key.add("its value", value);
        }
        match &self.kind {
            Kind::Directory => key.add("directory", ""),
            Kind::File(content) => {
                let digest = bytes(content).with_context(|| format!("reading `{path}`"))?;
                key.add("file", digest.to_string());
            }
            Kind::Symlink(target) => key.add("link", target),
        }
        Ok(())
    }
}

impl Content {
    /// The digest of the bytes as they are read now.
    pub fn measured(&self) -> Result<Digest> {
        match self {
            Content::Inline(bytes) => Ok(bytes.digest().clone()),
            _ => Ok(Hasher::measure(self.reader(), &[])?.sha256),
        }
    }

    /// All of them, read once.
    pub fn bytes(&self) -> Result<Arc<[u8]>> {
        if let Content::Inline(bytes) = self {
            return Ok(bytes.shared());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.len())?);
        self.reader().read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// One change to everything that a node has, for tests of keys.
#[cfg(test)]
pub fn changed(node: &Node) -> Vec<(&'static str, Node)> {
    let with = |change: fn(&mut Node)| {
        let mut node = node.clone();
        change(&mut node);
        node
    };
    let attribute = |node: &mut Node, value: &[u8]| {
        node.stat.xattrs.insert("user.x".into(), value.to_vec());
    };
    let mut other = with(|_| {});
    attribute(&mut other, b"1");
    let mut another = with(|_| {});
    attribute(&mut another, b"2");
    let mut all = vec![
        ("mode", with(|node| node.stat.mode ^= 0o1)),
        ("setuid", with(|node| node.stat.mode ^= 0o4000)),
        ("uid", with(|node| node.stat.uid += 1)),
        ("gid", with(|node| node.stat.gid += 1)),
        ("attribute", other),
        ("attribute's value", another),
    ];
    let kinds = [
        ("directory", Kind::Directory),
        ("empty file", Kind::File(Content::inline(*b""))),
        ("file", Kind::File(Content::inline(*b"x"))),
        ("other file", Kind::File(Content::inline(*b"y"))),
        ("link", Kind::Symlink("x".into())),
        ("other link", Kind::Symlink("y".into())),
    ];
    let same = |kind: &Kind| match (kind, &node.kind) {
        (Kind::Directory, Kind::Directory) => true,
        (Kind::File(a), Kind::File(b)) => a.identity() == b.identity(),
        (Kind::Symlink(a), Kind::Symlink(b)) => a == b,
        _ => false,
    };
    for (name, kind) in kinds {
        if !same(&kind) {
            let node = Node {
                kind,
                ..node.clone()
            };
            all.push((name, node));
        }
    }
    all
}

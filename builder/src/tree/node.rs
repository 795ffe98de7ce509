//! One path of a tree: owner and mode, content, and where it came from.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Content;

/// Where a node came from, for the manifest and for messages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Origin {
    /// An artifact of the recipe, by name.
    Artifact(String),
    /// A Debian package of the base system, by name.
    Package(String),
    /// Made for the base system, by the step that made it.
    Base(String),
    /// A file laid in from an overlay, by the overlay's name.
    Overlay(String),
    /// Made from the recipe, by the key that it was made from.
    Recipe(String),
    /// The first-boot binary and what it needs.
    FirstBoot,
    /// The bill of what the image is made of.
    Bill,
    /// A directory that something else is in.
    Implied,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Artifact(name) => write!(f, "artifact `{name}`"),
            Origin::Package(name) => write!(f, "package `{name}`"),
            Origin::Base(step) => write!(f, "the base system ({step})"),
            Origin::Overlay(name) => write!(f, "overlay `{name}`"),
            Origin::Recipe(key) => write!(f, "recipe key `{key}`"),
            Origin::FirstBoot => f.write_str("the first-boot binary"),
            Origin::Bill => f.write_str("the bill of materials"),
            Origin::Implied => f.write_str("a parent directory"),
        }
    }
}

/// Owner and mode.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stat {
    /// Permission bits with setuid, setgid and sticky: `mode & 0o7777`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Stat {
    /// Owned by root, no extended attributes.
    pub fn root(mode: u32) -> Stat {
        Stat {
            mode,
            ..Stat::default()
        }
    }
}

/// The node at a path.
#[derive(Clone, Debug)]
pub enum Kind {
    Directory,
    File(Content),
    /// The link's text as it stands, absolute or relative.
    Symlink(String),
}

/// One path's owner, mode and content.
#[derive(Clone, Debug)]
pub struct Node {
    pub stat: Stat,
    pub kind: Kind,
    pub origin: Origin,
}

impl Node {
    pub fn file(content: Content, mode: u32, origin: Origin) -> Node {
        Node {
            stat: Stat::root(mode),
            kind: Kind::File(content),
            origin,
        }
    }

    pub fn directory(mode: u32, origin: Origin) -> Node {
        Node {
            stat: Stat::root(mode),
            kind: Kind::Directory,
            origin,
        }
    }

    pub fn symlink(target: impl Into<String>, origin: Origin) -> Node {
        Node {
            stat: Stat::root(0o777),
            kind: Kind::Symlink(target.into()),
            origin,
        }
    }
}

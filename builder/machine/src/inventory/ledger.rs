//! `nodes.csv.lock`: which node has which part of a pool, and since when its certificates are
//! valid. It belongs to the inventory and is kept with it; it holds no secret.
//!
//! ```text
//! version = 1
//!
//! [given."10.200.0.0/16 by /24"]
//! node-0 = "10.200.0.0/24"
//!
//! [issued]
//! node-0 = "2026-11-30T00:00:00Z"
//! ```
//!
//! # Invariants
//! - A node that is no longer in the inventory keeps its part: it may still run.
//! - The same content gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_values::{atomic, regular};
use serde::{Deserialize, Serialize};

const HEAD: &str = "# Written by `nodeimg seed new --inventory`. Keep it with the inventory: it \
                    says which node has\n# which part of a pool. A part is free again when its \
                    line is removed here.\n";
const VERSION: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    given: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    issued: BTreeMap<String, String>,
}

/// The file, as it was read and as it is now.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    before: Option<String>,
    content: Content,
}

impl Ledger {
    /// Beside an inventory; an empty one if there is none.
    ///
    /// # Errors
    /// A file that is not a ledger, or one of a later nodeimg.
    pub fn beside(inventory: &Path) -> Result<Ledger> {
        let mut name = inventory.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let shown = path.display();
        let before = match regular::read_text(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("reading {shown}")),
        };
        let content = match &before {
            Some(text) => toml::from_str(text).with_context(|| format!("reading {shown}"))?,
            None => Content {
                version: VERSION,
                ..Content::default()
            },
        };
        if content.version != VERSION {
            bail!(
                "{shown} has version {}, and this nodeimg knows {VERSION}",
                content.version
            );
        }
        Ok(Ledger {
            path,
            before,
            content,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every part that a node has, with its place.
    pub fn given(&self) -> impl Iterator<Item = (String, &str)> {
        let pools = self.content.given.values();
        pools.flatten().map(|(node, part)| {
            let place = format!("{}, {node}", self.path.display());
            (place, part.as_str())
        })
    }

    /// A node's part of a pool.
    pub fn part(&self, pool: &str, node: &str) -> Option<&str> {
        self.content.given.get(pool)?.get(node).map(String::as_str)
    }

    /// Gives a node its part.
    pub fn give(&mut self, pool: &str, node: &str, part: &str) {
        let pool = self.content.given.entry(pool.to_owned()).or_default();
        pool.insert(node.to_owned(), part.to_owned());
    }

    /// Since when the certificates of a node are valid, as it was written.
    pub fn issued(&self, node: &str) -> Option<&str> {
        self.content.issued.get(node).map(String::as_str)
    }

    /// Sets that moment.
    pub fn issue(&mut self, node: &str, moment: &str) {
        self.content
            .issued
            .insert(node.to_owned(), moment.to_owned());
    }

    /// Nodes that are here and not known otherwise, sorted.
    pub fn others(&self, known: impl Fn(&str) -> bool) -> Vec<&str> {
        let given = self.content.given.values().flat_map(BTreeMap::keys);
        let all: BTreeSet<_> = given.chain(self.content.issued.keys()).collect();
        let others = all.into_iter().map(String::as_str);
        others.filter(|node| !known(node)).collect()
    }

    /// Writes it, if anything changed.
    pub fn save(&self) -> Result<()> {
        if self.content.given.is_empty() && self.content.issued.is_empty() {
            return Ok(());
        }
        let text = format!("{HEAD}{}", toml::to_string(&self.content)?);
        if self.before.as_ref() == Some(&text) {
            return Ok(());
        }
        atomic::write_file(&self.path, text.as_bytes())
            .with_context(|| format!("writing {}", self.path.display()))
    }
}

//! Many nodes: one line a machine, what they share once, and numbers counted up.
//!
//! ```text
//! export/   the nodes as objects of Metal3, Tinkerbell, Matchbox; seeds by HTTP
//! clashes   what two nodes may not share
//! pools     `10.200.0.0/16 by /24`: each node its own, the same one every time
//! ledger    what was given to whom, beside the inventory
//! read/     CSV or TOML, into rows
//! ```
//! Each uses those below it.
//!
//! # Invariants
//! - Who has a number keeps it, wherever its line moves, as long as the ledger has it.
//! - Nothing here knows what a key means to a seed: keys are the flags of `nodeimg seed new`.

pub mod clashes;
pub mod export;
pub mod ledger;
pub mod pools;
pub mod read;

use std::collections::BTreeMap;

pub use read::Inventory;

/// The key of a node's name.
pub const HOST_NAME: &str = "host-name";

/// Keys that are not flags of `seed new`: what tells the machine from others, and what only
/// an export writes.
pub const OWN_KEYS: [&str; 11] = [
    "group",
    "mac",
    "serial",
    "uuid",
    "bmc-address",
    "bmc-secret",
    "image",
    "image-checksum",
    "namespace",
    "profile",
    "root-device",
];

/// One value or several, and where they stand (`nodes.csv:5`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub place: String,
    pub values: Vec<String>,
}

/// One machine: keys in the form of flags, without the dashes before (`node-ip`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub place: String,
    pub cells: BTreeMap<String, Cell>,
}

impl Row {
    /// The only value of a key.
    pub fn one(&self, key: &str) -> Option<&str> {
        self.cells.get(key)?.values.first().map(String::as_str)
    }

    /// All values of a key.
    pub fn all(&self, key: &str) -> &[String] {
        self.cells.get(key).map_or(&[], |cell| &cell.values)
    }

    /// The node's name; the readers refuse a row without one.
    pub fn host_name(&self) -> &str {
        self.one(HOST_NAME).unwrap_or_default()
    }

    /// Where a key stands: its cell, or else its row.
    pub fn place_of(&self, key: &str) -> &str {
        self.cells.get(key).map_or(&self.place, |cell| &cell.place)
    }
}

#[cfg(test)]
mod tests;

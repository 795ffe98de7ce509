//! What a user asks `nodeimg lock --update` for.

use std::str::FromStr;

use anyhow::Result;

use crate::input::recipe::value::{Name, Version};

/// The name that stands for all packages of the base system.
pub const BASE: &str = "base";

/// The key of the recipe that stands for all artifacts of its version.
pub const KUBERNETES: &str = "kubernetes";

/// What `nodeimg lock --update` pins again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Update {
    All,
    One {
        name: Name,
        version: Option<Version>,
    },
}

impl Update {
    /// Whether the entry of artifact `name` must be made again.
    pub fn covers(&self, name: &Name) -> bool {
        match self {
            Update::All => true,
            Update::One { name: wanted, .. } => wanted == name,
        }
    }

    /// Whether it is of this one alone.
    pub fn is_of(&self, wanted: &str) -> bool {
        matches!(self, Update::One { name, .. } if name.as_str() == wanted)
    }

    /// Whether it is of the recipe's `kubernetes`.
    pub fn is_of_kubernetes(&self) -> bool {
        self.is_of(KUBERNETES)
    }

    /// The version that is asked for, with its artifact.
    pub fn version(&self) -> Option<(&Name, &Version)> {
        match self {
            Update::One {
                name,
                version: Some(version),
            } => Some((name, version)),
            _ => None,
        }
    }
}

impl FromStr for Update {
    type Err = anyhow::Error;

    /// `NAME`, `NAME=VERSION`, or nothing for everything.
    fn from_str(text: &str) -> Result<Update> {
        if text.is_empty() {
            return Ok(Update::All);
        }
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version.parse()?)),
            None => (text, None),
        };
        Ok(Update::One {
            name: name.parse()?,
            version,
        })
    }
}

//! Trusted roots: whose certificates, logs and time stamps count.

use anyhow::Result;
use nodeimg_values::digest::Digest;
use serde::{Deserialize, Serialize};

/// Whose Sigstore.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Instance {
    /// sigstore.dev.
    #[default]
    PublicGood,
    /// GitHub's own: private repositories and releases.
    GitHub,
    /// The one whose root was given ([`Roots::with_private`]).
    Private,
}

/// The trusted roots of every instance.
#[derive(Clone, Debug)]
pub struct Roots {}

impl Roots {
    /// Those that the program has inside.
    pub fn built_in() -> Result<Roots> {
        Ok(Roots {})
    }

    /// These and the root of a Sigstore of one's own (`trusted_root.json`).
    pub fn with_private(self, _json: &[u8]) -> Result<Roots> {
        Ok(self)
    }

    /// With a newer root of `instance` in place of the one inside
    /// (`nodeimg trust update`).
    pub fn replaced(self, _instance: Instance, _json: &[u8]) -> Result<Roots> {
        Ok(self)
    }

    /// The digest of the root's file, which a lock records; `None` without one.
    pub fn digest(&self, _instance: Instance) -> Option<&Digest> {
        None
    }
}

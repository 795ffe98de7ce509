//! What a node is told of container registries, by its image and by its seed: mirrors,
//! certificates, logins. [`crate::check::registries`] says whether it makes sense,
//! [`crate::plan::registries`] what a container runtime is told of it.
//!
//! # Invariants
//! What can be [baked](ImageRegistries) has no place for a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::secret::Secret;

/// Stands for every registry that has no entry of its own.
pub const ALL: &str = "_default";

/// How the container runtime of an image reads about registries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `hosts.toml` of containerd.
    #[default]
    Containerd,
    /// `registries.conf` of the containers project, which CRI-O reads.
    Crio,
}

/// What an image says of registries; part of its settings, since a node's seed adds to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRegistries {
    #[serde(default)]
    pub format: Format,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, Public>,
}

impl ImageRegistries {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What anyone may know of a registry, as its author wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// URLs, the first to be tried first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// Whether the registry itself is asked if no mirror has an image; it is by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_http: Option<bool>,
    /// PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// What only a seed may say of a registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Private {
    /// PEM, for TLS with a client certificate.
    pub cert: Option<String>,
    pub key: Option<Secret>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// In place of user name and password.
    pub token: Option<Secret>,
}

/// All that is said of one registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Registry {
    pub public: Public,
    pub private: Private,
}

/// By name: `docker.io`, `registry.example:5000`, `docker.io/library` or [`ALL`].
pub type Registries = BTreeMap<String, Registry>;

impl Registry {
    /// `self` over what the image says, key by key.
    #[must_use]
    pub fn over(mut self, image: &Public) -> Self {
        let own = &mut self.public;
        if own.mirrors.is_empty() {
            own.mirrors.clone_from(&image.mirrors);
        }
        own.fallback = own.fallback.or(image.fallback);
        own.plain_http = own.plain_http.or(image.plain_http);
        if own.ca.is_none() {
            own.ca.clone_from(&image.ca);
        }
        self
    }
}

impl From<Public> for Registry {
    fn from(public: Public) -> Self {
        Self {
            public,
            private: Private::default(),
        }
    }
}

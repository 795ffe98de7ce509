//! A seed as bytes: what a data source found, before anyone reads it.
//!
//! The two layouts are cloud-init's: NoCloud
//! (<https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>) and the
//! OpenStack config drive
//! (<https://docs.openstack.org/nova/latest/user/metadata.html>).
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::problem::{Place, Problems};
use crate::yaml::{self, Node};

/// No seed file may be larger; nothing that a node needs comes near.
pub const MAX_SEED_FILE: usize = 4 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    NoCloud,
    ConfigDrive,
}

/// The file names of a layout, relative to the seed directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    pub meta_data: &'static str,
    pub user_data: &'static str,
    pub vendor_data: &'static str,
    pub network: &'static str,
}

impl Layout {
    pub fn names(self) -> Names {
        match self {
            Self::NoCloud => Names {
                meta_data: "meta-data",
                user_data: "user-data",
                vendor_data: "vendor-data",
                network: "network-config",
            },
            Self::ConfigDrive => Names {
                meta_data: "openstack/latest/meta_data.json",
                user_data: "openstack/latest/user_data",
                vendor_data: "openstack/latest/vendor_data.json",
                network: "openstack/latest/network_data.json",
            },
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::NoCloud => "NoCloud",
            Self::ConfigDrive => "config drive",
        }
    }
}

/// One file: its name for messages, and its bytes, which may hold secrets.
pub struct SeedFile {
    pub name: String,
    pub bytes: Zeroizing<Vec<u8>>,
}

impl SeedFile {
    /// As YAML, which JSON is as well: lines are known, duplicate keys found.
    /// The outer `None` is an error, the inner one an empty file.
    pub fn yaml(&self, problems: &mut Problems) -> Option<Option<Node>> {
        let place = Place::file(&self.name);
        let bytes = self
            .bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.bytes);
        let Ok(text) = std::str::from_utf8(bytes) else {
            problems.error(&place, "is not UTF-8 text", "save it as UTF-8");
            return None;
        };
        match yaml::parse(text) {
            Ok(root) => Some(root),
            Err(error) => {
                let reason = format!(
                    "is no valid YAML (column {}): {}",
                    error.column, error.reason
                );
                problems.error(&place.line(error.line), reason, "correct the YAML");
                None
            }
        }
    }

    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            bytes: Zeroizing::new(bytes.into()),
        }
    }

    /// Empty, or what OpenStack writes for nothing.
    pub fn says_nothing(&self) -> bool {
        matches!(self.bytes.trim_ascii(), b"" | b"{}" | b"null")
    }
}

pub struct Seed {
    pub layout: Layout,
    pub meta_data: SeedFile,
    pub user_data: Option<SeedFile>,
    pub vendor_data: Option<SeedFile>,
    pub network: Option<SeedFile>,
}

impl Seed {
    /// SHA-256 of the user-data, in hexadecimal. What a cloud says beside it may
    /// change from boot to boot.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        if let Some(file) = &self.user_data {
            hash.update(&*file.bytes);
        }
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

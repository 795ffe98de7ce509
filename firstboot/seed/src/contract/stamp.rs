//! What first boot remembers between boots, as JSON on the state partition.
//!
//! # Invariants
//! - The stamp is written last: if it exists, everything in it was written.
//! - The pending note is written first and removed last: while it exists, any file in
//!   it may be old, new or missing, and the stamp does not count.
use serde::{Deserialize, Serialize};

/// The finished instance.
pub const STAMP_PATH: &str = "/var/lib/nodeimg/instance.json";

/// Files of a run that has begun.
pub const PENDING_PATH: &str = "/var/lib/nodeimg/pending.json";

/// Below this, the originals of replaced files: put back when an instance is removed.
pub const ORIGINALS: &str = "/var/lib/nodeimg/original";

/// The only version read and written.
pub const STAMP_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    pub version: u32,
    pub instance_id: String,
    pub host_name: String,
    /// [`crate::plan::Plan::digest`].
    pub plan_digest: String,
    /// Every file written that the instance needs, so that the next one can remove them.
    pub files: Vec<String>,
    /// Those that it does not need: files that a seed asked for may be removed again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_files: Vec<String>,
    /// The seed that was used; none in stamps of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<TakenSeed>,
}

/// Identifies a seed at later boots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenSeed {
    /// [`crate::read::seed::Seed::digest`].
    pub digest: String,
    /// Whether it holds anything that should not stay on its volume.
    pub secret: bool,
}

impl Stamp {
    pub fn all_files(&self) -> impl Iterator<Item = &String> {
        self.files.iter().chain(&self.extra_files)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    pub version: u32,
    pub files: Vec<String>,
}

impl Stamp {
    /// `None` if it is not a stamp of this version: then first boot runs from the beginning.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|stamp: &Self| stamp.version == STAMP_VERSION)
    }
}

impl Pending {
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|pending: &Self| pending.version == STAMP_VERSION)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{STAMP_VERSION, Stamp};

    #[test]
    fn only_its_own_version_counts() {
        let stamp = Stamp {
            version: STAMP_VERSION,
            instance_id: "i".to_owned(),
            host_name: "n".to_owned(),
            plan_digest: String::new(),
            files: vec!["/etc/hosts".to_owned()],
            extra_files: vec!["/run/x".to_owned()],
            seed: Some(super::TakenSeed {
                digest: "d".to_owned(),
                secret: true,
            }),
        };
        let text = serde_json::to_string(&stamp).unwrap();
        assert_eq!(Stamp::read(text.as_bytes()), Some(stamp));
        for broken in [
            text.replace("\"version\":1", "\"version\":2"),
            text[..20].to_owned(),
            String::new(),
        ] {
            assert_eq!(Stamp::read(broken.as_bytes()), None, "{broken}");
        }
    }
}

//! What first boot remembers between boots, as JSON on the state partition.
//!
//! # Invariants
//! - The stamp is written last: if it exists, everything in it was written.
//! - The pending note is written first and removed last: while it exists, any file in
//!   it may be old, new or missing, and the stamp does not count.
//! - Programs of other versions read them too, older ones after a rollback: what is unknown
//!   is ignored, what is new has a default, and nothing changes its meaning.
//! - What is written can be read again: [`MAX_STATE`] is above whatever a seed can ask for.
use serde::{Deserialize, Serialize};

/// The finished instance.
pub const STAMP_PATH: &str = "/var/lib/nodeimg/instance.json";

/// The same as the stamp, for when that is lost: without it, the next instance could not
/// take away what this one has.
pub const RECORD_PATH: &str = "/var/lib/nodeimg/instance-copy.json";

/// Files of a run that has begun.
pub const PENDING_PATH: &str = "/var/lib/nodeimg/pending.json";

/// Below this, the originals of replaced files: put back when an instance is removed.
pub const ORIGINALS: &str = "/var/lib/nodeimg/original";

/// The version written. Later ones only add, so all of them are read.
pub const STAMP_VERSION: u32 = 1;

/// Bytes of a stamp, a note or a report. All that is decoded of a seed is far less, and
/// paths are at most twice as long in JSON.
pub const MAX_STATE: usize = 256 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    #[serde(default)]
    pub version: u32,
    pub instance_id: String,
    #[serde(default)]
    pub host_name: String,
    /// [`crate::plan::Plan::digest`].
    #[serde(default)]
    pub plan_digest: String,
    /// Every file written that the instance needs, so that the next one can remove them.
    #[serde(default)]
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
pub struct TakenSeed {
    /// [`crate::read::seed::Seed::digest`].
    #[serde(default)]
    pub digest: String,
    /// Whether it holds anything that should not stay on its volume.
    #[serde(default)]
    pub secret: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    #[serde(default)]
    pub version: u32,
    #[serde(default)]
    pub files: Vec<String>,
}

impl Stamp {
    /// `None` if it is no stamp.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|stamp: &Self| !stamp.instance_id.is_empty())
    }

    pub fn all_files(&self) -> impl Iterator<Item = &String> {
        self.files.iter().chain(&self.extra_files)
    }
}

impl Pending {
    /// `None` if it is no note.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Pending, STAMP_VERSION, Stamp};

    #[test]
    fn other_versions_are_read_and_what_is_damaged_is_not() {
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
        assert_eq!(Stamp::read(text.as_bytes()), Some(stamp.clone()));
        let later = text
            .replace("\"version\":1", "\"version\":2,\"later\":{\"a\":[1]}")
            .replace("\"secret\":true", "\"secret\":true,\"serial\":\"x\"");
        let read = Stamp::read(later.as_bytes()).unwrap();
        assert_eq!((read.version, &read.files), (2, &stamp.files));
        assert_eq!(read.seed, stamp.seed);
        // The first version that there was.
        let first = "{\"version\":1,\"instance_id\":\"i\",\"host_name\":\"n\",\"plan_digest\":\"\",\"files\":[]}";
        assert!(Stamp::read(first.as_bytes()).is_some());
        for broken in [&text[..20], "", "{}", "{\"instance_id\":\"\"}", "\0\0"] {
            assert_eq!(Stamp::read(broken.as_bytes()), None, "{broken}");
        }
        let note = Pending::read(b"{\"version\":3,\"files\":[\"/a\"],\"since\":1}").unwrap();
        assert_eq!(note.files, ["/a"]);
        assert_eq!(Pending::read(b"{"), None);
    }
}

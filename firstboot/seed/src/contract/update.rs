//! What is known of the image's versions on this node, as JSON on the state partition: which
//! one ran, which was found healthy, which was installed, and which failed and why.
//!
//! Two programs write it, first boot and the updater, each its own keys. Programs of other
//! versions read it too, older ones after a rollback.
//!
//! # Invariants
//! - What is unknown is ignored, what is new has a default, and nothing changes its meaning.
//! - What a program does not know, it keeps: it writes over the file that is there
//!   ([`UpdateState::over`]).
//! - A damaged file is like none.
use serde::{Deserialize, Serialize};

/// The file; only root reads it.
pub const UPDATE_PATH: &str = "/var/lib/nodeimg/update.json";

/// The version written. Later ones only add, so all of them are read.
pub const UPDATE_VERSION: u32 = 1;

/// Bytes of the file that are read.
pub const MAX_UPDATE: usize = 1 << 20;

/// How many failed versions are kept, the latest last.
pub const MAX_FAILED: usize = 16;

/// Lines of a log, and characters of a line, that are kept of a failure.
pub const MAX_LINES: usize = 20;
const MAX_LINE: usize = 400;

/// Versions are `IMAGE_VERSION` of os-release(5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateState {
    #[serde(default)]
    pub version: u32,
    /// The version that first boot ran in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted: Option<String>,
    /// The last version that was found healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<Healthy>,
    /// The last version that the updater put on this disk; only the updater writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// Versions that did not become healthy: not to be installed a second time unless a
    /// person asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedVersion>,
}

/// What a version had when it was found healthy, so that the next one can be asked for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthy {
    #[serde(default)]
    pub version: String,
    /// Whether the node had an address on its network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
}

/// An update that was installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    #[serde(default)]
    pub version: String,
    /// The version that ran while it was installed.
    #[serde(default)]
    pub from: String,
    /// Where it came from, without a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A version that did not become healthy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedVersion {
    #[serde(default)]
    pub version: String,
    /// How often it was started.
    #[serde(default)]
    pub boots: u32,
    /// One sentence.
    #[serde(default)]
    pub why: String,
    /// The last lines of the log of what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl UpdateState {
    /// Nothing is known if it is not such a file.
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// The file's new bytes: this state, and what `old` has that this program does not know.
    pub fn over(&self, old: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let known = serde_json::to_value(Self {
            version: UPDATE_VERSION.max(self.version),
            ..self.clone()
        })?;
        let mut merged: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(old).unwrap_or_default();
        for key in ["booted", "healthy", "applied", "failed"] {
            merged.remove(key);
        }
        if let serde_json::Value::Object(known) = known {
            merged.extend(known);
        }
        let mut bytes = serde_json::to_vec_pretty(&merged)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub fn failure(&self, version: &str) -> Option<&FailedVersion> {
        self.failed.iter().find(|failed| failed.version == version)
    }

    /// Records a failure: the latest of a version counts, without losing what is known.
    pub fn fail(&mut self, mut failed: FailedVersion) {
        failed.log = failed
            .log
            .iter()
            .rev()
            .take(MAX_LINES)
            .rev()
            .map(clean)
            .collect();
        failed.why = clean(&failed.why);
        if let Some(at) = self
            .failed
            .iter()
            .position(|it| it.version == failed.version)
        {
            let before = self.failed.remove(at);
            failed.boots = failed.boots.max(before.boots);
            if failed.why.is_empty() {
                (failed.why, failed.log) = (before.why, before.log);
            }
        }
        self.failed.push(failed);
        let surplus = self.failed.len().saturating_sub(MAX_FAILED);
        self.failed.drain(..surplus);
    }

    /// Records that a version is healthy, whatever happened to it before.
    pub fn succeed(&mut self, healthy: Healthy) {
        self.failed
            .retain(|failed| failed.version != healthy.version);
        self.healthy = Some(healthy);
    }
}

/// Control characters could move the cursor of a console.
fn clean(line: impl AsRef<str>) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    line.as_ref()
        .trim_end()
        .chars()
        .take(MAX_LINE)
        .map(plain)
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{FailedVersion, Healthy, MAX_FAILED, MAX_LINES, UpdateState};

    fn failed(version: &str, why: &str) -> FailedVersion {
        FailedVersion {
            version: version.to_owned(),
            boots: 1,
            why: why.to_owned(),
            log: vec!["a\u{1b}[2J".to_owned(); MAX_LINES + 3],
        }
    }

    #[test]
    fn what_a_later_program_wrote_is_ignored_and_kept() {
        let later = br#"{"version": 2, "booted": "1", "later": {"a": [1]},
            "applied": {"version": "2", "from": "1", "later": true}, "failed": [{"version": "0"}]}"#;
        let mut state = UpdateState::read(later);
        assert_eq!(state.booted.as_deref(), Some("1"));
        assert_eq!(state.applied.as_ref().unwrap().from, "1");
        state.booted = None;
        state.succeed(Healthy {
            version: "0".to_owned(),
            network: true,
        });
        let text = String::from_utf8(state.over(later).unwrap()).unwrap();
        assert!(
            text.contains("\"later\": {") && text.contains("\"version\": 2"),
            "{text}"
        );
        assert!(
            !text.contains("booted") && !text.contains("failed"),
            "{text}"
        );
        let read = UpdateState::read(text.as_bytes());
        assert_eq!(
            read,
            UpdateState {
                version: 2,
                ..state
            }
        );
    }

    #[test]
    fn a_damaged_file_is_like_none() {
        for bytes in [&b""[..], b"{", b"[]", b"\0\0", b"{\"failed\": 1}"] {
            assert_eq!(UpdateState::read(bytes), UpdateState::default());
            let written = UpdateState::default().over(bytes).unwrap();
            assert_eq!(UpdateState::read(&written).version, 1);
        }
    }

    #[test]
    fn the_latest_failure_of_a_version_counts_and_keeps_its_reason() {
        let mut state = UpdateState::default();
        state.fail(failed("2", "kubelet\nfailed"));
        assert_eq!(state.failed[0].why, "kubelet failed");
        assert_eq!(state.failed[0].log, vec!["a [2J"; MAX_LINES]);
        state.fail(FailedVersion {
            boots: 3,
            ..failed("2", "")
        });
        assert_eq!((state.failed.len(), state.failed[0].boots), (1, 3));
        assert_eq!(state.failure("2").unwrap().why, "kubelet failed");
        for number in 0..MAX_FAILED {
            state.fail(failed(&format!("3.{number}"), "x"));
        }
        assert_eq!(state.failed.len(), MAX_FAILED);
        assert!(state.failure("2").is_none());
        state.succeed(Healthy {
            version: "3.0".to_owned(),
            network: false,
        });
        assert!(state.failure("3.0").is_none());
        assert_eq!(state.healthy.unwrap().version, "3.0");
    }
}

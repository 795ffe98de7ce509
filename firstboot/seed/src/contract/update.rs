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
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateState {
    pub version: u32,
    /// The version that first boot ran in last.
    pub booted: Option<String>,
    /// The last version that was found healthy.
    pub healthy: Option<Healthy>,
    /// The last version that the updater put on this disk; only the updater writes it.
    pub applied: Option<Applied>,
    /// Versions that did not become healthy: not to be installed a second time unless a
    /// person asks for it.
    pub failed: Vec<FailedVersion>,
}

/// What a version had when it was found healthy, so that the next one can be asked for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Healthy {
    pub version: String,
    /// Whether the node had an address on its network.
    pub network: bool,
}

/// An update that was installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub version: String,
    /// The version that ran while it was installed.
    pub from: String,
    /// Where it came from, without a password.
    pub source: Option<String>,
}

/// A version that did not become healthy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedVersion {
    pub version: String,
    /// How often it was started.
    pub boots: u32,
    /// One sentence.
    pub why: String,
    /// The last lines of the log of what failed.
    pub log: Vec<String>,
}

impl UpdateState {
    /// Nothing is known if it is not such a file.
    pub fn read(bytes: &[u8]) -> Self {
        let all = object(bytes);
        let list = all.get("failed").and_then(Value::as_array);
        Self {
            version: number(&all, "version"),
            booted: text(&all, "booted"),
            healthy: all
                .get("healthy")
                .and_then(Value::as_object)
                .map(|it| Healthy {
                    version: text(it, "version").unwrap_or_default(),
                    network: it.get("network") == Some(&Value::Bool(true)),
                }),
            applied: all
                .get("applied")
                .and_then(Value::as_object)
                .map(|it| Applied {
                    version: text(it, "version").unwrap_or_default(),
                    from: text(it, "from").unwrap_or_default(),
                    source: text(it, "source"),
                }),
            failed: list
                .into_iter()
                .flatten()
                .filter_map(Value::as_object)
                .map(FailedVersion::read)
                .collect(),
        }
    }

    /// The file's new bytes: this state, and what `old` has that this program does not know.
    pub fn over(&self, old: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let mut all = object(old);
        let mut put = |key: &str, value: Option<Value>| match value {
            Some(value) => drop(all.insert(key.to_owned(), value)),
            None => drop(all.remove(key)),
        };
        put("version", Some(UPDATE_VERSION.max(self.version).into()));
        put("booted", self.booted.clone().map(Value::from));
        let healthy = self.healthy.as_ref();
        put(
            "healthy",
            healthy.map(|it| json!({ "version": it.version, "network": it.network })),
        );
        let applied = self.applied.as_ref();
        put(
            "applied",
            applied
                .map(|it| json!({ "version": it.version, "from": it.from, "source": it.source })),
        );
        let failed: Vec<Value> = self.failed.iter().map(FailedVersion::written).collect();
        put("failed", (!failed.is_empty()).then(|| failed.into()));
        let mut bytes = serde_json::to_vec_pretty(&all)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The whole file, as it is; none if there is nothing in it.
    pub fn whole(bytes: &[u8]) -> Option<Value> {
        Some(object(bytes))
            .filter(|all| !all.is_empty())
            .map(Value::Object)
    }

    pub fn failure(&self, version: &str) -> Option<&FailedVersion> {
        self.failed.iter().find(|failed| failed.version == version)
    }

    /// For a person, behind the short report: the version, and those that failed.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        if let Some(booted) = &self.booted {
            let healthy = self.healthy.as_ref().map(|it| &it.version);
            let is_healthy = healthy == Some(booted);
            let how = if is_healthy {
                ""
            } else {
                ", not yet found healthy"
            };
            let _infallible = writeln!(text, "  {:<12}{booted}{how}", "version");
        }
        for failed in &self.failed {
            let FailedVersion {
                version,
                boots,
                why,
                ..
            } = failed;
            let times = if *boots == 1 { "time" } else { "times" };
            let _infallible = writeln!(
                text,
                "  {:<12}{version}, tried {boots} {times}: {why}",
                "failed"
            );
            for line in &failed.log {
                let _infallible = writeln!(text, "  {:<12}  {line}", "");
            }
        }
        text
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

impl FailedVersion {
    fn read(of: &Map<String, Value>) -> Self {
        let log = of.get("log").and_then(Value::as_array);
        let lines = log.into_iter().flatten().filter_map(Value::as_str);
        Self {
            version: text(of, "version").unwrap_or_default(),
            boots: number(of, "boots"),
            why: text(of, "why").unwrap_or_default(),
            log: lines.map(str::to_owned).collect(),
        }
    }

    fn written(&self) -> Value {
        json!({ "version": self.version, "boots": self.boots, "why": self.why, "log": self.log })
    }
}

fn object(bytes: &[u8]) -> Map<String, Value> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn text(of: &Map<String, Value>, key: &str) -> Option<String> {
    of.get(key)?.as_str().map(str::to_owned)
}

fn number(of: &Map<String, Value>, key: &str) -> u32 {
    let number = of.get(key).and_then(Value::as_u64);
    number
        .and_then(|number| number.try_into().ok())
        .unwrap_or(0)
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

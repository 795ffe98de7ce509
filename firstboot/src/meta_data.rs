//! meta-data: who this instance is.
//!
//! # Invariants
//! An instance always has an identity: a NoCloud seed that gives none gets one
//! from the digest of its own bytes, so that a changed seed is a new instance.
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::field::{Field, shown};
use crate::problem::{Located, Place, Problems};
use crate::seed::{Layout, Seed, SeedFile};
use crate::yaml;

pub struct MetaData {
    pub instance_id: String,
    pub hostname: Option<Located<String>>,
}

/// Reads the meta-data of either layout; `None` when there is no identity to go on with.
pub fn read(seed: &Seed, problems: &mut Problems) -> Option<MetaData> {
    let found = match seed.layout {
        Layout::NoCloud => no_cloud(seed, problems),
        Layout::ConfigDrive => config_drive(&seed.meta_data, problems),
    }?;
    let bad = |c: char| c.is_control();
    if found.instance_id.len() > 256 || found.instance_id.contains(bad) {
        let place = Place::file(&seed.meta_data.name).key("instance-id");
        let reason = "is longer than 256 bytes or holds control characters";
        problems.error(&place, reason, "give a short identifier");
        return None;
    }
    Some(found)
}

/// Keys of NoCloud meta-data that would mean something, were they read.
const NOT_READ: &[&str] = &[
    "network-interfaces",
    "network_config",
    "public-keys",
    "public_keys",
    "seedfrom",
];

fn no_cloud(seed: &Seed, problems: &mut Problems) -> Option<MetaData> {
    let file = &seed.meta_data;
    let mut instance_id = None;
    let mut local_hostname = None;
    let mut hostname = None;
    if let Some(root) = yaml_of(file, problems)? {
        let Some(entries) = root.entries() else {
            let reason = format!("is {}, not a mapping of keys", root.what());
            let place = Place::file(&file.name).line(root.line);
            problems.error(
                &place,
                reason,
                "write `instance-id: ...` and `local-hostname: ...`",
            );
            return None;
        };
        for entry in entries {
            let name = entry.key.expose();
            let field = Field::top(&file.name, shown(name), entry.line, &entry.value);
            match name {
                "instance-id" => instance_id = field.text(problems),
                "local-hostname" => local_hostname = field.text(problems),
                "hostname" => hostname = field.text(problems),
                _ if NOT_READ.contains(&name) => {
                    problems.warn(
                        &field.place,
                        "is not read by this version and has no effect",
                        "",
                    );
                }
                _ => {}
            }
        }
    }
    let instance_id = instance_id.map_or_else(|| identity_of(seed), |id| id.value);
    Some(MetaData {
        instance_id,
        hostname: local_hostname.or(hostname),
    })
}

/// The outer `None` is an error, the inner one an empty file.
fn yaml_of(file: &SeedFile, problems: &mut Problems) -> Option<Option<yaml::Node>> {
    let place = Place::file(&file.name);
    let bytes = file
        .bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(&file.bytes);
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

fn identity_of(seed: &Seed) -> String {
    let mut hash = Sha256::new();
    hash.update(&*seed.meta_data.bytes);
    hash.update([0]);
    if let Some(user_data) = &seed.user_data {
        hash.update(&*user_data.bytes);
    }
    let mut id = "seed-".to_owned();
    for byte in hash.finalize().iter().take(16) {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

/// Nova's names; the many other keys of the file are of no use to a node.
#[derive(Deserialize)]
struct OpenStack {
    uuid: Option<String>,
    hostname: Option<String>,
    name: Option<String>,
    public_keys: Option<serde::de::IgnoredAny>,
}

fn config_drive(file: &SeedFile, problems: &mut Problems) -> Option<MetaData> {
    let place = Place::file(&file.name);
    let data: OpenStack = match serde_json::from_slice(&file.bytes) {
        Ok(data) => data,
        Err(error) => {
            // serde_json's own text may quote a value; its position may not.
            let reason = match error.classify() {
                serde_json::error::Category::Eof => "ends too early for JSON",
                serde_json::error::Category::Data => {
                    "is not an object with text for `uuid`, `hostname` and `name`"
                }
                _ => "is no valid JSON",
            };
            let remedy = "have the config drive written anew";
            problems.error(&place.line(error.line()), reason, remedy);
            return None;
        }
    };
    if data.public_keys.is_some() {
        let place = place.clone().key("public_keys");
        problems.warn(&place, "is not read by this version and has no effect", "");
    }
    let hostname = [("hostname", data.hostname), ("name", data.name)]
        .into_iter()
        .find_map(|(key, value)| Some((key, value.filter(|text| !text.is_empty())?)))
        .map(|(key, value)| Located {
            value,
            place: place.clone().key(key),
        });
    let Some(instance_id) = data.uuid.filter(|uuid| !uuid.is_empty()) else {
        let reason = "gives no `uuid`, which is the identity of the instance";
        problems.error(
            &place.key("uuid"),
            reason,
            "have the config drive written anew",
        );
        return None;
    };
    Some(MetaData {
        instance_id,
        hostname,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{MetaData, read};
    use crate::problem::Problems;
    use crate::seed::{Layout, Seed, SeedFile};

    fn run(layout: Layout, text: &str, user_data: &str) -> (Option<MetaData>, Vec<String>) {
        let mut problems = Problems::new();
        let seed = Seed {
            layout,
            meta_data: SeedFile::new("meta", text),
            user_data: Some(SeedFile::new("user", user_data)),
            vendor_data: None,
            network: None,
        };
        let meta = read(&seed, &mut problems);
        (meta, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn identity_and_name() {
        use Layout::{ConfigDrive, NoCloud};
        for (layout, text, id, name) in [
            (
                NoCloud,
                "instance-id: i-1\nlocal-hostname: n",
                "i-1",
                Some("n"),
            ),
            (
                NoCloud,
                "{\"instance-id\": \"i-1\", \"hostname\": \"n\"}",
                "i-1",
                Some("n"),
            ),
            (
                NoCloud,
                "instance-id: 007\nhostname: a\nlocal-hostname: b\nother: 1",
                "007",
                Some("b"),
            ),
            (
                ConfigDrive,
                "{\"uuid\": \"u\", \"hostname\": \"h\", \"name\": \"n\", \"x\": []}",
                "u",
                Some("h"),
            ),
            (
                ConfigDrive,
                "{\"uuid\": \"u\", \"name\": \"n\"}",
                "u",
                Some("n"),
            ),
            (
                ConfigDrive,
                "{\"uuid\": \"u\", \"hostname\": \"\"}",
                "u",
                None,
            ),
        ] {
            let (meta, problems) = run(layout, text, "");
            let meta = meta.unwrap_or_else(|| panic!("{text}: {problems:?}"));
            assert_eq!(meta.instance_id, id, "{text}");
            assert_eq!(
                meta.hostname.map(|name| name.value).as_deref(),
                name,
                "{text}"
            );
            assert!(problems.is_empty(), "{text}: {problems:?}");
        }
    }

    #[test]
    fn refused() {
        use Layout::{ConfigDrive, NoCloud};
        let long = format!("instance-id: {}", "x".repeat(300));
        for (layout, text, expected) in [
            (NoCloud, "- a", "meta:1: is a list, not a mapping"),
            (NoCloud, "a: 1\na: 2", "meta:2: is no valid YAML"),
            (NoCloud, long.as_str(), "longer than 256"),
            (ConfigDrive, "", "ends too early"),
            (ConfigDrive, "non-json garbage {}", "is no valid JSON"),
            (ConfigDrive, "{\"uuid\": 5}", "is not an object with text"),
            (ConfigDrive, "{}", "gives no `uuid`"),
        ] {
            let (meta, problems) = run(layout, text, "");
            assert!(
                meta.is_none() && problems[0].contains(expected),
                "{text}: {problems:?}"
            );
        }
    }

    #[test]
    fn a_missing_identity_comes_from_the_bytes() {
        let id = |user_data| run(Layout::NoCloud, "", user_data).0.unwrap().instance_id;
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
        assert_eq!(id("a").len(), "seed-".len() + 32);
    }
}

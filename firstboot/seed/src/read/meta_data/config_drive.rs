//! `meta_data.json` of a config drive, as OpenStack's Nova writes it.

use serde::Deserialize;

use super::{MetaData, only_templates};
use crate::read::seed::SeedFile;
use crate::text::field::shown;
use crate::text::jinja::Value;
use crate::text::problem::{Located, Place, Problems};

/// Nova's own keys of `meta_data.json`: it writes them into every one.
const OF_NOVA: &[&str] = &[
    "admin_pass",
    "availability_zone",
    "dedicated_cpus",
    "devices",
    "files",
    "hostname",
    "keys",
    "launch_index",
    "meta",
    "name",
    "network_config",
    "project_id",
    "public_keys",
    "random_seed",
    "uuid",
];

/// Nova's names; the many other keys of the file are of no use to a node.
#[derive(Deserialize)]
struct OpenStack {
    uuid: Option<String>,
    hostname: Option<String>,
    name: Option<String>,
    public_keys: Option<serde_json::Value>,
}

/// `None` when there is no identity to go on with.
pub(super) fn read(file: &SeedFile, problems: &mut Problems) -> Option<MetaData> {
    let place = Place::file(&file.name);
    let data: OpenStack = match serde_json::from_slice(&file.bytes) {
        Ok(data) => data,
        Err(error) => {
            // serde_json's message may quote a value; its position does not.
            let reason = match error.classify() {
                serde_json::error::Category::Eof => "ends too early for JSON",
                serde_json::error::Category::Data => {
                    "is not an object with text for `uuid`, `hostname` and `name`"
                }
                _ => "is not valid JSON",
            };
            let remedy = "generate the config drive again";
            problems.error(&place.line(error.line()), reason, remedy);
            return None;
        }
    };
    let all: serde_json::Value = match serde_json::from_slice(&file.bytes) {
        Ok(all) => all,
        Err(error) => {
            let reason = "is nested more than 127 levels deep";
            let remedy = "generate the config drive again";
            problems.error(&place.line(error.line()), reason, remedy);
            return None;
        }
    };
    warn_of_keys(&all, &place, problems);
    let keys = data.public_keys.unwrap_or_default();
    let public_keys = json_keys(&keys, &place.clone().key("public_keys"), problems);
    let hostname = [("hostname", data.hostname), ("name", data.name)]
        .into_iter()
        .find_map(|(key, value)| Some((key, value.filter(|text| !text.is_empty())?)))
        .map(|(key, value)| Located {
            value,
            place: place.clone().key(key),
        });
    let Some(instance_id) = data.uuid.filter(|uuid| !uuid.is_empty()) else {
        let reason = "has no `uuid`, which identifies the instance";
        problems.error(
            &place.key("uuid"),
            reason,
            "generate the config drive again",
        );
        return None;
    };
    Some(MetaData {
        instance_id,
        hostname,
        public_keys,
        data: Value::of_json(&all),
    })
}

/// Nova writes `{name: key}`, others a list.
fn json_keys(
    value: &serde_json::Value,
    place: &Place,
    problems: &mut Problems,
) -> Vec<Located<String>> {
    use serde_json::Value::{Array, Null, Object, String};
    match value {
        Null => Vec::new(),
        String(text) => key_lines(&Located {
            value: text.clone(),
            place: place.clone(),
        }),
        Array(items) => items
            .iter()
            .flat_map(|item| json_keys(item, place, problems))
            .collect(),
        Object(members) => members
            .iter()
            .flat_map(|(name, item)| {
                let key = format!(
                    "{}.{}",
                    place.key.as_deref().unwrap_or_default(),
                    shown(name)
                );
                json_keys(item, &place.clone().key(key), problems)
            })
            .collect(),
        _ => {
            problems.warn(place, "is not the text of a key, and has no effect", "");
            Vec::new()
        }
    }
}

fn key_lines(text: &Located<String>) -> Vec<Located<String>> {
    let lines = text
        .value
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines
        .map(|line| Located {
            value: line.to_owned(),
            place: text.place.clone(),
        })
        .collect()
}

fn warn_of_keys(all: &serde_json::Value, place: &Place, problems: &mut Problems) {
    for name in all.as_object().into_iter().flat_map(|all| all.keys()) {
        if !OF_NOVA.contains(&name.as_str()) {
            only_templates(&place.clone().key(shown(name)), name, OF_NOVA, problems);
        }
    }
}

//! meta-data: who this instance is.
//!
//! # Invariants
//! An instance always has an identity: a NoCloud seed that gives none gets one
//! from the digest of its own bytes, so that a changed seed is a new instance.

mod config_drive;

use sha2::{Digest, Sha256};

use crate::contract::overwritten;
use crate::read::cloud_config::ssh_keys;
use crate::read::network;
use crate::read::seed::{Layout, Seed};
use crate::text::field::{Field, shown};
use crate::text::jinja::Value;
use crate::text::problem::{Located, Place, Problems};
use crate::text::suggest;
use crate::text::yaml::{self, Kind};

pub struct MetaData {
    pub instance_id: String,
    pub hostname: Option<Located<String>>,
    /// SSH keys of the machine's creator.
    pub public_keys: Vec<Located<String>>,
    /// All of it, for templates.
    pub data: Value,
}

impl MetaData {
    /// The values that templates of user-data may use:
    /// <https://cloudinit.readthedocs.io/en/latest/explanation/instancedata.html>.
    /// `machine` is the node's architecture, as `uname -m` says it.
    pub fn instance_data(&self, layout: Layout, machine: &str) -> Value {
        let cloud = match layout {
            Layout::NoCloud => "nocloud",
            Layout::ConfigDrive => "configdrive",
        };
        let text = |name: &str, value: &str| (name.to_owned(), Value::text(value));
        let mut v1 = vec![
            text("cloud-id", cloud),
            text("cloud-name", cloud),
            text("distro", "debian"),
            text("instance-id", &self.instance_id),
            text("machine", machine),
            text("platform", cloud),
            text("system-platform", "linux"),
        ];
        if let Some(name) = &self.hostname {
            let short = name.value.split('.').next().unwrap_or_default();
            v1.push(text("local-hostname", short));
        }
        for name in ["availability-zone", "region"] {
            let member = |data: &Value| match data {
                Value::Map(members) => members
                    .iter()
                    .find(|(known, _)| known.replace('_', "-") == name)
                    .map(|(_, value)| value.clone()),
                _ => None,
            };
            v1.push((name.to_owned(), member(&self.data).unwrap_or(Value::None)));
        }
        let keys = self.public_keys.iter().map(|key| Value::text(&key.value));
        v1.push(("public-ssh-keys".to_owned(), Value::List(keys.collect())));
        let ds = Value::map([("meta_data".to_owned(), self.data.clone())]);
        let mut all = v1.clone();
        all.push(("v1".to_owned(), Value::map(v1)));
        all.push(("ds".to_owned(), ds));
        Value::map(all)
    }
}

/// Reads the meta-data of either layout; `None` when there is no identity to go on with.
pub fn read(seed: &Seed, problems: &mut Problems) -> Option<MetaData> {
    let found = match seed.layout {
        Layout::NoCloud => no_cloud(seed, problems),
        Layout::ConfigDrive => config_drive::read(&seed.meta_data, problems),
    }?;
    let bad = |c: char| c.is_control();
    if found.instance_id.len() > 256 || found.instance_id.contains(bad) {
        let place = Place::file(&seed.meta_data.name).key("instance-id");
        let reason = "is longer than 256 bytes or contains control characters";
        problems.error(&place, reason, "give a short identifier");
        return None;
    }
    Some(found)
}

/// Keys of NoCloud meta-data that tell who and where a machine is, and so no secret.
const PUBLIC: &[&str] = &[
    "availability-zone",
    "availability_zone",
    "hostname",
    "instance-id",
    "local-hostname",
    "public-keys",
    "public_keys",
    "region",
];

/// Whether NoCloud's meta-data may hold secrets for templates of user-data.
pub fn may_be_secret(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or("[]");
    let root = yaml::parse(text).unwrap_or_default();
    let public = |entry: &yaml::Entry| PUBLIC.contains(&entry.key.expose());
    root.is_some_and(|root| !root.entries().is_some_and(|all| all.iter().all(public)))
}

/// Keys of NoCloud meta-data that have an effect beside templates.
const READ: &[&str] = &["hostname", "instance-id", "local-hostname", "public-keys"];

/// What clouds write for templates, and templates alone.
const FOR_TEMPLATES: &[&str] = &[
    "availability-zone",
    "availability_zone",
    "cloud-name",
    "cloud_name",
    "instance-type",
    "instance_type",
    "launch-index",
    "placement",
    "platform",
    "region",
];

const ONLY_TEMPLATES: &str = "has no effect but in templates that ask for it";

/// Names a key that has no other effect; `read` has the keys that have one.
fn only_templates(place: &Place, name: &str, read: &[&str], problems: &mut Problems) {
    // There may be hundreds of thousands, of which a few are listed.
    let near = match problems.is_full() {
        true => None,
        false => suggest::nearest(name, read.iter().copied()),
    };
    let remedy = near.map(|near| format!("did you mean `{near}`?"));
    problems.warn(place, ONLY_TEMPLATES, remedy.unwrap_or_default());
}

fn is(node: &yaml::Node, text: &str) -> bool {
    matches!(&node.kind, Kind::Scalar(scalar) if scalar.text() == text)
}

fn no_cloud(seed: &Seed, problems: &mut Problems) -> Option<MetaData> {
    let file = &seed.meta_data;
    let mut instance_id = None;
    let mut local_hostname = None;
    let mut hostname = None;
    let mut public_keys = Vec::new();
    let mut data = Value::Map(Vec::new());
    // What is behind the mark is not a document, until all of it is overwritten.
    let root = match overwritten::served(&file.bytes) {
        Some(_) => None,
        None => file.yaml(problems)?,
    };
    if let Some(root) = root {
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
        data = Value::of_yaml(&root);
        for entry in entries {
            let name = entry.key.expose();
            let field = Field::top(&file.name, shown(name), entry.line, &entry.value);
            match name {
                "public-keys" | "public_keys" => public_keys.extend(keys(&field, problems)),
                "instance-id" => instance_id = field.text(problems),
                "local-hostname" => local_hostname = field.said(problems),
                "hostname" => hostname = field.said(problems),
                "seedfrom" => {
                    let reason = "is not read by this version and has no effect";
                    problems.warn(&field.place, reason, "");
                }
                // Others would keep cloud-init from this seed.
                "dsmode" if ["local", "net"].iter().any(|mode| is(&entry.value, mode)) => {}
                name if FOR_TEMPLATES.contains(&name) || network::is_of_network(name) => {}
                name => only_templates(&field.place, name, READ, problems),
            }
        }
    }
    if let (Some(used), Some(other)) = (&local_hostname, &hostname)
        && !used.value.eq_ignore_ascii_case(&other.value)
    {
        let reason = "has no effect: `local-hostname` names this node";
        problems.warn(&other.place, reason, "");
    }
    if let (Some(used), Some(other)) = (&seed.named.local_hostname, &local_hostname)
        && !used.eq_ignore_ascii_case(&other.value)
    {
        let reason = "has no effect: `h=` of `ds=nocloud` names this node";
        problems.warn(&other.place, reason, "");
    }
    let named = |text: &Option<String>, key: &str| {
        let place = Place::file("ds=nocloud").key(key);
        text.clone().map(|value| Located { value, place })
    };
    let instance_id = named(&seed.named.instance_id, "i").or(instance_id);
    let local_hostname = named(&seed.named.local_hostname, "h").or(local_hostname);
    let instance_id = instance_id.map_or_else(|| identity_of(seed), |id| id.value);
    Some(MetaData {
        instance_id,
        hostname: local_hostname.or(hostname),
        public_keys,
        data,
    })
}

/// Text of a key per line, a list, or a mapping of names to either.
fn keys(field: &Field<'_>, problems: &mut Problems) -> Vec<Located<String>> {
    let nothing = match &field.node.kind {
        Kind::Scalar(scalar) => scalar.is_null() || scalar.text().is_empty(),
        Kind::Sequence(items) => items.is_empty(),
        Kind::Mapping(_) => false,
    };
    if nothing {
        return Vec::new();
    }
    if field.node.entries().is_some() {
        let members = field.members(problems).unwrap_or_default();
        return members
            .iter()
            .flat_map(|member| keys(&member.field, problems))
            .collect();
    }
    ssh_keys(field, problems)
}

/// Before the digest of a seed that names no instance.
const DERIVED: &str = "seed-";

/// Whether an instance-id was derived from a seed that names none.
pub fn is_derived(instance_id: &str) -> bool {
    let digits = instance_id.strip_prefix(DERIVED).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn identity_of(seed: &Seed) -> String {
    let user_data = seed.user_data.as_ref();
    let served = overwritten::served(&seed.meta_data.bytes);
    let served = served.or_else(|| overwritten::served(&user_data?.bytes));
    if let Some(id) = served {
        return id.to_owned();
    }
    let mut hash = Sha256::new();
    hash.update(&*seed.meta_data.bytes);
    hash.update([0]);
    if let Some(user_data) = &seed.user_data {
        hash.update(&*user_data.bytes);
    }
    let mut id = DERIVED.to_owned();
    for byte in hash.finalize().iter().take(16) {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

#[cfg(test)]
mod tests;

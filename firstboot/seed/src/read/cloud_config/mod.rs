//! The keys of cloud-config that mean something to a node.
//!
//! Spec: <https://cloudinit.readthedocs.io/en/latest/reference/modules.html>. This is
//! the schema only: which keys there are and of what shape. Whether the values make
//! sense together, and for this image, is for [`crate::check`]. Keys that are not read
//! are reported by name, nested ones too; those that would change the disk are refused.
mod accounts;
mod commands;
mod files;
mod idle;
mod layers;
mod merge;
mod secrecy;
mod services;

use crate::contract::profile::Profile;
use crate::read::budget::Budget;
use crate::read::node_config::{self, NodeConfig};
use crate::read::seed::{Injected, SeedFile};
use crate::read::user_data::{self, Part};
use crate::text::field::{Field, shown};
use crate::text::jinja::Value;
use crate::text::problem::{Located, Place, Problems};
use crate::text::secret::SecretBytes;
use crate::text::suggest;
use crate::text::yaml::{self, Entry, Node};

pub(crate) use accounts::ssh_keys;
pub use accounts::{Group, User};
pub use commands::{Command, Script, shell_script};
pub use files::WriteFile;
pub use layers::read_seed;
pub use services::{CaCerts, Ntp};

/// The content of user-data.
#[derive(Default)]
pub struct UserData {
    pub hostname: Option<Located<String>>,
    pub fqdn: Option<Located<String>>,
    pub prefer_fqdn: bool,
    pub node: NodeConfig,
    pub files: Vec<WriteFile>,
    /// For root, or for the user that `user` names.
    pub ssh_keys: Vec<Located<String>>,
    pub default_user: Option<User>,
    pub users: Vec<User>,
    pub groups: Vec<Group>,
    pub ca_certs: Option<CaCerts>,
    pub ntp: Option<Ntp>,
    pub timezone: Option<Located<String>>,
    pub bootcmd: Vec<Located<Command>>,
    pub runcmd: Vec<Located<Command>>,
    /// Parts that are scripts, in order; they run before `runcmd`.
    pub scripts: Vec<Script>,
    /// Whether it contains anything that may be secret: keys and tokens, passwords, and
    /// the content of commands, scripts and files.
    pub secret: bool,
    /// What may still be decoded.
    budget: Budget,
}

impl UserData {
    /// Adds files that were put into the machine from outside, before those of
    /// user-data. Their mode is that of cloud-init.
    pub fn inject(&mut self, files: &[Injected]) {
        const MODE: u32 = 0o660;
        let injected = files.iter().map(|injected| WriteFile {
            path: Located {
                value: injected.path.clone(),
                place: Place::file(&injected.file.name),
            },
            content: SecretBytes::new(injected.file.bytes.to_vec()),
            first_line: None,
            append: false,
            owner: None,
            mode: MODE,
        });
        self.secret |= !files.is_empty();
        self.files.splice(0..0, injected);
    }
}

/// A top-level key: its name, and the function that reads it.
struct Key {
    name: &'static str,
    read: fn(&mut UserData, &Field<'_>, &Profile, &mut Problems),
}

const KEYS: &[Key] = &[
    Key {
        name: "hostname",
        read: |data, field, _, problems| data.hostname = field.said(problems),
    },
    Key {
        name: "fqdn",
        read: |data, field, _, problems| data.fqdn = field.said(problems),
    },
    Key {
        name: "prefer_fqdn_over_hostname",
        read: |data, field, _, problems| {
            data.prefer_fqdn = field.boolean(problems).unwrap_or(false);
        },
    },
    Key {
        name: "nodeimg",
        read: |data, field, profile, problems| {
            data.node = node_config::read(field, profile, problems);
        },
    },
    Key {
        name: "write_files",
        read: |data, field, _, problems| {
            data.files = files::read(field, &mut data.budget, problems);
        },
    },
    Key {
        name: "ssh_authorized_keys",
        read: |data, field, _, problems| {
            data.ssh_keys = accounts::ssh_keys(field, problems);
        },
    },
    Key {
        name: "user",
        read: |data, field, _, problems| {
            data.default_user = accounts::default_user(field, problems);
        },
    },
    Key {
        name: "users",
        read: |data, field, _, problems| data.users = accounts::users(field, problems),
    },
    Key {
        name: "groups",
        read: |data, field, _, problems| data.groups = accounts::groups(field, problems),
    },
    Key {
        name: "ca_certs",
        read: |data, field, _, problems| {
            if data.ca_certs.is_some() {
                twice(field, "ca-certs", problems);
            }
            data.ca_certs = services::ca_certs(field, problems);
        },
    },
    Key {
        name: "ca-certs",
        read: |data, field, _, problems| {
            if data.ca_certs.is_some() {
                twice(field, "ca_certs", problems);
            }
            data.ca_certs = services::ca_certs(field, problems);
        },
    },
    Key {
        name: "ntp",
        read: |data, field, _, problems| data.ntp = services::ntp(field, problems),
    },
    Key {
        name: "timezone",
        read: |data, field, _, problems| data.timezone = field.said(problems),
    },
    Key {
        name: "bootcmd",
        read: |data, field, _, problems| data.bootcmd = commands::read(field, problems),
    },
    Key {
        name: "runcmd",
        read: |data, field, _, problems| data.runcmd = commands::read(field, problems),
    },
];

/// Every key that has an effect, for the reference page's test.
pub fn key_names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// Reads a user-data file in any form that is known.
pub fn read_file(
    file: &SeedFile,
    data: &Value,
    profile: &Profile,
    problems: &mut Problems,
) -> Option<UserData> {
    let mut budget = Budget::default();
    let parts = user_data::parts_within(&file.name, &file.bytes, data, &mut budget, problems)?;
    let layer = layers::Layer::of(parts, &mut budget, problems)?;
    Some(layer.read(profile, budget, problems))
}

/// Reads the parts of user-data, merged as cloud-init merges them. `None` if one cannot
/// be read at all, so that missing keys are not reported as well.
pub fn read(parts: Vec<Part>, profile: &Profile, problems: &mut Problems) -> Option<UserData> {
    let mut budget = Budget::default();
    let layer = layers::Layer::of(parts, &mut budget, problems)?;
    Some(layer.read(profile, budget, problems))
}

/// The keys of one cloud-config text.
fn entries(
    file: &str,
    text: &str,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<Vec<Entry>> {
    let place = Place::file(file);
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let reason = format!(
                "is not valid YAML (column {}): {}",
                error.column, error.reason
            );
            problems.error(&place.line(error.line), reason, "correct the YAML");
            return None;
        }
    };
    if let Some(root) = &root {
        let (nodes, bytes) = root.size();
        // The text has been counted; what aliases add to it has not.
        if !(budget.take_nodes(nodes) && budget.take(bytes.saturating_sub(text.len()))) {
            let reason = "brings what this seed's cloud-config holds, aliases expanded, to more \
                          than 250000 values or 16 MiB in all";
            problems.error(&place.line(1), reason, "make it smaller");
            return None;
        }
    }
    let Some(Node { line, kind }) = root else {
        let reason = "holds no keys after `#cloud-config`";
        problems.warn(&place.line(1), reason, "");
        return Some(Vec::new());
    };
    match kind {
        yaml::Kind::Mapping(entries) => Some(entries),
        kind => {
            let reason = format!("is {}, not a mapping of keys", Node { line, kind }.what());
            problems.error(&place.line(line), reason, "write `key: value` lines");
            None
        }
    }
}

fn read_key(
    data: &mut UserData,
    file: &str,
    entry: &Entry,
    profile: &Profile,
    problems: &mut Problems,
) {
    let name = entry.key.expose();
    let field = Field::top(file, shown(name), entry.line, &entry.value);
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        // A key without a value is ignored, as in cloud-init.
        let empty = entry.value.scalar().is_some_and(yaml::Scalar::is_null);
        if empty && !matches!(name, "hostname" | "fqdn" | "nodeimg") {
            problems.warn(&field.place, "is empty and has no effect", "");
        } else {
            (key.read)(data, &field, profile, problems);
        }
        return;
    }
    idle::report(name, &field, problems);
}

/// Two spellings of one key: only one of them would count.
fn twice(field: &Field<'_>, other: &str, problems: &mut Problems) {
    let reason = format!("is another spelling of `{other}`, which is there as well");
    problems.error(&field.place, reason, "keep one of them");
}

/// A key that is not read: if it looks like a typo of a known one, that is suggested.
fn not_read(field: &Field<'_>, name: &str, known: &[&'static str], problems: &mut Problems) {
    let likely = if problems.is_full() { &[] } else { known };
    let remedy = suggest::nearest(name, likely.iter().copied())
        .map(|near| format!("did you mean `{near}`?"))
        .unwrap_or_default();
    let reason = "is not read by this version and has no effect";
    problems.warn(&field.place, reason, remedy);
}

#[cfg(test)]
mod tests;

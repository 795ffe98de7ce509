//! The `nodeimg:` block: the values of this node alone.
//!
//! This is the schema only: which keys there are, of what shape, and for which
//! profile. Whether the values make sense together is for [`crate::check`].
mod kubeadm;
mod registries;
mod update;

use std::collections::BTreeMap;

pub use kubeadm::{Configuration, KubeadmConfig};
pub use registries::Given;
pub use update::KEY as UPDATE_KEY;

use crate::contract::profile::{Join, PROFILES, Profile};
use crate::text::field::Field;
use crate::text::problem::{Located, Problems};
use crate::text::secret::Secret;
use crate::text::suggest;
use crate::text::yaml::Kind;

/// How a component authenticates to the API server.
#[derive(Default)]
pub struct Credentials {
    pub cert: Option<Located<String>>,
    pub key: Option<Located<Secret>>,
    pub kubeconfig: Option<Located<Secret>>,
    /// The keys that the seed has, well-formed or not.
    pub given: Vec<&'static str>,
}

/// A taint as text `key=value:Effect`, as given or put together from its parts.
pub type Taint = Located<String>;

/// A name of `hosts` and its address, or a label and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    pub value: Located<String>,
}

#[derive(Default)]
pub struct NodeConfig {
    pub node_ip: Vec<Located<String>>,
    pub pod_subnet: Vec<Located<String>>,
    pub cluster_cidr: Vec<Located<String>>,
    pub api_server: Option<Located<String>>,
    pub ca: Option<Located<String>>,
    pub kubelet: Credentials,
    pub bootstrap_token: Option<Located<Secret>>,
    pub ca_cert_hashes: Vec<Located<String>>,
    /// For a control plane: what its certificates in the cluster are encrypted with.
    pub certificate_key: Option<Located<Secret>>,
    pub kubeadm: KubeadmConfig,
    pub provider_id: Option<Located<String>>,
    pub kube_proxy: Credentials,
    pub hosts: Vec<Pair>,
    pub labels: Vec<Pair>,
    pub taints: Vec<Taint>,
    pub registries: BTreeMap<String, Given>,
    /// What the updater is told, by the names of its own configuration.
    pub update: Vec<Pair>,
    /// The keys that the seed has, well-formed or not.
    pub given: Vec<&'static str>,
}

/// One key of the block. To add one: a row here, a field above, a check; for
/// `nodeimg seed new`, a line in `write/node_config.rs`.
struct Key {
    name: &'static str,
    /// The ways to join that the key belongs to; none if every profile takes it.
    joins: &'static [Join],
    read: fn(&mut NodeConfig, &Field<'_>, &mut Problems),
}

impl Key {
    fn is_of(&self, profile: &Profile) -> bool {
        self.joins.is_empty() || self.joins.contains(&profile.joins)
    }
}

const KEYS: &[Key] = &[
    Key {
        name: "node_ip",
        joins: &[],
        read: |node, field, problems| node.node_ip = field.texts(problems),
    },
    Key {
        name: "pod_subnet",
        joins: &[],
        read: |node, field, problems| node.pod_subnet = field.texts(problems),
    },
    Key {
        name: "cluster_cidr",
        joins: &[],
        read: |node, field, problems| node.cluster_cidr = field.texts(problems),
    },
    Key {
        name: "api_server",
        joins: &[],
        read: |node, field, problems| node.api_server = field.text(problems),
    },
    Key {
        name: "ca",
        joins: &[],
        read: |node, field, problems| node.ca = public_pem(field, problems),
    },
    Key {
        name: "kubelet",
        joins: &[Join::Certificate],
        read: |node, field, problems| node.kubelet = credentials(field, problems),
    },
    Key {
        name: "kube_proxy",
        joins: &[],
        read: |node, field, problems| node.kube_proxy = credentials(field, problems),
    },
    Key {
        name: "hosts",
        joins: &[],
        read: |node, field, problems| node.hosts = pairs(field, problems),
    },
    Key {
        name: "labels",
        joins: &[],
        read: |node, field, problems| node.labels = pairs(field, problems),
    },
    Key {
        name: "taints",
        joins: &[],
        read: |node, field, problems| node.taints = taints(field, problems),
    },
    Key {
        name: "registries",
        joins: &[],
        read: |node, field, problems| node.registries = registries::read(field, problems),
    },
    Key {
        name: "provider_id",
        joins: &[],
        read: |node, field, problems| node.provider_id = field.text(problems),
    },
    Key {
        name: "bootstrap_token",
        joins: &[Join::Token, Join::Kubeadm],
        read: |node, field, problems| node.bootstrap_token = field.secret(problems),
    },
    Key {
        name: "ca_cert_hashes",
        joins: &[Join::Kubeadm],
        read: |node, field, problems| node.ca_cert_hashes = field.texts(problems),
    },
    Key {
        name: "certificate_key",
        joins: &[Join::Kubeadm],
        read: |node, field, problems| node.certificate_key = field.secret(problems),
    },
    Key {
        name: "update",
        joins: &[],
        read: |node, field, problems| update::read(field, "", &mut node.update, problems),
    },
    Key {
        name: "kubeadm",
        joins: &[Join::Kubeadm],
        read: |node, field, problems| node.kubeadm = kubeadm::read(field, problems),
    },
];

/// Every key of the block, those of other profiles too.
pub fn key_names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// Reads the block for an image of this profile.
pub fn read(field: &Field<'_>, profile: &Profile, problems: &mut Problems) -> NodeConfig {
    let mut node = NodeConfig::default();
    for member in field.members(problems).unwrap_or_default() {
        let place = &member.field.place;
        let Some(key) = KEYS.iter().find(|key| key.name == member.name) else {
            let taken = KEYS.iter().filter(|key| key.is_of(profile));
            unknown(
                &member.field,
                member.name,
                taken.map(|key| key.name),
                problems,
            );
            continue;
        };
        node.given.push(key.name);
        if key.is_of(profile) {
            (key.read)(&mut node, &member.field, problems);
        } else {
            let others = PROFILES.iter().filter(|profile| key.is_of(profile));
            let names: Vec<String> = others.map(|other| format!("`{other}`")).collect();
            let needed = suggest::list(names.iter().map(String::as_str)).replace(" and ", " or ");
            let reason = format!("needs profile {needed}; this image is `{profile}`");
            let remedy = format!("remove the key, or boot an image of profile {needed}");
            problems.error(place, reason, remedy);
        }
    }
    node
}

fn unknown<'a>(
    field: &Field<'_>,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    problems: &mut Problems,
) {
    let remedy = match suggest::nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys are {}", suggest::list(known)),
    };
    problems.error(&field.place, "is not a key of this version", remedy);
}

const CREDENTIAL_KEYS: [&str; 3] = ["cert", "key", "kubeconfig"];

fn credentials(field: &Field<'_>, problems: &mut Problems) -> Credentials {
    let mut found = Credentials::default();
    for member in field.members(problems).unwrap_or_default() {
        let Some(name) = CREDENTIAL_KEYS.iter().find(|name| **name == member.name) else {
            let known = CREDENTIAL_KEYS.iter().copied();
            unknown(&member.field, member.name, known, problems);
            continue;
        };
        found.given.push(name);
        match *name {
            "cert" => found.cert = public_pem(&member.field, problems),
            "key" => found.key = at_value(&member.field, problems),
            _ => found.kubeconfig = at_value(&member.field, problems),
        }
    }
    found
}

/// Text of several lines: its place is the first of them, so that errors can count on.
fn at_value(field: &Field<'_>, problems: &mut Problems) -> Option<Located<Secret>> {
    let mut found = field.secret(problems)?;
    found.place.line = Some(field.node.line);
    Some(found)
}

fn public_pem(field: &Field<'_>, problems: &mut Problems) -> Option<Located<String>> {
    let found = at_value(field, problems)?;
    Some(Located {
        value: found.value.expose().to_owned(),
        place: found.place,
    })
}

fn pairs(field: &Field<'_>, problems: &mut Problems) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for member in field.members(problems).unwrap_or_default() {
        // An empty label value is valid Kubernetes when written as "".
        let empty = member
            .field
            .node
            .scalar()
            .is_some_and(|text| !text.plain && text.text.expose().is_empty());
        let value = if empty {
            Some(Located {
                value: String::new(),
                place: member.field.place.clone(),
            })
        } else {
            member.field.text(problems)
        };
        if let Some(value) = value {
            pairs.push(Pair {
                name: member.name.to_owned(),
                value,
            });
        }
    }
    pairs
}

fn taints(field: &Field<'_>, problems: &mut Problems) -> Vec<Taint> {
    let items = field.items();
    if items.is_empty() && !matches!(&field.node.kind, Kind::Sequence(_)) {
        field.expected("a list", problems);
    }
    let mut taints = Vec::new();
    for item in items {
        if item.node.entries().is_some() {
            taints.extend(taint_of_parts(&item, problems));
        } else {
            taints.extend(item.text(problems));
        }
    }
    taints
}

/// `{key: k, value: v, effect: E}`, the form of the Kubernetes API.
fn taint_of_parts(item: &Field<'_>, problems: &mut Problems) -> Option<Taint> {
    let (mut key, mut value, mut effect) = (None, None, None);
    for member in item.members(problems)? {
        match member.name {
            "key" => key = member.field.text(problems),
            "value" => value = member.field.text(problems),
            "effect" => effect = member.field.text(problems),
            name => unknown(
                &member.field,
                name,
                ["key", "value", "effect"].into_iter(),
                problems,
            ),
        }
    }
    let (Some(key), Some(effect)) = (key, effect) else {
        problems.error(
            &item.place,
            "lacks `key` or `effect`",
            "write `key=value:Effect`",
        );
        return None;
    };
    let value = value
        .map(|value| format!("={}", value.value))
        .unwrap_or_default();
    let text = format!("{}{value}:{}", key.value, effect.value);
    Some(Located {
        value: text,
        place: item.place.clone(),
    })
}

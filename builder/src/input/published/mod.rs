//! What Kubernetes itself publishes of the configuration that its programs read: the
//! fields of every type, feature gates and flags, for each minor version whose nodes
//! nodeimg builds. `ci/kubernetes-schema` reads them from Go modules, which each file
//! names, into `builder/data/kubernetes`.

mod check;
mod flag;
mod plain;
mod value;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

pub use check::{Part, Wrong};
pub use flag::{Flag, is_bool};
pub use value::{is_quantity, of_yaml, seconds};

/// The first and the last minor version of Kubernetes 1 that is known here.
pub const OLDEST: u64 = 34;
pub const NEWEST: u64 = 37;

static RELEASES: [LazyLock<Option<Release>>; 4] = [
    LazyLock::new(|| read(include_str!("../../../data/kubernetes/1.34.json"))),
    LazyLock::new(|| read(include_str!("../../../data/kubernetes/1.35.json"))),
    LazyLock::new(|| read(include_str!("../../../data/kubernetes/1.36.json"))),
    LazyLock::new(|| read(include_str!("../../../data/kubernetes/1.37.json"))),
];

/// The test below reads every file.
fn read(text: &'static str) -> Option<Release> {
    serde_json::from_str(text).ok()
}

/// What a minor version of Kubernetes 1 publishes; `None` if it is not known here.
pub fn of(minor: u64) -> Option<&'static Release> {
    let index = minor.checked_sub(OLDEST)?;
    RELEASES.get(usize::try_from(index).ok()?)?.as_ref()
}

/// All that are known, without `release`.
pub fn others(release: &Release) -> impl Iterator<Item = &'static Release> {
    let all = (OLDEST..=NEWEST).filter_map(of);
    all.filter(move |other| other.minor() != release.minor())
}

/// One minor version.
#[derive(Debug, Deserialize)]
pub struct Release {
    /// The version that was read, as `1.37.2`.
    kubernetes: String,
    apis: BTreeMap<String, Api>,
    retired: BTreeMap<String, String>,
    deprecated: Vec<String>,
    experimental: Vec<String>,
    gates: BTreeMap<String, Gate>,
    needs: BTreeMap<String, Vec<String>>,
    flags: BTreeMap<String, BTreeMap<String, Flag>>,
    /// The version of etcd that this kubeadm sets up.
    etcd: String,
    words: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// The documents of one `apiVersion`.
#[derive(Debug, Deserialize)]
struct Api {
    kinds: Vec<String>,
    types: BTreeMap<String, Fields>,
}

/// The fields of a type, with their types.
type Fields = BTreeMap<String, String>;

/// How kubeadm takes an `apiVersion`.
#[derive(Debug, PartialEq, Eq)]
pub enum Age<'a> {
    Current,
    /// It takes it with a warning.
    Deprecated,
    /// It takes it only with `--allow-experimental-api`.
    Experimental,
    /// It refuses it; the last minor version that did not, as `1.36`.
    Retired(&'a str),
    Unknown,
}

/// A feature gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Gate {
    pub stage: Stage,
    pub is_on: bool,
    /// A program refuses to start with another value than the default.
    pub is_locked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Alpha,
    Beta,
    Ga,
    Deprecated,
}

impl TryFrom<String> for Gate {
    type Error = String;

    fn try_from(text: String) -> Result<Gate, String> {
        let mut words = text.split(' ');
        let stage = match words.next() {
            Some("alpha") => Stage::Alpha,
            Some("beta") => Stage::Beta,
            Some("ga") => Stage::Ga,
            Some("deprecated") => Stage::Deprecated,
            _ => return Err(format!("`{text}` names no stage")),
        };
        Ok(Gate {
            stage,
            is_on: words.next() == Some("on"),
            is_locked: words.next() == Some("locked"),
        })
    }
}

impl Release {
    /// `1.37`.
    pub fn minor(&self) -> &str {
        let minor = self.kubernetes.rsplit_once('.');
        minor.map_or(&self.kubernetes, |(minor, _)| minor)
    }

    /// The kinds of documents of an `apiVersion`; none if it is unknown.
    pub fn kinds(&self, api: &str) -> &[String] {
        self.apis.get(api).map_or(&[], |api| &api.kinds)
    }

    /// The `apiVersion`s whose name starts with `group/`, the oldest first.
    pub fn versions(&self, group: &str) -> Vec<&str> {
        let names = self.apis.keys().map(String::as_str);
        let of_group = |api: &&str| api.split_once('/').is_some_and(|(name, _)| name == group);
        names.filter(of_group).collect()
    }

    /// The fields of a type; none if it is unknown.
    pub fn fields(&self, api: &str, name: &str) -> impl Iterator<Item = &str> + Clone {
        let fields = self.type_of(api, name).into_iter();
        fields.flat_map(|fields| fields.keys().map(String::as_str))
    }

    /// The same with their types.
    #[cfg(test)]
    pub fn fields_of(&self, api: &str, name: &str) -> Option<&BTreeMap<String, String>> {
        self.type_of(api, name)
    }

    fn type_of(&self, api: &str, name: &str) -> Option<&Fields> {
        self.apis.get(api)?.types.get(name)
    }

    /// Of an `apiVersion` of kubeadm.
    pub fn age(&self, api: &str) -> Age<'_> {
        if let Some(last) = self.retired.get(api) {
            Age::Retired(last)
        } else if self.deprecated.iter().any(|old| old == api) {
            Age::Deprecated
        } else if self.experimental.iter().any(|new| new == api) {
            Age::Experimental
        } else if self.apis.contains_key(api) {
            Age::Current
        } else {
            Age::Unknown
        }
    }

    pub fn gate(&self, name: &str) -> Option<Gate> {
        self.gates.get(name).copied()
    }

    pub fn gate_names(&self) -> impl Iterator<Item = &str> {
        self.gates.keys().map(String::as_str)
    }

    /// The gates without which this one cannot be on.
    pub fn needs(&self, gate: &str) -> &[String] {
        self.needs.get(gate).map_or(&[], Vec::as_slice)
    }

    /// The version of etcd whose flags are known, as `3.6.5`.
    pub fn etcd(&self) -> &str {
        &self.etcd
    }

    /// The names that a flag with a list of names takes; none if it takes others.
    pub fn words(&self, program: &str, flag: &str) -> &[String] {
        let words = self.words.get(program).and_then(|flags| flags.get(flag));
        words.map_or(&[], Vec::as_slice)
    }

    /// Of a program such as `kubelet`, without its dashes.
    pub fn flag(&self, program: &str, name: &str) -> Option<&Flag> {
        self.flags.get(program)?.get(name)
    }

    pub fn flag_names(&self, program: &str) -> impl Iterator<Item = &str> {
        let flags = self.flags.get(program).into_iter();
        flags.flat_map(|flags| flags.keys().map(String::as_str))
    }
}

#[cfg(test)]
mod tests;

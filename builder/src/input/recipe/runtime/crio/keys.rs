//! The keys of CRI-O's configuration by version: CRI-O itself ignores one that it does not
//! know, and stops at a value of another type.

use std::str::FromStr;

use anyhow::{Context, bail};
use toml::{Table, Value};

use crate::input::recipe::source::nearest;

const LIST: &str = include_str!("../../../../../data/crio-keys.txt");

/// The type of a key's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Bool,
    Int,
    Text,
    Texts,
    /// From names to texts.
    Map,
    /// `"10s"`, or nanoseconds.
    Duration,
}

struct Key {
    /// The names of tables that lead to it, and its own; `*` is any name.
    way: Vec<&'static str>,
    kind: Kind,
    /// Minor versions of CRI-O 1.
    first: u64,
    last: u64,
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Kind> {
        Ok(match text {
            "bool" => Kind::Bool,
            "int" => Kind::Int,
            "string" => Kind::Text,
            "strings" => Kind::Texts,
            "map" => Kind::Map,
            "duration" => Kind::Duration,
            _ => bail!("`{text}` is not a kind of value"),
        })
    }
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Kind::Bool => value.is_bool(),
            Kind::Int => value.is_integer(),
            Kind::Text => value.is_str(),
            Kind::Texts => value
                .as_array()
                .is_some_and(|items| items.iter().all(Value::is_str)),
            Kind::Map => value
                .as_table()
                .is_some_and(|table| table.values().all(Value::is_str)),
            Kind::Duration => value.is_str() || value.is_integer(),
        }
    }

    fn article(self) -> &'static str {
        match self {
            Kind::Bool => "`true` or `false`",
            Kind::Int => "a whole number",
            Kind::Text => "a string",
            Kind::Texts => "a list of strings",
            Kind::Map => "a table of strings",
            Kind::Duration => "a duration, `\"10s\"`",
        }
    }
}

fn parse(line: &'static str) -> anyhow::Result<Key> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [way, kind, first, last] = fields[..] else {
        bail!("`{line}` has not four fields");
    };
    Ok(Key {
        way: way.split('.').collect(),
        kind: kind.parse()?,
        first: first.parse().context("the first version")?,
        last: last.parse().context("the last version")?,
    })
}

fn all() -> impl Iterator<Item = Key> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    // The test below reads every line.
    lines.filter_map(|line| parse(line).ok())
}

/// A value that CRI-O would ignore or stop at.
#[derive(Debug, PartialEq, Eq)]
pub struct Bad {
    pub way: Vec<String>,
    pub message: String,
}

/// What of `table`, which is CRI-O's table `[crio]`, that minor version of CRI-O does not
/// take.
pub fn bad_of(table: &Table, minor: u64) -> Vec<Bad> {
    let (keys, later): (Vec<Key>, Vec<Key>) =
        all().partition(|key| (key.first..=key.last).contains(&minor));
    let known = Known { keys, later, minor };
    let mut found = Vec::new();
    known.walk(table, &mut Vec::new(), &mut found);
    found
}

struct Known {
    keys: Vec<Key>,
    /// Those of other versions only.
    later: Vec<Key>,
    minor: u64,
}

impl Known {
    fn walk(&self, table: &Table, way: &mut Vec<String>, found: &mut Vec<Bad>) {
        for (name, value) in table {
            way.push(name.clone());
            let message = match (self.at(way), value) {
                (Some(key), _) if key.kind.takes(value) => None,
                (Some(key), _) => Some(format!("is {}", key.kind.article())),
                (None, Value::Table(inner)) if self.is_table(way) => {
                    self.walk(inner, way, found);
                    None
                }
                (None, _) if self.is_table(way) => Some("is a table".to_owned()),
                (None, _) => Some(self.unknown(way)),
            };
            found.extend(message.map(|message| Bad {
                way: way.clone(),
                message,
            }));
            way.pop();
        }
    }

    fn at(&self, way: &[String]) -> Option<&Key> {
        self.keys
            .iter()
            .find(|key| key.way.len() == way.len() && leads_along(key, way))
    }

    fn is_table(&self, way: &[String]) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|key| key.way.len() > way.len() && leads_along(key, way))
    }

    fn unknown(&self, way: &[String]) -> String {
        let minor = self.minor;
        let elsewhere = |key: &&Key| key.way.len() == way.len() && leads_along(key, way);
        if let Some(key) = self.later.iter().find(elsewhere) {
            let (first, last) = (key.first, key.last);
            return format!(
                "CRI-O 1.{minor} does not know this key and would ignore it: it is one of CRI-O \
                 1.{first} to 1.{last}"
            );
        }
        let (name, tables) = way
            .split_last()
            .map_or(("", &[][..]), |(n, t)| (n.as_str(), t));
        let beside = self.keys.iter().filter(|key| leads_along(key, tables));
        let names = beside.filter_map(|key| key.way.get(tables.len()).copied());
        let near = nearest(name, names)
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("CRI-O 1.{minor} has no such key and would ignore it{near}")
    }
}

/// Whether the key is at the end of `way` or further along.
fn leads_along(key: &Key, way: &[String]) -> bool {
    key.way.len() >= way.len()
        && key
            .way
            .iter()
            .zip(way)
            .all(|(step, name)| *step == "*" || step == name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use super::{LIST, bad_of, parse};

    /// The way and the kind of every key of a minor version.
    pub fn keys_of(minor: u64) -> Vec<(String, String)> {
        let keys = super::all().filter(|key| (key.first..=key.last).contains(&minor));
        keys.map(|key| (key.way.join("."), format!("{:?}", key.kind)))
            .collect()
    }

    #[test]
    fn every_line_is_a_key() {
        let lines = LIST.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            parse(line).unwrap();
        }
    }

    #[test]
    fn what_crio_would_ignore_or_stop_at_is_found() {
        for (text, minor, way, want) in [
            ("log_dirr = 'a'", 36, "log_dirr", "did you mean `log_dir`?"),
            (
                "runtime.pids_limit = '5'",
                36,
                "runtime.pids_limit",
                "is a whole number",
            ),
            (
                "runtime.hooks_dir = [1]",
                36,
                "runtime.hooks_dir",
                "is a list of strings",
            ),
            ("runtime.runtimes = 1", 36, "runtime.runtimes", "is a table"),
            (
                "runtimes.crun.runtime_path = 'a'",
                36,
                "runtimes",
                "no such key",
            ),
            (
                "runtime.runtimes.mine.runtime_pat = 'a'",
                36,
                "runtime.runtimes.mine.runtime_pat",
                "did you mean `runtime_path`?",
            ),
            (
                "api.tls_min_version = 'a'",
                34,
                "api.tls_min_version",
                "CRI-O 1.35 to 1.37",
            ),
            (
                "nri.enable_nri = 1",
                37,
                "nri.enable_nri",
                "`true` or `false`",
            ),
        ] {
            let found = bad_of(&text.parse().unwrap(), minor);
            let [bad] = &found[..] else {
                panic!("{text}: {found:?}");
            };
            assert_eq!(bad.way.join("."), way);
            assert!(bad.message.contains(want), "{bad:?} should say {want:?}");
        }
    }

    #[test]
    fn what_crio_takes_is_good() {
        let text = "log_dir = 'a'\n[api]\ntls_min_version = 'a'\n[network]\ncni_status_grace_period = '10s'\n\
                    [runtime]\npids_limit = -1\ndefault_sysctls = ['a=b']\n[runtime.runtimes.mine]\n\
                    runtime_path = '/a'\ndefault_annotations = { a = 'b' }\n\
                    [runtime.workloads.w]\nactivation_annotation = 'a'\n\
                    [runtime.workloads.w.resources]\ncpushares = 5\n\
                    [nri.default_validator]\nnri_enable_default_validator = true\n";
        assert_eq!(bad_of(&text.parse().unwrap(), 36), []);
    }
}

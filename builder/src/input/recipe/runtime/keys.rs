//! The keys of a runtime's configuration by its version: a runtime itself ignores one that
//! it does not know, and stops at a value of another type.

use std::str::FromStr;

use anyhow::{Context, bail};
use toml::{Table, Value};

use crate::input::recipe::source::nearest;

/// The known keys of one table.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// A key a line: its name, its kind, the first and the last minor version with it.
    pub lines: &'static str,
    /// The program with its major version, as `CRI-O 1`.
    pub program: &'static str,
}

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
    Float,
    /// What is not judged.
    Any,
}

struct Key {
    /// The names of tables that lead to it, and its own; `*` is any name.
    way: Vec<&'static str>,
    kind: Kind,
    /// Minor versions.
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
            "float" => Kind::Float,
            "any" => Kind::Any,
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
            Kind::Float => value.is_float() || value.is_integer(),
            Kind::Any => true,
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
            Kind::Float => "a number",
            Kind::Any => "anything",
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

impl List {
    fn all(self) -> impl Iterator<Item = Key> {
        let lines = self.lines.lines().filter(|line| !line.starts_with('#'));
        // Tests of each list read every line.
        lines.filter_map(|line| parse(line).ok())
    }

    /// What of `table` that minor version of the program does not take.
    pub fn bad_of(self, table: &Table, minor: u64) -> Vec<Bad> {
        let (keys, later): (Vec<Key>, Vec<Key>) = self
            .all()
            .partition(|key| (key.first..=key.last).contains(&minor));
        let known = Known {
            keys,
            later,
            program: self.program,
            minor,
        };
        let mut found = Vec::new();
        known.walk(table, &mut Vec::new(), &mut found);
        found
    }

    /// Whether the table has a key, or tables, of that name.
    pub fn has(self, name: &str) -> bool {
        self.all().any(|key| key.way.first() == Some(&name))
    }
}

/// A value that the program would ignore or stop at.
#[derive(Debug, PartialEq, Eq)]
pub struct Bad {
    pub way: Vec<String>,
    pub message: String,
}

struct Known {
    keys: Vec<Key>,
    /// Those of other versions only.
    later: Vec<Key>,
    program: &'static str,
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
        let (program, minor) = (self.program, self.minor);
        let elsewhere = |key: &&Key| key.way.len() == way.len() && leads_along(key, way);
        if let Some(key) = self.later.iter().find(elsewhere) {
            let (first, last) = (key.first, key.last);
            let major = program.rsplit(' ').next().unwrap_or_default();
            return format!(
                "{program}.{minor} does not know this key and would ignore it: it is one of \
                 {program}.{first} to {major}.{last}"
            );
        }
        let (name, tables) = way
            .split_last()
            .map_or(("", &[][..]), |(n, t)| (n.as_str(), t));
        let beside = self.keys.iter().filter(|key| leads_along(key, tables));
        let names = beside.filter_map(|key| key.way.get(tables.len()).copied());
        let near = nearest(name, names)
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("{program}.{minor} has no such key and would ignore it{near}")
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
    use super::{List, parse};

    pub fn every_line_is_a_key(list: List) {
        let lines = list.lines.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            parse(line).unwrap();
        }
    }

    /// The way and the kind of every key of a minor version.
    pub fn keys_of(list: List, minor: u64) -> Vec<(String, String)> {
        let keys = list
            .all()
            .filter(|key| (key.first..=key.last).contains(&minor));
        keys.map(|key| (key.way.join("."), format!("{:?}", key.kind)))
            .collect()
    }
}

//! Documents as trees, their leaves, and what each leaf is changed to.
use std::fmt;

use nodeimg_seed::text::yaml::{self, Kind, Node};
use serde_json::{Map, Value};

/// The way to a scalar: keys, and places in lists.
pub(crate) struct Leaf {
    path: Vec<Step>,
    /// The keys of the way only.
    pub(crate) keys: Vec<String>,
}

#[derive(Clone)]
enum Step {
    Key(String),
    Item(usize),
}

impl fmt::Display for Leaf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.path {
            match step {
                Step::Key(key) => write!(out, ".{key}")?,
                Step::Item(index) => write!(out, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Leaf {
    pub(crate) fn value<'a>(&self, document: &'a Value) -> &'a Value {
        self.path.iter().fold(document, |at, step| match step {
            Step::Key(key) => &at[key],
            Step::Item(index) => &at[index],
        })
    }
}

pub(crate) fn parse(text: &str) -> Option<Value> {
    Some(of(&yaml::parse(text).ok()??))
}

pub(crate) fn tree(text: &str) -> Value {
    parse(text).unwrap()
}

/// Booleans and nothing keep their kind; all else is text, as the reader takes it.
fn of(node: &Node) -> Value {
    match &node.kind {
        Kind::Sequence(items) => items.iter().map(of).collect(),
        Kind::Mapping(entries) => {
            let members = entries.iter();
            let members = members.map(|entry| (entry.key.expose().to_owned(), of(&entry.value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Kind::Scalar(scalar) if scalar.is_null() => Value::Null,
        Kind::Scalar(scalar) => match scalar.boolean() {
            Some(value) => value.into(),
            None => scalar.text().into(),
        },
    }
}

pub(crate) fn leaves(document: &Value) -> Vec<Leaf> {
    let mut found = Vec::new();
    walk(document, &mut Vec::new(), &mut |path, value| {
        if !value.is_object() && !value.is_array() && !value.is_null() {
            found.push(Leaf {
                path: path.to_vec(),
                keys: keys(path),
            });
        }
    });
    found
}

fn keys(path: &[Step]) -> Vec<String> {
    let keys = path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.clone()),
        Step::Item(_) => None,
    });
    keys.collect()
}

/// The keys on the way to every mapping that options stand in.
pub(crate) fn mappings(document: &Value) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    walk(document, &mut Vec::new(), &mut |path, value| {
        let listed = path.iter().map(|step| match step {
            Step::Key(key) => key.clone(),
            Step::Item(index) => index.to_string(),
        });
        if value.is_object() {
            found.push(listed.collect());
        }
    });
    found
}

pub(crate) fn with_key(document: &Value, place: &[String], key: &str) -> Value {
    let mut changed = document.clone();
    let mut at = &mut changed;
    for step in place {
        at = match at {
            Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
            other => &mut other[step],
        };
    }
    at[key] = "x".into();
    changed
}

fn walk(value: &Value, path: &mut Vec<Step>, each: &mut impl FnMut(&[Step], &Value)) {
    each(path, value);
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                path.push(Step::Key(key.clone()));
                walk(value, path, each);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                path.push(Step::Item(index));
                walk(value, path, each);
                path.pop();
            }
        }
        _ => {}
    }
}

pub(crate) fn with(document: &Value, leaf: &Leaf, value: Value) -> Value {
    let mut changed = document.clone();
    let mut at = &mut changed;
    for step in &leaf.path {
        at = match step {
            Step::Key(key) => &mut at[key],
            Step::Item(index) => &mut at[index],
        };
    }
    *at = value;
    changed
}

/// Other values of the same form, and one of none.
pub(crate) fn changes(key: &str, value: &Value) -> Vec<Value> {
    if let Some(flag) = value.as_bool() {
        return vec![Value::Bool(!flag), "perhaps".into()];
    }
    let text = value.as_str().unwrap_or_default();
    let mut found = vec![format!("{text}x")];
    if let Ok(number) = text.parse::<u64>() {
        found.push((number + 1).to_string());
    }
    let word = key.to_ascii_lowercase().replace('_', "-");
    if !matches!(word.as_str(), "version") {
        found.extend(near_address(text));
    }
    found.into_iter().map(Value::from).collect()
}

/// The same address or network with another last part that differs in it.
fn near_address(text: &str) -> Option<String> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: std::net::IpAddr = address.parse().ok()?;
    let other = match (address, length) {
        (std::net::IpAddr::V4(v4), Some("0")) if v4.is_unspecified() => return None,
        (std::net::IpAddr::V6(v6), Some("0")) if v6.is_unspecified() => return None,
        (std::net::IpAddr::V4(v4), _) => {
            let [a, b, c, d] = v4.octets();
            if (a, b, c, d) == (0, 0, 0, 0) || a == 255 {
                return None;
            }
            std::net::IpAddr::from([a, b ^ 64, c, d])
        }
        (std::net::IpAddr::V6(v6), _) => {
            let mut octets = v6.octets();
            if v6.is_unspecified() || octets[0] == 255 {
                return None;
            }
            octets[3] ^= 64;
            std::net::IpAddr::from(octets)
        }
    };
    Some(match length {
        Some(length) => format!("{other}/{length}"),
        None => other.to_string(),
    })
}

//! Values of expressions: instance data, and the results of filters.
use std::collections::HashSet;
use std::fmt::Write as _;

use crate::text::yaml::{Kind, Node};

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Undefined: the name asked for, and a similar one, for the message.
    Undefined {
        asked: String,
        near: Option<String>,
    },
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// Names that one that is not known is compared with: it costs far more than a look-up.
const MOST_NAMES: usize = 500;

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Data of YAML or JSON, typed as YAML 1.1 types it, as far as templates can tell.
    pub fn of_yaml(node: &Node) -> Self {
        match &node.kind {
            Kind::Scalar(scalar) if scalar.is_null() => Self::None,
            Kind::Scalar(scalar) => {
                let text = scalar.text.expose();
                match scalar.boolean() {
                    Some(value) => Self::Bool(value),
                    None => scalar.integer().map_or_else(|| Self::text(text), Self::Int),
                }
            }
            Kind::Sequence(items) => Self::List(items.iter().map(Self::of_yaml).collect()),
            Kind::Mapping(entries) => Self::map(
                entries
                    .iter()
                    .map(|entry| (entry.key.expose().to_owned(), Self::of_yaml(&entry.value))),
            ),
        }
    }

    pub fn of_json(value: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => number
                .as_i64()
                .map_or_else(|| Self::Text(number.to_string()), Self::Int),
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::List(items.iter().map(Self::of_json).collect()),
            Json::Object(members) => Self::map(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::of_json(value))),
            ),
        }
    }

    /// A mapping in which `local-hostname` answers to `local_hostname` as well.
    pub fn map(members: impl IntoIterator<Item = (String, Self)>) -> Self {
        let mut all: Vec<(String, Self)> = Vec::new();
        let mut known: HashSet<String> = HashSet::new();
        for (name, value) in members {
            let alias = name.replace(['-', '.', '/', ' '], "_");
            if alias != name && known.insert(alias.clone()) {
                all.push((alias, value.clone()));
            }
            known.insert(name.clone());
            all.push((name, value));
        }
        Self::Map(all)
    }

    /// The member of this name, the last one given; the undefined value if there is none.
    pub(super) fn member(&self, name: &str, path: &str) -> Self {
        let known = |members: &[(String, Self)]| -> Option<String> {
            let few = members.get(..MOST_NAMES).unwrap_or(members);
            let names = few.iter().map(|(name, _)| name.as_str());
            crate::text::suggest::nearest(name, names).map(str::to_owned)
        };
        let asked = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        match self {
            Self::Map(members) => members
                .iter()
                .rev()
                .find(|(member, _)| member == name)
                .map_or_else(
                    || Self::Undefined {
                        asked,
                        near: known(members),
                    },
                    |(_, value)| value.clone(),
                ),
            _ => Self::Undefined { asked, near: None },
        }
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Undefined { .. } | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(members) => !members.is_empty(),
        }
    }

    /// As python's `str()` shows it, which is what a template puts out.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Undefined { .. } => String::new(),
            Self::None => "None".to_owned(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Int(value) => value.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(_) | Self::Map(_) => self.repr(),
        }
    }

    /// As python's `repr()` shows it, which is how it stands in a list.
    fn repr(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::repr).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{}: {}", quoted(name), value.repr()))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
            _ => self.shown(),
        }
    }

    /// As python's `==` compares: true is 1, and the order of a mapping is of no account.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(truth), Self::Int(number)) | (Self::Int(number), Self::Bool(truth)) => {
                i64::from(*truth) == *number
            }
            (Self::List(left), Self::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(a, b)| a.equals(b))
            }
            (Self::Map(left), Self::Map(right)) => {
                // By name; those of one name stay in their order.
                let sorted = |members: &'_ [(String, Self)]| -> Vec<usize> {
                    let mut order: Vec<usize> = (0..members.len()).collect();
                    order.sort_by(|a, b| members[*a].0.cmp(&members[*b].0));
                    order
                };
                let pairs = || sorted(left).into_iter().zip(sorted(right));
                left.len() == right.len()
                    && pairs()
                        .all(|(a, b)| left[a].0 == right[b].0 && left[a].1.equals(&right[b].1))
            }
            _ => self == other,
        }
    }

    /// Bytes held, for the budget.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(items) => items.iter().map(|item| 16 + item.size()).sum(),
            Self::Map(members) => members
                .iter()
                .map(|(name, value)| 16 + name.len() + value.size())
                .sum(),
            _ => 8,
        }
    }

    /// For messages: "a list", never the content.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Undefined { .. } => "undefined",
            Self::None => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// A string as python writes it.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut shown = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\\' => shown.push_str("\\\\"),
            c if c == quote => shown.extend(['\\', c]),
            c if c.is_control() => {
                let _infallible = write!(shown, "\\x{:02x}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown.push(quote);
    shown
}

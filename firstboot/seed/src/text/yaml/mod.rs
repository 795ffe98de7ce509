//! YAML text to a small tree that knows the line of every key and value.
//!
//! Scalars stay text: the meaning of a key decides how its value is read, so `0644`,
//! `1.10` and `node-0` arrive as written. Spec: <https://yaml.org/spec/1.2.2/>, plus
//! the merge key `<<` that cloud-init's users rely on. `tests/judges` compares with PyYAML,
//! which cloud-init uses: text that both accept means the same.
//!
//! # Invariants
//! - Bounded: nesting, nodes and bytes have limits that count expanded aliases,
//!   so no input costs more than a fixed amount of time and memory.
//! - A duplicate key, a key that is not a scalar, and a second document are errors.
//! - Nothing here has `Debug`, and errors never quote the input: any scalar may
//!   be a private key.
mod build;
mod documents;
mod typed;
pub mod write;

use build::Builder;
pub use documents::{Document, documents};
use granit_parser::Parser;
pub use typed::Typed;

use crate::text::secret::Secret;

const MAX_DEPTH: usize = 64;

/// Why text is not acceptable YAML. Line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    pub line: usize,
    pub column: usize,
    pub reason: String,
}

#[derive(Clone)]
pub struct Node {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Clone)]
pub enum Kind {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Clone)]
pub struct Scalar {
    pub text: Secret,
    /// Written without quotes, not as a block and without `!!str`, so that `no` may mean
    /// false.
    pub plain: bool,
    /// Written as a block after `|`, so that its lines are lines of the file.
    pub literal: bool,
    /// An explicit tag such as `!!binary`; `!!str` and no tag are `None`.
    pub tag: Option<String>,
}

#[derive(Clone)]
pub struct Entry {
    pub key: Secret,
    pub line: usize,
    pub value: Node,
}

impl Node {
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?
            .iter()
            .find(|entry| entry.key.expose() == key)
            .map(|entry| &entry.value)
    }

    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The same value as YAML in one line, in the form of JSON where possible: plain
    /// scalars that are not text stay as they are.
    pub fn to_flow(&self) -> Secret {
        let mut text = String::new();
        self.flow(&mut text);
        Secret::new(text)
    }

    fn flow(&self, out: &mut String) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match &self.kind {
            Kind::Scalar(scalar) => {
                let text = scalar.text.expose();
                if scalar.is_meant() && !text.is_empty() {
                    out.push_str(text);
                } else if scalar.is_null() {
                    out.push_str("null");
                } else {
                    out.push_str(&quoted(text));
                }
            }
            Kind::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "[" } else { ", " });
                    item.flow(out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Kind::Mapping(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    out.push_str(if index == 0 { "{" } else { ", " });
                    out.push_str(&quoted(entry.key.expose()));
                    out.push_str(": ");
                    entry.value.flow(out);
                }
                out.push_str(if entries.is_empty() { "{}" } else { "}" });
            }
        }
    }

    /// The same value as a reader of [`Node::to_flow`] takes it: what is written in quotes
    /// there is text.
    #[must_use]
    pub fn as_in_flow(&self) -> Self {
        let kind = match &self.kind {
            Kind::Scalar(scalar) => Kind::Scalar(Scalar {
                plain: scalar.is_meant(),
                ..scalar.clone()
            }),
            Kind::Sequence(items) => Kind::Sequence(items.iter().map(Self::as_in_flow).collect()),
            Kind::Mapping(entries) => {
                let entry = |entry: &Entry| Entry {
                    value: entry.value.as_in_flow(),
                    ..entry.clone()
                };
                Kind::Mapping(entries.iter().map(entry).collect())
            }
        };
        Self {
            line: self.line,
            kind,
        }
    }

    /// For messages: "a list", never the content.
    pub fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.is_null() => "nothing",
            Kind::Scalar(_) => "text",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }

    /// How many values it has, itself included, and the bytes of their text.
    pub fn size(&self) -> (usize, usize) {
        let add = |sum: (usize, usize), node: &Self| {
            let (nodes, bytes) = node.size();
            (sum.0 + nodes, sum.1 + bytes)
        };
        match &self.kind {
            Kind::Scalar(scalar) => (1, scalar.text().len()),
            Kind::Sequence(items) => items.iter().fold((1, 0), add),
            Kind::Mapping(entries) => entries.iter().fold((1, 0), |(nodes, bytes), entry| {
                add((nodes + 1, bytes + entry.key.expose().len()), &entry.value)
            }),
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::Sequence(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Mapping(entries) => entries
                .iter()
                .map(|entry| entry.value.depth())
                .max()
                .unwrap_or(0),
        }
    }
}

impl Scalar {
    /// The text as written.
    pub fn text(&self) -> &str {
        self.text.expose()
    }

    /// Whether it is plain and a value other than text: nothing, a boolean or a number.
    fn is_meant(&self) -> bool {
        let number = || self.text().parse::<f64>().is_ok_and(f64::is_finite);
        self.plain && (self.is_null() || self.boolean().is_some() || number())
    }

    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.expose(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// What YAML 1.1, which cloud-init reads, takes for a boolean.
    pub fn boolean(&self) -> Option<bool> {
        if !self.plain {
            return None;
        }
        match self.text.expose() {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        }
    }
}

/// Reads one document; `None` when there is nothing but comments.
pub fn parse(text: &str) -> Result<Option<Node>, YamlError> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    refuse_breaks_of_yaml_1_1(text)?;
    let mut builder = Builder::of(text);
    for item in Parser::new_from_str_with_options(text, options) {
        let (event, span) = item.map_err(|error| YamlError {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            reason: error.info(),
        })?;
        builder.event(event, &span)?;
    }
    Ok(builder.into_root())
}

/// Line breaks to YAML 1.1, which cloud-init reads, and ordinary characters to 1.2.
fn refuse_breaks_of_yaml_1_1(text: &str) -> Result<(), YamlError> {
    let Some(at) = text.find(['\u{85}', '\u{2028}', '\u{2029}']) else {
        return Ok(());
    };
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Err(YamlError {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        reason: "U+0085, U+2028 and U+2029 are line breaks to YAML 1.1 only; \
                 write an ordinary line break, or an escape in double quotes"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests;

//! YAML text to a small tree that knows the line of every key and value.
//!
//! Scalars stay text: the meaning of a key decides how its value is read, so `0644`,
//! `1.10` and `node-0` arrive as written. Spec: <https://yaml.org/spec/1.2.2/>, plus
//! the merge key `<<` that cloud-init's users rely on.
//!
//! # Invariants
//! - Bounded: nesting, nodes and bytes have limits that count expanded aliases,
//!   so no input costs more than a fixed amount of time and memory.
//! - A duplicate key, a key that is not a scalar, and a second document are errors.
//! - Nothing here has `Debug`, and errors never quote the input: any scalar may
//!   be a private key.
pub mod write;

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::text::secret::Secret;

const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 100_000;
const MAX_BYTES: usize = 8 << 20;

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
    /// Written without quotes and not as a block, so that `no` may mean false.
    pub plain: bool,
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
                let number = text.parse::<f64>().is_ok_and(f64::is_finite);
                let meant = scalar.is_null() || scalar.boolean().is_some() || number;
                if scalar.plain && meant && !text.is_empty() {
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

    /// For messages: "a list", never the content.
    pub fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.is_null() => "nothing",
            Kind::Scalar(_) => "text",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
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

    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.expose(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// What YAML 1.1, which cloud-init reads, takes for a boolean.
    pub fn boolean(&self) -> Option<bool> {
        if !self.plain {
            return None;
        }
        match self.text.expose().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
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
    let mut builder = Builder::default();
    for item in Parser::new_from_str_with_options(text, options) {
        let (event, span) = item.map_err(|error| YamlError {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            reason: error.info(),
        })?;
        builder.event(event, &span)?;
    }
    Ok(builder.root)
}

/// A collection whose end has not been seen.
enum Open {
    Sequence {
        line: usize,
        anchor: usize,
        items: Vec<Node>,
    },
    Mapping {
        line: usize,
        anchor: usize,
        entries: Vec<Entry>,
        seen: BTreeSet<Secret>,
        key: Option<(Secret, usize)>,
    },
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    documents: usize,
    nodes: usize,
    bytes: usize,
    root: Option<Node>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let line = span.start.line();
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(fail(
                        span,
                        "a second YAML document begins here; only one is read",
                    ));
                }
            }
            Event::Alias(id) => self.expand(id, span)?,
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag
                    .as_deref()
                    .filter(|tag| tag.core_suffix() != Some("str"))
                    .map(granit_parser::Tag::original);
                let plain = style == ScalarStyle::Plain;
                let scalar = Scalar {
                    text: Secret::new(text.into_owned()),
                    plain,
                    tag,
                };
                self.place(
                    Node {
                        line,
                        kind: Kind::Scalar(scalar),
                    },
                    anchor,
                    span,
                )?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.stack.push(Open::Sequence {
                    line,
                    anchor,
                    items: Vec::new(),
                });
            }
            Event::MappingStart(_, anchor, _) => {
                let (entries, seen) = (Vec::new(), BTreeSet::new());
                self.stack.push(Open::Mapping {
                    line,
                    anchor,
                    entries,
                    seen,
                    key: None,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            _ => {}
        }
        Ok(())
    }

    /// Replaces an alias with a copy of its anchored value.
    fn expand(&mut self, anchor: usize, span: &Span) -> Result<(), YamlError> {
        let Some(target) = self.anchors.get(&anchor).cloned() else {
            return Err(fail(
                span,
                "this alias is inside the value that it refers to",
            ));
        };
        if self.stack.len() + target.depth() > MAX_DEPTH {
            return Err(fail(span, "aliases nest too deeply"));
        }
        self.charge_all(&target, span)?;
        self.place(target, 0, span)
    }

    fn close(&mut self, span: &Span) -> Result<(), YamlError> {
        let (node, anchor) = match self.stack.pop() {
            Some(Open::Sequence {
                line,
                anchor,
                items,
            }) => (
                Node {
                    line,
                    kind: Kind::Sequence(items),
                },
                anchor,
            ),
            Some(Open::Mapping {
                line,
                anchor,
                mut entries,
                seen,
                ..
            }) => {
                self.merge(&mut entries, seen, span)?;
                (
                    Node {
                        line,
                        kind: Kind::Mapping(entries),
                    },
                    anchor,
                )
            }
            None => return Ok(()),
        };
        self.place(node, anchor, span)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, anchor: usize, span: &Span) -> Result<(), YamlError> {
        self.charge(&node, span)?;
        if anchor != 0 {
            self.charge_all(&node, span)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping {
                entries, seen, key, ..
            }) => match key.take() {
                Some((key, line)) => entries.push(Entry {
                    key,
                    line,
                    value: node,
                }),
                None => {
                    let Kind::Scalar(scalar) = node.kind else {
                        return Err(fail(
                            span,
                            "a key must be plain text, not a list or mapping",
                        ));
                    };
                    if !seen.insert(scalar.text.clone()) {
                        return Err(fail(
                            span,
                            "this key appears twice in the same mapping; keep one of them",
                        ));
                    }
                    *key = Some((scalar.text, span.start.line()));
                }
            },
        }
        Ok(())
    }

    /// `<<: *base` and `<<: [*a, *b]`: adds the keys that the mapping itself does not have.
    fn merge(
        &mut self,
        entries: &mut Vec<Entry>,
        mut seen: BTreeSet<Secret>,
        span: &Span,
    ) -> Result<(), YamlError> {
        let Some(at) = entries.iter().position(|entry| entry.key.expose() == "<<") else {
            return Ok(());
        };
        let merged = entries.remove(at);
        let bases = match merged.value.kind {
            Kind::Sequence(items) => items,
            kind => vec![Node {
                line: merged.line,
                kind,
            }],
        };
        for base in bases {
            let Kind::Mapping(more) = base.kind else {
                return Err(fail(span, "`<<` takes a mapping or a list of mappings"));
            };
            for entry in more {
                if seen.insert(entry.key.clone()) {
                    entries.push(entry);
                }
            }
        }
        Ok(())
    }

    fn charge(&mut self, node: &Node, span: &Span) -> Result<(), YamlError> {
        self.nodes += 1;
        self.bytes += node.scalar().map_or(0, |scalar| scalar.text.expose().len());
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            return Err(fail(
                span,
                "the document is too large once its aliases are expanded",
            ));
        }
        Ok(())
    }

    fn charge_all(&mut self, node: &Node, span: &Span) -> Result<(), YamlError> {
        self.charge(node, span)?;
        match &node.kind {
            Kind::Scalar(_) => Ok(()),
            Kind::Sequence(items) => items
                .iter()
                .try_for_each(|item| self.charge_all(item, span)),
            Kind::Mapping(entries) => entries
                .iter()
                .try_for_each(|entry| self.charge_all(&entry.value, span)),
        }
    }
}

fn fail(span: &Span, reason: &str) -> YamlError {
    let (line, column) = (span.start.line(), span.start.col() + 1);
    YamlError {
        line,
        column,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;

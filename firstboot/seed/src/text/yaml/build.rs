//! From the parser's events to the tree, within the limits.
use std::collections::BTreeMap;

use granit_parser::{Event, ScalarStyle, Span, Tag};

use super::{Entry, Kind, MAX_DEPTH, Node, Scalar, YamlError};
use crate::text::field::shown;
use crate::text::secret::Secret;

const MAX_NODES: usize = 100_000;
const MAX_BYTES: usize = 8 << 20;

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
        /// The keys, and the line of each.
        seen: BTreeMap<Secret, usize>,
        key: Option<(Secret, usize)>,
        /// Which entry is that of a plain `<<`.
        merged: Option<usize>,
    },
}

/// A last line without a line break.
struct Unended {
    /// Of the whole text, in characters.
    length: usize,
    /// Whether the line has only blanks.
    blank: bool,
}

impl Unended {
    fn of(text: &str) -> Option<Self> {
        let last = text.rsplit(['\n', '\r']).next()?;
        (!last.is_empty()).then(|| Self {
            length: text.chars().count(),
            blank: is_blank(last),
        })
    }

    /// Whether the line belongs to this block scalar, to whose text the parser has then
    /// added a line break.
    fn is_in(&self, block: &str, span: &Span) -> bool {
        let Some(whole) = block.strip_suffix('\n') else {
            return false;
        };
        if self.length != span.end.index() {
            return false;
        }
        let last = whole.rsplit('\n').next().unwrap_or_default();
        let lines = span.end.line() - span.start.line();
        match self.blank {
            // The span begins with the first line that is not empty, else with the `|`.
            true => match block.trim_start_matches('\n') {
                "" => block.len() >= lines,
                shown => shown.matches('\n').count() > lines,
            },
            false => !is_blank(last),
        }
    }
}

fn is_blank(line: &str) -> bool {
    line.trim_matches(' ').is_empty()
}

#[derive(Default)]
pub(super) struct Builder {
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    documents: usize,
    nodes: usize,
    bytes: usize,
    root: Option<Node>,
    unended: Option<Unended>,
}

impl Builder {
    pub(super) fn of(text: &str) -> Self {
        Self {
            unended: Unended::of(text),
            ..Self::default()
        }
    }

    pub(super) fn into_root(self) -> Option<Node> {
        self.root
    }

    pub(super) fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
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
                let scalar = self.scalar(text.into_owned(), style, tag.as_deref(), span)?;
                let kind = Kind::Scalar(scalar);
                self.place(Node { line, kind }, anchor, span)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.stack.push(Open::Sequence {
                    line,
                    anchor,
                    items: Vec::new(),
                });
            }
            Event::MappingStart(_, anchor, _) => {
                let (entries, seen) = (Vec::new(), BTreeMap::new());
                self.stack.push(Open::Mapping {
                    line,
                    anchor,
                    entries,
                    seen,
                    key: None,
                    merged: None,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            _ => {}
        }
        Ok(())
    }

    fn scalar(
        &self,
        mut text: String,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<Scalar, YamlError> {
        if tag.is_some_and(|tag| tag.original() == "!") {
            let reason = "the tag `!` means text in YAML 1.2 only; write `!!str`, or remove it";
            return Err(fail(span, reason));
        }
        let said_str = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
        let written_plain = style == ScalarStyle::Plain;
        if written_plain && span.start.index() == span.end.index() {
            // The parser writes `~` for a value that is not there.
            text.clear();
        } else if written_plain && text.starts_with('?') {
            let reason = "text that begins with `?` may be a key in YAML 1.1; quote it";
            return Err(fail(span, reason));
        }
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if block
            && self
                .unended
                .as_ref()
                .is_some_and(|end| end.is_in(&text, span))
        {
            text.pop();
        }
        Ok(Scalar {
            text: Secret::new(text),
            plain: written_plain && !said_str,
            literal: style == ScalarStyle::Literal,
            tag: tag.filter(|_| !said_str).map(Tag::original),
        })
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
                merged,
                ..
            }) => {
                if let Some(at) = merged {
                    let merged = entries.remove(at);
                    add_merged(merged, &mut entries, seen, span)?;
                }
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
                entries,
                seen,
                key,
                merged,
                ..
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
                    let line = span.start.line();
                    if let Some(first) = seen.insert(scalar.text.clone(), line) {
                        return Err(fail(span, &twice(scalar.text(), first, line)));
                    }
                    if scalar.plain && scalar.text() == "<<" {
                        *merged = Some(entries.len());
                    }
                    *key = Some((scalar.text, line));
                }
            },
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

/// `<<: *base` and `<<: [*a, *b]`: adds the keys that the mapping itself does not have.
fn add_merged(
    merged: Entry,
    entries: &mut Vec<Entry>,
    mut seen: BTreeMap<Secret, usize>,
    span: &Span,
) -> Result<(), YamlError> {
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
            if seen.insert(entry.key.clone(), entry.line).is_none() {
                entries.push(entry);
            }
        }
    }
    Ok(())
}

/// A key is named if it looks like one: see [`shown`].
fn twice(key: &str, first: usize, second: usize) -> String {
    format!(
        "the key `{}` appears twice in the same mapping, in line {first} and in line {second}; \
         keep one of them",
        shown(key)
    )
}

fn fail(span: &Span, reason: &str) -> YamlError {
    let (line, column) = (span.start.line(), span.start.col() + 1);
    YamlError {
        line,
        column,
        reason: reason.to_owned(),
    }
}

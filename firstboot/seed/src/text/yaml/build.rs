//! From the parser's events to the tree, within the limits.
use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, ScalarStyle, Span, Tag};

use super::{Entry, Kind, MAX_DEPTH, Node, Scalar, YamlError};
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
        seen: BTreeSet<Secret>,
        key: Option<(Secret, usize)>,
    },
}

struct Unended {
    /// In characters.
    length: usize,
    /// Whether the last line has only blanks.
    blank: bool,
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
    /// How text ends that has no line break at its end.
    unended: Option<Unended>,
}

impl Builder {
    pub(super) fn of(text: &str) -> Self {
        let last = text.rsplit(['\n', '\r']).next().unwrap_or_default();
        let unended = (!last.is_empty()).then(|| Unended {
            length: text.chars().count(),
            blank: is_blank(last),
        });
        Self {
            unended,
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
        if let Some(unended) = self.unended.as_ref().filter(|_| block)
            && unended.length == span.end.index()
            && let Some(whole) = text.strip_suffix('\n')
            && unended.blank == is_blank(whole.rsplit('\n').next().unwrap_or_default())
        {
            // The last line of the file is a line of this block, and has no line break.
            text.pop();
        }
        Ok(Scalar {
            text: Secret::new(text),
            plain: written_plain && !said_str,
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

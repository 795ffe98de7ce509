//! Templates: image files with placeholders that only first boot can fill in.
//!
//! The builder parses every template of an image and refuses one that asks for
//! a name not in [`PLACEHOLDERS`]; first boot renders them. Both sides share
//! this module, so a template that passed the build cannot be misread on a node.
//!
//! # Syntax
//! `{{ name }}` stands for a value; blanks inside the braces are free, line
//! breaks are not. A literal `{{` is written `{{{{`. A lone `{`, `}` or a `}}`
//! outside a placeholder stands for itself, so JSON needs no escaping except
//! where a placeholder follows a brace: write `{ {{ name }} }`.
//!
//! # Invariants
//! - A name is `[a-z][a-z0-9_]*`; anything else between the braces is an error
//!   with line and column, never text passed through.
//! - Rendering is one pass: a value that holds `{{` is not looked at again.
//! - Rendering fails rather than leave a placeholder empty by accident: a name
//!   with no entry in [`Values`] is an error.
use std::collections::BTreeMap;
use std::fmt;

use crate::text::suggest;

/// A value that first boot supplies to templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholder {
    /// The text between the braces.
    pub name: &'static str,
    /// One sentence for the reference page and error messages.
    pub description: &'static str,
    /// What a rendered value looks like (also used to try templates at build time).
    pub example: &'static str,
    /// Whether the value is never empty. Optional ones render as nothing when
    /// the seed does not give them.
    pub always: bool,
}

/// Every name that first boot supplies, sorted by name.
pub const PLACEHOLDERS: &[Placeholder] = &[
    Placeholder {
        name: "api_server",
        description: "URL of the Kubernetes API server (`nodeimg.api_server`)",
        example: "https://server.kubernetes.local:6443",
        always: false,
    },
    Placeholder {
        name: "cluster_cidr",
        description: "pod network of the whole cluster, comma-separated when dual-stack (seed or image)",
        example: "10.200.0.0/16",
        always: false,
    },
    Placeholder {
        name: "cni_ranges",
        description: "JSON for `ranges` of the CNI host-local plugin, one range set per pod subnet",
        example: "[[{\"subnet\":\"10.200.0.0/24\"}]]",
        always: true,
    },
    Placeholder {
        name: "cni_routes",
        description: "JSON for `routes` of the CNI host-local plugin, one default route per address family",
        example: "[{\"dst\":\"0.0.0.0/0\"}]",
        always: true,
    },
    Placeholder {
        name: "fqdn",
        description: "fully qualified host name; the host name when the seed names no domain",
        example: "node-0.kubernetes.local",
        always: true,
    },
    Placeholder {
        name: "host_name",
        description: "host name set on the machine, which is also the node's name",
        example: "node-0",
        always: true,
    },
    Placeholder {
        name: "kubelet_args",
        description: "the flags of the kubelet for `node_ip`, `labels` and `provider_id`, those \
            that the seed gives; empty if it gives none",
        example: "--node-ip=192.168.10.101 --node-labels=zone=a,disk=ssd",
        always: false,
    },
    Placeholder {
        name: "kubelet_taints",
        description: "the taints as a line of a KubeletConfiguration; empty if there are none",
        example: "registerWithTaints: [{\"effect\":\"NoSchedule\",\"key\":\"dedicated\",\"value\":\"gpu\"}]",
        always: false,
    },
    Placeholder {
        name: "node_ip",
        description: "node address for `kubelet --node-ip`, comma-separated when dual-stack; \
            empty: kubelet uses the address of the default route",
        example: "192.168.10.101",
        always: false,
    },
    Placeholder {
        name: "node_labels",
        description: "`key=value,...` for `kubelet --node-labels`",
        example: "zone=a,disk=ssd",
        always: false,
    },
    Placeholder {
        name: "node_taints",
        description: "`key=value:Effect,...`, as `kubectl taint` writes taints",
        example: "dedicated=gpu:NoSchedule",
        always: false,
    },
    Placeholder {
        name: "pod_subnet",
        description: "pod subnet of this node, comma-separated when dual-stack (`nodeimg.pod_subnet`)",
        example: "10.200.0.0/24",
        always: true,
    },
    Placeholder {
        name: "provider_id",
        description: "for `kubelet --provider-id` (`nodeimg.provider_id`)",
        example: "metal://rack-1/machine-7",
        always: false,
    },
];

/// The supplied placeholder with this name.
pub fn placeholder(name: &str) -> Option<&'static Placeholder> {
    PLACEHOLDERS
        .iter()
        .find(|placeholder| placeholder.name == name)
}

/// What is wrong with a template, and where. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    pub line: usize,
    pub column: usize,
    pub kind: TemplateErrorKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateErrorKind {
    /// `{{` with no `}}` on the same line.
    Unclosed,
    /// The text between the braces is not a name.
    BadName(String),
    /// A name that first boot does not supply.
    NotSupplied(String),
    /// The name is known, but there is no value for it in this rendering.
    NoValue(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}: ", self.line, self.column)?;
        match &self.kind {
            TemplateErrorKind::Unclosed => write!(
                out,
                "`{{{{` is not closed by `}}}}` on its line (a literal `{{{{` is written `{{{{{{{{`)"
            ),
            TemplateErrorKind::BadName(name) => write!(
                out,
                "`{name}` is not a placeholder name (lowercase letters, digits and `_`)"
            ),
            TemplateErrorKind::NotSupplied(name) => {
                write!(out, "first boot supplies no value named `{name}`")?;
                let names = PLACEHOLDERS.iter().map(|placeholder| placeholder.name);
                match suggest::nearest(name, names.clone()) {
                    Some(near) => write!(out, "; did you mean `{near}`?"),
                    None => write!(out, "; it supplies {}", suggest::list(names)),
                }
            }
            TemplateErrorKind::NoValue(name) => write!(out, "there is no value for `{name}`"),
        }
    }
}

impl std::error::Error for TemplateError {}

/// Values by placeholder name, for one rendering.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<&'static str, String>);

impl Values {
    pub fn new() -> Self {
        Self::default()
    }

    /// The example of every placeholder: lets the builder try a template.
    pub fn examples() -> Self {
        Self(
            PLACEHOLDERS
                .iter()
                .map(|placeholder| (placeholder.name, placeholder.example.to_owned()))
                .collect(),
        )
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.insert(name, value.into());
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// By name, to be kept.
    pub fn all(&self) -> BTreeMap<String, String> {
        let all = self.0.iter();
        all.map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    /// Those of `kept` that there still is a placeholder for.
    pub fn of(kept: &BTreeMap<String, String>) -> Self {
        let known = PLACEHOLDERS.iter().filter_map(|placeholder| {
            let value = kept.get(placeholder.name)?;
            Some((placeholder.name, value.clone()))
        });
        Self(known.collect())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot {
        name: String,
        line: usize,
        column: usize,
    },
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

impl Template {
    /// Reads a template; names are checked for form only (see [`Template::check_supplied`]).
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while let Some(found) = text.get(at..).and_then(|rest| rest.find("{{")) {
            let open = at + found;
            plain.push_str(&text[at..open]);
            let inner = open + 2;
            if text[inner..].starts_with("{{") {
                plain.push_str("{{");
                at = inner + 2;
                continue;
            }
            let (line, column) = position(text, open);
            let line_end = text[inner..]
                .find('\n')
                .map_or(text.len(), |end| inner + end);
            let Some(length) = text[inner..line_end].find("}}") else {
                return Err(TemplateError {
                    line,
                    column,
                    kind: TemplateErrorKind::Unclosed,
                });
            };
            let name = text[inner..inner + length].trim_matches([' ', '\t']);
            if !is_name(name) {
                let kind = TemplateErrorKind::BadName(name.to_owned());
                return Err(TemplateError { line, column, kind });
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Slot {
                name: name.to_owned(),
                line,
                column,
            });
            at = inner + length + 2;
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }

    /// The names asked for, in order, with repeats.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Slot { name, .. } => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Refuses the first name that is not in [`PLACEHOLDERS`].
    pub fn check_supplied(&self) -> Result<(), TemplateError> {
        for piece in &self.pieces {
            if let Piece::Slot { name, line, column } = piece
                && placeholder(name).is_none()
            {
                let kind = TemplateErrorKind::NotSupplied(name.clone());
                return Err(TemplateError {
                    line: *line,
                    column: *column,
                    kind,
                });
            }
        }
        Ok(())
    }

    /// Fills in every placeholder.
    pub fn render(&self, values: &Values) -> Result<String, TemplateError> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Slot { name, line, column } => match values.get(name) {
                    Some(value) => text.push_str(value),
                    None => {
                        let kind = TemplateErrorKind::NoValue(name.clone());
                        return Err(TemplateError {
                            line: *line,
                            column: *column,
                            kind,
                        });
                    }
                },
            }
        }
        Ok(text)
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;

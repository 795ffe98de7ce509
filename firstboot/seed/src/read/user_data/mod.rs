//! user-data as it arrives, in any of cloud-init's forms, to its parts: cloud-config
//! texts and scripts, in order.
//!
//! Spec: <https://cloudinit.readthedocs.io/en/latest/explanation/format.html>.
//!
//! | form | here |
//! |---|---|
//! | `#cloud-config` | read |
//! | `## template: jinja` | rendered with instance data, then read as what its next line says |
//! | MIME multipart | each part in turn, also nested |
//! | gzip | unpacked, also inside MIME |
//! | `#cloud-config-archive` | each item in turn |
//! | `#!` script | handed on |
//! | everything else | refused by name |
//!
//! # Invariants
//! - Nothing is ignored: a part that is not read is a problem that names it.
//! - Bounded: depth, number of parts, and bytes of all parts together ([`Budget`]).
mod archive;
mod form;
mod inflate;
mod mime;

use zeroize::Zeroizing;

pub(crate) use inflate::{Refused, gunzip};

use crate::contract::overwritten;
use crate::read::budget::Budget;
use crate::text::jinja::{self, Value};
use crate::text::problem::{Place, Problems};
use crate::text::secret::Secret;

/// Parts of one user-data, and forms inside each other.
const MAX_PARTS: usize = 100;
const MAX_DEPTH: usize = 8;

/// One part of user-data.
pub struct Part {
    /// The file, and which part of it, for messages.
    pub label: String,
    pub content: Content,
}

pub enum Content {
    CloudConfig {
        /// YAML with its header line.
        text: Secret,
        /// How it is merged, as the part's header `Merge-Type` says.
        merge: Option<String>,
    },
    Script {
        /// A file name, if the part has one.
        name: Option<String>,
        text: Secret,
    },
}

/// Splits user-data into its parts. `data` holds the values for its templates. `None`
/// if a part cannot be read, so that missing keys are not reported as well.
pub fn parts(
    label: &str,
    bytes: &[u8],
    data: &Value,
    problems: &mut Problems,
) -> Option<Vec<Part>> {
    parts_within(label, bytes, data, &mut Budget::default(), problems)
}

/// The same for one of several files, which share a budget.
pub(crate) fn parts_within(
    label: &str,
    bytes: &[u8],
    data: &Value,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<Vec<Part>> {
    if let Some(instance) = overwritten::served(bytes) {
        let reason = format!("was overwritten after it had been used by instance `{instance}`");
        let remedy = "write the seed again; `first_boot.scrub = false` in the recipe keeps seeds";
        problems.error(&Place::file(label), reason, remedy);
        return None;
    }
    let mut decoder = Decoder {
        data,
        parts: Vec::new(),
        budget,
        seen: 0,
    };
    let piece = Piece {
        label: label.to_owned(),
        declared: None,
        name: None,
        merge: None,
        whole: true,
    };
    decoder.decode(&piece, bytes, 0, problems)?;
    Some(decoder.parts)
}

/// What is known about bytes before they are read.
#[derive(Clone)]
struct Piece {
    label: String,
    /// The content type that a container gives them.
    declared: Option<form::Form>,
    name: Option<String>,
    merge: Option<String>,
    /// The file itself, not a part of it: lines are those of the file.
    whole: bool,
}

/// Why something is not read: line, reason, remedy.
struct Refusal {
    line: usize,
    reason: String,
    remedy: String,
}

impl Refusal {
    fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            line: 1,
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    fn at(line: usize, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            line,
            ..Self::new(reason, remedy)
        }
    }
}

struct Decoder<'d> {
    data: &'d Value,
    parts: Vec<Part>,
    budget: &'d mut Budget,
    seen: usize,
}

impl Decoder<'_> {
    fn decode(
        &mut self,
        piece: &Piece,
        bytes: &[u8],
        depth: usize,
        problems: &mut Problems,
    ) -> Option<()> {
        match self.one(piece, bytes, depth, problems) {
            Ok(good) => good.then_some(()),
            Err(refusal) => {
                let place = Place::file(&piece.label).line(refusal.line);
                problems.error(&place, refusal.reason, refusal.remedy);
                None
            }
        }
    }

    /// `false` if a problem inside has already been reported.
    fn one(
        &mut self,
        piece: &Piece,
        bytes: &[u8],
        depth: usize,
        problems: &mut Problems,
    ) -> Result<bool, Refusal> {
        self.seen += 1;
        let fits = self.budget.take(bytes.len());
        if depth > MAX_DEPTH || self.seen > MAX_PARTS || !fits {
            let reason = "has parts that are too many, too large or too deeply nested";
            return Err(Refusal::new(reason, "make it smaller"));
        }
        if bytes.starts_with(&inflate::MAGIC) {
            let unpacked = inflate::gunzip(bytes, self.budget.left())
                .map_err(|reason| Refusal::new(reason, "compress it again with gzip"))?;
            return Ok(self.decode(piece, &unpacked, depth + 1, problems).is_some());
        }
        let text = form::text_of(bytes)?;
        let form = match piece.declared {
            Some(form) => {
                form::check_first_line(form, text)?;
                form
            }
            None => match form::detect(text, piece.whole)? {
                Some(form) => form,
                None => return Ok(true),
            },
        };
        self.by_form(form, piece, text, depth, problems)
    }

    fn by_form(
        &mut self,
        form: form::Form,
        piece: &Piece,
        text: &str,
        depth: usize,
        problems: &mut Problems,
    ) -> Result<bool, Refusal> {
        use form::Form;
        let mut inner = piece.clone();
        inner.declared = None;
        match form {
            Form::CloudConfig => {
                // A part may leave the header out, since its content type is enough.
                let (text, merge) = (Secret::new(text.to_owned()), piece.merge.clone());
                self.add(piece, Content::CloudConfig { text, merge });
                Ok(true)
            }
            Form::Script => {
                let text = form::script(text)?;
                let name = piece.name.clone();
                self.add(piece, Content::Script { name, text });
                Ok(true)
            }
            Form::Jinja => {
                let rendered = self.render(text)?;
                inner.whole = false;
                let bytes = rendered.as_bytes();
                Ok(self.decode(&inner, bytes, depth + 1, problems).is_some())
            }
            Form::Mime => {
                for header in mime::idle_headers(text)? {
                    let reason =
                        format!("has a `{header}`, which is ignored: it holds several parts");
                    let remedy = "give each part inside its own";
                    problems.warn(&Place::file(&inner.label), reason, remedy);
                }
                self.each(mime::parts(text)?, &inner, depth, problems)
            }
            Form::Archive => self.each(archive::parts(text)?, &inner, depth, problems),
        }
    }

    /// Every part, so that the problems of all are reported.
    fn each(
        &mut self,
        found: Vec<Found>,
        outer: &Piece,
        depth: usize,
        problems: &mut Problems,
    ) -> Result<bool, Refusal> {
        if found.is_empty() {
            return Err(Refusal::new(
                "holds no parts",
                "add one, or leave the file empty",
            ));
        }
        if outer.merge.is_some() {
            let reason = "has a `Merge-Type`, which is ignored: it holds several parts";
            let remedy = "give each part inside its own";
            problems.warn(&Place::file(&outer.label), reason, remedy);
        }
        let mut good = true;
        for (index, part) in found.into_iter().enumerate() {
            let mut label = format!("{} part {}", outer.label, index + 1);
            if let Some(name) = &part.name {
                label.push_str(&format!(" ({name})"));
            }
            if part.launch_index {
                let reason =
                    "has a `Launch-Index`, which is ignored: the part applies to every node";
                let remedy = "give each node its own seed";
                problems.warn(&Place::file(&label), reason, remedy);
            }
            let declared = match form::of_type(part.content_type.as_deref()) {
                Ok(declared) => declared,
                Err(refusal) => {
                    problems.error(&Place::file(label), refusal.reason, refusal.remedy);
                    good = false;
                    continue;
                }
            };
            let piece = Piece {
                label,
                declared,
                name: part.name,
                merge: part.merge,
                whole: false,
            };
            good &= self
                .decode(&piece, &part.bytes, depth + 1, problems)
                .is_some();
        }
        Ok(good)
    }

    /// The text below the `## template:` line. As in cloud-init the line break at the
    /// end stays, and the header is not rendered.
    fn render(&mut self, text: &str) -> Result<Zeroizing<String>, Refusal> {
        let start = text.len() - text.trim_start().len();
        let end = text[start..]
            .find('\n')
            .map_or(text.len(), |end| start + end);
        // Lines are counted from the top of the file: the header stays as an empty line.
        let mut body = Zeroizing::new("\n".repeat(text[..end].matches('\n').count()));
        body.push_str(&text[end..]);
        let rendered = jinja::render(&body, self.data)
            .map_err(|error| Refusal::at(error.line, error.reason, error.remedy))?;
        // Decoding takes it again; what is left is enough or not by then.
        self.budget.take(rendered.len());
        Ok(rendered)
    }

    fn add(&mut self, piece: &Piece, content: Content) {
        let label = piece.label.clone();
        self.parts.push(Part { label, content });
    }
}

/// A part as its container gives it.
#[derive(Default)]
struct Found {
    content_type: Option<String>,
    name: Option<String>,
    /// Meant for one machine of several, by its number in a launch, which is not supported.
    launch_index: bool,
    /// How a cloud-config is merged with those before it.
    merge: Option<String>,
    bytes: Zeroizing<Vec<u8>>,
}

#[cfg(test)]
mod tests;

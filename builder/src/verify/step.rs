//! The ten steps, and what one says when it is done.

use std::fmt;

use serde::Serialize;

/// In their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Policy,
    Signature,
    Files,
    Statement,
    Disk,
    Boot,
    Verity,
    Root,
    Upstream,
    Rebuild,
}

impl Step {
    pub const ALL: [Step; 10] = [
        Step::Policy,
        Step::Signature,
        Step::Files,
        Step::Statement,
        Step::Disk,
        Step::Boot,
        Step::Verity,
        Step::Root,
        Step::Upstream,
        Step::Rebuild,
    ];

    /// From 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// What `--json` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Step::Policy => "policy",
            Step::Signature => "signature",
            Step::Files => "files",
            Step::Statement => "statement",
            Step::Disk => "disk",
            Step::Boot => "boot",
            Step::Verity => "verity",
            Step::Root => "root",
            Step::Upstream => "upstream",
            Step::Rebuild => "rebuild",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It holds.
    Passed {
        /// What is known now that was not before: a sentence without a final period.
        proves: String,
        /// What it does not prove, or the user should know; sentences likewise.
        notes: Vec<String>,
    },
    /// It does not hold.
    Failed(Fault),
    /// There is nothing that it is about, for this reason (no final period).
    NotApplicable(String),
    /// An earlier step failed whose result it needs; which one, for people.
    NotReached(String),
}

impl Verdict {
    pub fn passed(proves: impl Into<String>) -> Verdict {
        Verdict::Passed {
            proves: proves.into(),
            notes: Vec::new(),
        }
    }

    /// With another note, if it passed.
    pub fn with(mut self, note: impl Into<String>) -> Verdict {
        if let Verdict::Passed { notes, .. } = &mut self {
            notes.push(note.into());
        }
        self
    }

    pub fn not_applicable(reason: impl Into<String>) -> Verdict {
        Verdict::NotApplicable(reason.into())
    }

    pub fn not_reached(by: Step) -> Verdict {
        Verdict::NotReached(format!("step {} ({by}) must pass first", by.number()))
    }

    /// What `--json` calls it.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Passed { .. } => "passed",
            Verdict::Failed(_) => "failed",
            Verdict::NotApplicable(_) => "not-applicable",
            Verdict::NotReached(_) => "not-reached",
        }
    }
}

/// Why a step failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// What is wrong; no final period.
    pub what: String,
    /// Where: a file, a partition, a path in the image.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Fault {
    pub fn new(what: impl Into<String>) -> Fault {
        Fault {
            what: what.into(),
            place: None,
            help: None,
        }
    }

    pub fn at(mut self, place: impl Into<String>) -> Fault {
        self.place = Some(place.into());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }
}

/// What cannot be read does not hold either.
impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Fault {
        Fault::new(format!("{error:#}"))
    }
}

/// What a step's function returns: `Err` is [`Verdict::Failed`].
pub type Judged = Result<Verdict, Fault>;

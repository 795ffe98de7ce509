//! What is wrong with a seed: where, why, and what to do about it.
//!
//! # Invariants
//! A problem never quotes the value of a secret key; whoever makes one from a value
//! decides that, so the readers quote values only of keys that are public. Quoted text
//! comes from outside and goes to a console: characters that control a terminal or
//! change the writing direction are escaped.
use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// A place in a seed. The line counts from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    pub file: String,
    pub line: Option<usize>,
    pub key: Option<String>,
}

impl Place {
    pub fn file(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: None,
            key: None,
        }
    }

    #[must_use]
    pub fn line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    pub value: T,
    pub place: Place,
}

/// How long something was waited for that did not come, for the end of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    pub seconds: u64,
    /// Whether udev had still to do with the machine's devices at the end.
    pub is_busy: bool,
}

impl fmt::Display for Waited {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "waited {} s", self.seconds)?;
        if self.is_busy {
            out.write_str(", and udev is still processing this machine's devices")?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub severity: Severity,
    pub file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub reason: String,
    /// What to do about it; empty for a warning that asks for nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(out, ": {key}")?;
        }
        write!(out, ": {}", self.reason)?;
        if !self.remedy.is_empty() {
            write!(out, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// More than a person reads; a hostile seed can have a problem in every line.
const MOST: usize = 200;

/// All problems of one run, up to a bound: errors first, each kind in the order found.
///
/// # Invariants
/// Errors and warnings have a bound each, so that warnings never hide an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    errors: Kept,
    warnings: Kept,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Kept {
    problems: Vec<Problem>,
    /// Those beyond the bound.
    dropped: usize,
}

impl Kept {
    fn is_full(&self) -> bool {
        self.problems.len() >= MOST
    }

    fn append(&mut self, mut other: Self) {
        self.problems.append(&mut other.problems);
        self.dropped += other.dropped + self.problems.len().saturating_sub(MOST);
        self.problems.truncate(MOST);
    }

    /// By file and line, and how many are left out.
    fn into_vec(mut self, what: &str) -> Vec<Problem> {
        let key = |problem: &Problem| (problem.file.clone(), problem.line.unwrap_or(usize::MAX));
        self.problems.sort_by_key(key);
        if let (true, Some(last)) = (self.dropped > 0, self.problems.last()) {
            self.problems.push(Problem {
                severity: last.severity,
                file: "seed".to_owned(),
                line: None,
                key: None,
                reason: format!("has {} more {what} that are not listed", self.dropped),
                remedy: "correct these first".to_owned(),
            });
        }
        self.problems
    }
}

impl Problems {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn error(&mut self, place: &Place, reason: impl Into<String>, remedy: impl Into<String>) {
        self.push(Severity::Error, place, reason.into(), remedy.into());
    }

    pub fn warn(&mut self, place: &Place, reason: impl Into<String>, remedy: impl Into<String>) {
        self.push(Severity::Warning, place, reason.into(), remedy.into());
    }

    fn push(&mut self, severity: Severity, place: &Place, reason: String, remedy: String) {
        let kept = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if kept.is_full() {
            kept.dropped += 1;
            return;
        }
        let Place { file, line, key } = place.clone();
        kept.problems.push(Problem {
            severity,
            file: printable(file),
            line,
            key: key.map(printable),
            reason: printable(reason),
            remedy: printable(remedy),
        });
    }

    /// Whether more warnings will only be counted, so that no work need go into their wording.
    pub fn is_full(&self) -> bool {
        self.warnings.is_full()
    }

    pub fn has_errors(&self) -> bool {
        !self.errors.problems.is_empty()
    }

    pub fn append(&mut self, other: Self) {
        self.errors.append(other.errors);
        self.warnings.append(other.warnings);
    }

    /// The same as warnings: what is told of is not acted on.
    #[must_use]
    pub fn into_warnings(mut self) -> Self {
        let mut errors = std::mem::take(&mut self.errors);
        for problem in &mut errors.problems {
            problem.severity = Severity::Warning;
        }
        errors.append(self.warnings);
        self.warnings = errors;
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.errors.problems.iter().chain(&self.warnings.problems)
    }

    /// Errors first; each kind by file and line, as a person goes through them; what has no
    /// line comes last.
    pub fn into_vec(self) -> Vec<Problem> {
        let mut all = self.errors.into_vec("errors");
        all.extend(self.warnings.into_vec("warnings"));
        all
    }
}

/// With escapes such as `\u{1b}` for characters that are not printable, line breaks included.
pub fn printable(text: String) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(steers) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if steers(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{Place, Problems};

    #[test]
    fn nothing_that_steers_a_terminal_is_said() {
        let mut problems = Problems::new();
        let place = Place::file("u\u{1b}").key("a\tb");
        problems.error(&place, "`\r\u{202e}x\u{9b}2J\u{7f}`", "é \n ok");
        let said = problems.iter().next().map(ToString::to_string);
        let expected = r"u\u{1b}: a\tb: `\r\u{202e}x\u{9b}2J\u{7f}`; é \n ok";
        assert_eq!(said.as_deref(), Some(expected));
    }

    #[test]
    fn reads_as_one_sentence() {
        let mut problems = Problems::new();
        problems.error(
            &Place::file("user-data").line(3).key("hostname"),
            "is empty",
            "give one",
        );
        problems.warn(&Place::file("vendor-data"), "is not read", "");
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "user-data:3: hostname: is empty; give one",
                "vendor-data: is not read"
            ]
        );
        assert!(problems.has_errors());
    }

    #[test]
    fn there_is_a_bound_and_no_error_is_lost_in_warnings() {
        let mut problems = Problems::new();
        for line in 0..1000 {
            problems.warn(&Place::file("f").line(line), "odd", "");
        }
        assert!(!problems.has_errors());
        let mut more = Problems::new();
        for line in 0..1000 {
            more.warn(&Place::file("g").line(line), "odd", "");
        }
        more.error(&Place::file("z"), "wrong too", "");
        problems.error(&Place::file("f"), "wrong", "");
        problems.append(more);
        assert!(problems.has_errors());
        let first: Vec<String> = problems.iter().take(3).map(ToString::to_string).collect();
        assert_eq!(first, ["f: wrong", "z: wrong too", "f:0: odd"]);
        let listed = problems.into_vec();
        assert_eq!(listed.len(), 2 + 200 + 1);
        let said = [&listed[0], &listed[1], &listed[202]].map(ToString::to_string);
        assert_eq!(said[..2], ["f: wrong", "z: wrong too"]);
        assert!(said[2].contains("1800 more warnings"), "{said:?}");
    }

    #[test]
    fn errors_have_a_bound_of_their_own() {
        let mut problems = Problems::new();
        for line in 0..201 {
            problems.error(&Place::file("f").line(line), "wrong", "");
        }
        problems.warn(&Place::file("f"), "odd", "");
        let listed = problems.into_vec();
        assert_eq!(listed.len(), 200 + 1 + 1);
        assert_eq!(listed[200].severity, super::Severity::Error);
        assert!(listed[200].reason.contains("1 more errors"));
        assert_eq!(listed[201].reason, "odd");
    }
}

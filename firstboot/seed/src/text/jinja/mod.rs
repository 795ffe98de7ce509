//! The part of jinja that user-data uses: `## template: jinja` with instance data.
//!
//! Spec: <https://cloudinit.readthedocs.io/en/latest/explanation/instancedata.html> and
//! <https://jinja.palletsprojects.com/en/stable/templates/>. Read here: variables with
//! attributes and subscripts, the usual filters and tests, `if`,
//! `for`, `set`, `raw`, comments, whitespace control, arithmetic, comparisons
//! and the string methods that people call. As in cloud-init the line break
//! after a block tag is dropped (`trim_blocks`). `tests/judges` compares with jinja2: a
//! template that both render becomes the same text.
//!
//! Our own evaluator, not a crate, because a template must not outgrow a limit: every
//! string made is charged to one budget.
//!
//! # Invariants
//! - An undefined variable is an error that names it, never empty text.
//! - Steps, output and depth are bounded; errors quote names, never text.
//!
//! Left out: macros, includes, inheritance, and the `do` extension.
mod case;
mod eval;
mod expression;
mod filters;
mod lex;
#[cfg(test)]
mod named;
mod parse;
mod value;

use zeroize::Zeroizing;

pub use value::Value;

/// What is wrong with a template. The line counts from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JinjaError {
    pub line: usize,
    pub reason: String,
    pub remedy: String,
}

impl JinjaError {
    fn new(line: usize, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

type Result<T> = std::result::Result<T, JinjaError>;

/// Renders a template with the variables of `data`, which is a mapping.
pub fn render(text: &str, data: &Value) -> Result<Zeroizing<String>> {
    let text = with_line_feeds(text);
    let pieces = lex::pieces(&text)?;
    let nodes = parse::parse(pieces)?;
    eval::render(&nodes, data)
}

/// Any kind of line break becomes a line feed.
fn with_line_feeds(text: &str) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::with_capacity(text.len()));
    for (index, piece) in text.split('\r').enumerate() {
        if index > 0 {
            whole.push('\n');
        }
        let same_break = piece.strip_prefix('\n').filter(|_| index > 0);
        whole.push_str(same_break.unwrap_or(piece));
    }
    whole
}

#[cfg(test)]
mod tests;

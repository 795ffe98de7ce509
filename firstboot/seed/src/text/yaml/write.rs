//! A mapping as YAML text that reads back as written.
//!
//! Every scalar is a JSON string, which YAML reads as it stands
//! ([YAML 1.2, 1.3](https://yaml.org/spec/1.2.2/#13-terminology)): no value is
//! ever taken for a number or a boolean. Text of several lines is a literal
//! block.
use std::fmt::Write as _;

use serde_json::Value;

pub struct Text {
    text: String,
    /// Before each key.
    indent: String,
}

impl Text {
    /// `head` is the line above the mapping.
    pub fn new(head: &str) -> Self {
        Self {
            text: head.to_owned(),
            indent: String::new(),
        }
    }

    pub fn into_string(self) -> String {
        self.text
    }

    pub fn value(&mut self, key: &str, value: &str) {
        let at = &self.indent;
        if !is_block(value) {
            let _ = writeln!(self.text, "{at}{key}: {}", quoted(value));
            return;
        }
        let _ = writeln!(self.text, "{at}{key}: |");
        for line in value.lines() {
            match line {
                "" => self.text.push('\n'),
                line => {
                    let _ = writeln!(self.text, "{at}  {line}");
                }
            }
        }
    }

    pub fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.value(key, value);
        }
    }

    /// YAML of one line, as [`super::Node::to_flow`] gives it.
    pub fn flow(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            let _ = writeln!(self.text, "{}{key}: {value}", self.indent);
        }
    }

    /// Nothing for an empty list, as for all empty values.
    pub fn list(&mut self, key: &str, items: &[String]) {
        self.mapping(key, |text| {
            for item in items {
                let _ = writeln!(text.text, "{}- {}", text.indent, quoted(item));
            }
        });
    }

    pub fn pairs(&mut self, key: &str, pairs: &[(String, String)]) {
        self.mapping(key, |text| {
            for (name, value) in pairs {
                let name = quoted(name);
                let _ = writeln!(text.text, "{}{name}: {}", text.indent, quoted(value));
            }
        });
    }

    /// A key with what `fill` writes below it; not the key alone.
    pub fn mapping(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        let before = self.text.len();
        let _ = writeln!(self.text, "{}{key}:", self.indent);
        let empty = self.text.len();
        self.indent.push_str("  ");
        fill(self);
        self.indent.truncate(self.indent.len() - 2);
        if self.text.len() == empty {
            self.text.truncate(before);
        }
    }
}

/// Whether a literal block holds the text as it stands: whole lines, the first
/// not empty and without a blank before it, nothing that YAML looks into.
fn is_block(text: &str) -> bool {
    let odd = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && !text.contains(odd)
}

/// A scalar.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

//! What a node said of itself, and what it should have said.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// The lines `name=value` of guest.sh.
#[derive(Clone, Debug, Default)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    pub fn read(text: &str) -> Facts {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        Facts(
            lines
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// Nothing if it was not told.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The same, and it is told no more.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// The lines once more, by name.
    pub fn write(&self, path: &Path) -> Result<()> {
        let lines = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"));
        fs::write(path, lines.collect::<String>())
            .with_context(|| format!("writing {}", path.display()))
    }

    pub fn is_whole(&self) -> bool {
        self.0.contains_key("end")
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A field of the report of first boot.
    pub fn report(&self, field: &str) -> String {
        let report: Value = serde_json::from_str(self.get("first-boot")).unwrap_or_default();
        report[field].as_str().unwrap_or_default().to_owned()
    }
}

/// Everything that is not as it should be.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<String>);

impl Findings {
    pub fn add(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    /// `what` is what the value is of, for a reader.
    pub fn expect(&mut self, what: &str, value: &str, expected: &str) {
        if value != expected {
            self.add(format!("{what} is `{value}`, not `{expected}`"));
        }
    }

    pub fn expect_part(&mut self, what: &str, value: &str, part: &str) {
        if !value.contains(part) {
            self.add(format!("`{part}` is not in {what}: {value}"));
        }
    }
}

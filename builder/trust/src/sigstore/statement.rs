//! In-toto statements, once their signature holds.

use serde_json::Value;

/// A signed statement.
pub(crate) struct Statement(Value);

impl Statement {
    pub fn read(payload: &[u8]) -> Result<Statement, String> {
        serde_json::from_slice(payload)
            .map(Statement)
            .map_err(|error| format!("the signed statement cannot be read: {error}"))
    }

    pub fn predicate_type(&self) -> &str {
        self.text("/predicateType").unwrap_or_default()
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_str()
    }

    /// The list at a JSON pointer.
    pub fn list(&self, pointer: &str) -> &[Value] {
        match self.0.pointer(pointer).and_then(Value::as_array) {
            Some(list) => list,
            None => &[],
        }
    }
}

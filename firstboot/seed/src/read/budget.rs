//! One bound for all that a seed becomes once it is decoded.
//!
//! A seed file has a bound of its own, but what is in it may grow: gzip, base64, parts in
//! parts, templates, YAML aliases, and the encodings of `write_files`. All of them take from
//! the same budget, so no form adds to what the others may have.

/// Bytes of all forms of a seed together, decoded.
pub const MAX_BYTES: usize = 16 << 20;

/// YAML values of all cloud-configs of a seed together: small ones take far more memory
/// than their text.
const MAX_NODES: usize = 250_000;

pub struct Budget {
    bytes: usize,
    nodes: usize,
    said: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: MAX_BYTES,
            nodes: MAX_NODES,
            said: false,
        }
    }
}

impl Budget {
    /// Bytes that may still be decoded.
    pub fn left(&self) -> usize {
        self.bytes
    }

    /// Takes decoded bytes; `false` if there are not that many left, and from then on.
    pub fn take(&mut self, bytes: usize) -> bool {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or_default();
        left.is_some()
    }

    /// Takes the values of a YAML document.
    pub fn take_nodes(&mut self, nodes: usize) -> bool {
        let left = self.nodes.checked_sub(nodes);
        self.nodes = left.unwrap_or_default();
        left.is_some()
    }

    /// Whether this is the first time that too much is to be reported: all that follows is
    /// too much as well.
    pub fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.said, true)
    }
}

/// What to do about a seed that grows too large.
pub const REMEDY: &str = "a seed may have 16 MiB in all, decoded: give it fewer or smaller files";

#[cfg(test)]
mod tests {
    use super::{Budget, MAX_BYTES};

    #[test]
    fn what_is_spent_is_spent() {
        let mut budget = Budget::default();
        assert!(budget.take(MAX_BYTES - 1) && budget.take(1));
        assert!(!budget.take(1) && !budget.take(1));
        assert!(budget.tell() && !budget.tell());
        let mut budget = Budget::default();
        assert!(!budget.take(usize::MAX) && budget.left() == 0);
    }
}

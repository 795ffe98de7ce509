//! Keys: what stands for everything that something is made from.
//!
//! Whatever is kept is found again by its key, so two different inputs must never have one
//! key. Each field is hashed as `<length of its kind>:<kind><length of its value>:<value>`:
//! no value can be taken for the end of another, or for another kind.

use crate::digest::{Digest, Hasher};

/// A key under way.
pub struct KeyWriter {
    hasher: Hasher,
}

impl KeyWriter {
    /// `what` is the name of what is made, with the version of how it is made.
    pub fn new(what: &str) -> KeyWriter {
        let mut key = KeyWriter {
            hasher: Hasher::new(&[]),
        };
        key.add("what", what.as_bytes());
        key
    }

    /// `kind` is the name of the field in the key.
    pub fn add(&mut self, kind: &str, value: impl AsRef<[u8]>) {
        for part in [kind.as_bytes(), value.as_ref()] {
            self.hasher.update(format!("{}:", part.len()).as_bytes());
            self.hasher.update(part);
        }
    }

    pub fn add_number(&mut self, kind: &str, value: u64) {
        self.add(kind, value.to_string());
    }

    pub fn finish(self) -> Digest {
        self.hasher.finish().sha256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(what: &str, fields: &[(&str, &str)]) -> Digest {
        let mut key = KeyWriter::new(what);
        for (kind, value) in fields {
            key.add(kind, value);
        }
        key.finish()
    }

    #[test]
    fn no_two_lists_of_fields_have_one_key() {
        let lists: &[(&str, &[(&str, &str)])] = &[
            ("x", &[]),
            ("x", &[("", "")]),
            ("x", &[("a", "")]),
            ("x", &[("", "a")]),
            ("x", &[("a", "b")]),
            ("x", &[("ab", "")]),
            ("x", &[("a", "b"), ("", "")]),
            ("x", &[("a", "b"), ("a", "b")]),
            ("x", &[("a", "b1:a1:b")]),
            ("x", &[("a", "1:b")]),
            ("x1", &[("a", "b")]),
            ("x1:a1:b", &[]),
        ];
        for (number, (what, fields)) in lists.iter().enumerate() {
            for (other, more) in &lists[number + 1..] {
                assert_ne!(key(what, fields), key(other, more), "{fields:?} {more:?}");
            }
        }
        assert_eq!(key("x", &[("a", "b")]), key("x", &[("a", "b")]));
    }
}

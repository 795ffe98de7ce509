//! What is kept of an instance for the templates of later images: no secret is in it, yet only
//! root reads it.
//!
//! An update may bring other templates, and the seed may be gone by then. So first boot keeps
//! the values of placeholders, and what it has rendered: a file that is still as it was
//! written is rendered again, and one that the administrator has changed is not.
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::stamp::STAMP_VERSION;

/// Mode 0600, written before the stamp.
pub const RENDERED_PATH: &str = "/var/lib/nodeimg/rendered.json";

/// As the stamp, it is read by programs of other versions. It is JSON's own type inside, which
/// the binary has anyway: it must stay small.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    pub instance_id: String,
    /// Values of the placeholders of templates, by name.
    pub values: Texts,
    /// Hexadecimal SHA-256 of what each template was rendered to, by the path of that.
    pub files: Texts,
}

/// Texts by name.
pub type Texts = Map<String, Value>;

impl Rendered {
    /// `None` if it is not of this instance, or damaged.
    pub fn read(bytes: &[u8], instance_id: &str) -> Option<Self> {
        let mut all: Value = serde_json::from_slice(bytes).ok()?;
        if all.get("instance_id")?.as_str()? != instance_id {
            return None;
        }
        let mut texts = |key| match all.get_mut(key)?.take() {
            Value::Object(texts) => Some(texts),
            _ => None,
        };
        Some(Self {
            instance_id: instance_id.to_owned(),
            values: texts("values")?,
            files: texts("files")?,
        })
    }

    pub fn to_json(&self) -> Value {
        let mut all = Map::new();
        all.insert("version".to_owned(), STAMP_VERSION.into());
        all.insert("instance_id".to_owned(), self.instance_id.as_str().into());
        all.insert("values".to_owned(), self.values.clone().into());
        all.insert("files".to_owned(), self.files.clone().into());
        Value::Object(all)
    }
}

/// Hexadecimal SHA-256 of all templates of an image, as `(path, text)` in any order.
pub fn digest<'a>(templates: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut sorted: Vec<(&str, &str)> = templates.into_iter().collect();
    sorted.sort_unstable();
    let mut hash = Sha256::new();
    for (path, text) in sorted {
        hash.update(format!("{path}\0{}\0", text.len()));
        hash.update(text);
    }
    hex(&hash.finalize())
}

/// Hexadecimal SHA-256 of a file.
pub fn of_file(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn whatever_changes_a_template_changes_the_digest() {
        let [a, b] = [("/a", "x"), ("/b", "y")];
        let both = digest([a, b]);
        assert_eq!(both, digest([b, a]));
        for other in [vec![a], vec![a, ("/b", "z")], vec![("/c", "x"), b]] {
            assert_ne!(digest(other), both);
        }
    }
}

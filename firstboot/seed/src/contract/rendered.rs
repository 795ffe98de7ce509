//! What is kept of an instance for the templates of later images: no secret is in it, yet only
//! root reads it.
//!
//! An update may bring other templates, and the seed may be gone by then. So first boot keeps
//! the values of placeholders, and what it has rendered: a file that is still as it was
//! written is rendered again, and one that the administrator has changed is not.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::plan::TemplateFile;

/// Mode 0600, written before the stamp.
pub const RENDERED_PATH: &str = "/var/lib/nodeimg/rendered.json";

/// As the stamp, it is read by programs of other versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// [`super::stamp::STAMP_VERSION`]
    #[serde(default)]
    pub version: u32,
    pub instance_id: String,
    /// Values of the placeholders of templates, by name.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Hexadecimal SHA-256 of what each template was rendered to, by the path of that.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

impl Rendered {
    /// `None` if it is not of this instance, or damaged.
    pub fn read(bytes: &[u8], instance_id: &str) -> Option<Self> {
        let read: Self = serde_json::from_slice(bytes).ok()?;
        (read.instance_id == instance_id).then_some(read)
    }
}

/// Hexadecimal SHA-256 of all templates of an image, in any order.
pub fn digest(templates: &[TemplateFile]) -> String {
    let mut sorted: Vec<&TemplateFile> = templates.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    let mut hash = Sha256::new();
    for TemplateFile { path, text } in sorted {
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
    use super::{TemplateFile, digest};

    #[test]
    fn whatever_changes_a_template_changes_the_digest() {
        let one = |path: &str, text: &str| TemplateFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let [a, b] = [one("/a", "x"), one("/b", "y")];
        let both = digest(&[a.clone(), b.clone()]);
        assert_eq!(both, digest(&[b.clone(), a.clone()]));
        for other in [
            vec![a.clone()],
            vec![a, one("/b", "z")],
            vec![one("/c", "x"), b],
        ] {
            assert_ne!(digest(&other), both);
        }
    }
}

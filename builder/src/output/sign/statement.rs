//! The statement of provenance names the outputs by digest: they are others once they are
//! signed.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::output::manifest::{self, Output};

pub const NAME: &str = "provenance.json";
/// The statement with its signature.
pub const SIGNED: &str = "provenance.intoto.jsonl";

/// The statement `text` with the digests of `changed` instead of those that `sums` has, and
/// those of files that are new among its subjects, in the same layout.
pub fn updated(
    text: &[u8],
    sums: &BTreeMap<String, String>,
    changed: &[Output],
) -> Result<Vec<u8>> {
    let context = || format!("reading {NAME}");
    let mut statement: Value = serde_json::from_slice(text).with_context(context)?;
    let mut digests = BTreeMap::new();
    let mut fresh = Vec::new();
    for output in changed {
        match sums.get(&output.file) {
            Some(old) => {
                digests.insert(old.as_str(), output.sha256.hex());
            }
            None => fresh.push(output),
        }
    }
    for place in ["/subject", "/predicate/runDetails/byproducts"] {
        let listed = statement.pointer_mut(place).and_then(Value::as_array_mut);
        for entry in listed.into_iter().flatten() {
            let digest = entry.pointer_mut("/digest/sha256");
            if let Some(digest) = digest
                && let Some(new) = digest.as_str().and_then(|old| digests.get(old))
            {
                *digest = Value::from(*new);
            }
        }
    }
    let subjects = statement
        .pointer_mut("/subject")
        .and_then(Value::as_array_mut);
    let subjects = subjects.with_context(context)?;
    for output in fresh {
        let subject = json!({ "name": output.file, "digest": { "sha256": output.sha256.hex() } });
        subjects.push(subject);
    }
    // As it was: on one line, or on many.
    if text.starts_with(b"{\n") {
        return manifest::json_text(statement).map(String::into_bytes);
    }
    let mut line = manifest::sorted(statement).to_string();
    if text.ends_with(b"\n") {
        line.push('\n');
    }
    Ok(line.into_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn digests_follow_the_files() {
        let before = Output::of("disk.raw", b"unsigned");
        let after = Output::of("disk.raw", b"signed");
        let other = Output::of("root.squashfs", b"root");
        let text = json!({
            "subject": [
                { "name": "disk.raw", "digest": { "sha256": before.sha256.hex() } },
                { "name": "root.squashfs", "digest": { "sha256": other.sha256.hex() } },
            ],
            "predicate": { "runDetails": { "byproducts": [] } },
        })
        .to_string();
        let sums = [(before.file.clone(), before.sha256.hex().to_owned())].into();
        let fresh = Output::of("db.der", b"certificate");
        let new = updated(text.as_bytes(), &sums, &[after.clone(), fresh.clone()]).unwrap();
        let new: Value = serde_json::from_slice(&new).unwrap();
        let digests: Vec<_> = new["subject"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["digest"]["sha256"].as_str().unwrap())
            .collect();
        assert_eq!(
            digests,
            [after.sha256.hex(), other.sha256.hex(), fresh.sha256.hex()]
        );
        assert!(!new.to_string().contains('\n'));
        assert!(updated(b"{}", &sums, &[]).is_err());
    }
}

//! The statement of provenance and the bills of materials name the outputs by digest: they are
//! others once they are signed.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::output::manifest::{self, Output};

pub const NAME: &str = "provenance.json";
/// The statement with its signature.
pub const SIGNED: &str = "provenance.intoto.jsonl";
/// How the names of bills of materials end.
const BILLS: [&str; 2] = [".spdx.json", ".cdx.json"];

/// Whether a file is a bill of materials.
pub fn is_bill(name: &str) -> bool {
    BILLS.iter().any(|ending| name.ends_with(ending))
}

/// SHA-256 in hex: of what was there, and of what is.
pub type Pair = (String, String);

/// The text with the new digests in the place of the old: they are as long.
pub fn replaced(text: &[u8], pairs: &[Pair]) -> Result<String> {
    let mut text = String::from_utf8(text.to_vec()).context("it is not text")?;
    for (old, new) in pairs {
        text = text.replace(old, new);
    }
    Ok(text)
}

/// The statement with the new digests, and with files that are new among its subjects, and
/// without those that are gone.
pub fn updated(
    text: &[u8],
    pairs: &[Pair],
    fresh: &[&Output],
    gone: &BTreeSet<String>,
) -> Result<Vec<u8>> {
    let context = || format!("reading {NAME}");
    let text = replaced(text, pairs).with_context(context)?;
    if fresh.is_empty() && gone.is_empty() {
        return Ok(text.into_bytes());
    }
    let mut statement: Value = serde_json::from_str(&text).with_context(context)?;
    let subjects = statement.get_mut("subject").and_then(Value::as_array_mut);
    let subjects = subjects.with_context(context)?;
    subjects.retain(|old| old["name"].as_str().is_none_or(|name| !gone.contains(name)));
    for output in fresh {
        let digest = json!({ "sha256": output.sha256.hex() });
        subjects.push(json!({ "name": output.file, "digest": digest }));
    }
    subjects.sort_by_key(|subject| subject["name"].as_str().map(str::to_owned));
    manifest::json_text(statement).map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn digests_follow_the_files() {
        let [before, after] = [b"unsigned", b"signed  "].map(|bytes| Output::of("disk.raw", bytes));
        let other = Output::of("root.squashfs", b"root");
        let subject = |output: &Output| json!({ "name": output.file, "digest": { "sha256": output.sha256.hex() } });
        let text = json!({ "subject": [subject(&before), subject(&other)] }).to_string();
        let none = BTreeSet::new();
        let pair = (
            before.sha256.hex().to_owned(),
            after.sha256.hex().to_owned(),
        );
        let new = updated(text.as_bytes(), std::slice::from_ref(&pair), &[], &none).unwrap();
        let want = json!({ "subject": [subject(&after), subject(&other)] }).to_string();
        assert_eq!(new, want.as_bytes());
        let fresh = Output::of("db.der", b"certificate");
        let new = updated(text.as_bytes(), &[pair], &[&fresh], &none).unwrap();
        let new: Value = serde_json::from_slice(&new).unwrap();
        let want = json!([subject(&fresh), subject(&after), subject(&other)]);
        assert_eq!(new["subject"], want);
        assert!(updated(b"{}", &[], &[&fresh], &none).is_err());
        let gone = BTreeSet::from(["disk.raw".to_owned()]);
        let new = updated(text.as_bytes(), &[], &[], &gone).unwrap();
        let new: Value = serde_json::from_slice(&new).unwrap();
        assert_eq!(new["subject"], json!([subject(&other)]));
        assert!(is_bill("sbom.spdx.json") && !is_bill(NAME));
    }
}

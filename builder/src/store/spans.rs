//! The digests of the files in an unpacked archive, once a build has hashed them: the next one
//! hashes the archive as it opens it, as always, and knows its files by that.
//!
//! Kept as the archive's other derived files are: text, a line `OFFSET LENGTH HEX` a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use nodeimg_values::digest::{Algorithm, Digest};

use super::{Store, VerifiedBlob};

const KEPT: &str = "span-digests-1";

/// SHA-256 by place, as offset and length in bytes.
pub type Spans = BTreeMap<(u64, u64), Digest>;

impl VerifiedBlob {
    /// That of the `len` bytes at `offset`, if an earlier build has hashed them.
    pub fn digest_of(&self, offset: u64, len: u64) -> Option<&Digest> {
        self.spans.as_ref()?.get(&(offset, len))
    }
}

impl Store {
    /// What is known of the parts of `blob`, which this store has derived.
    pub(super) fn with_spans(&self, blob: VerifiedBlob) -> Result<VerifiedBlob> {
        let kept = self.kept(KEPT, &blob.sha256)?;
        let spans = kept.and_then(|text| read(&text)).unwrap_or_default();
        Ok(VerifiedBlob {
            spans: Some(spans),
            ..blob
        })
    }

    /// Keeps what was hashed of a derived blob, unless it was known before. The caller has
    /// made sure that its bytes are still those that were verified.
    pub fn keep_spans(&self, blob: &VerifiedBlob, found: Spans) -> Result<()> {
        let Some(known) = &blob.spans else {
            return Ok(());
        };
        if found.keys().all(|place| known.contains_key(place)) {
            return Ok(());
        }
        let mut all = known.clone();
        all.extend(found);
        let mut text = String::new();
        for ((offset, len), digest) in &all {
            writeln!(text, "{offset} {len} {}", digest.hex())?;
        }
        self.keep(KEPT, &blob.sha256, text.as_bytes())
    }
}

/// `None` if a line is not one of ours.
fn read(text: &[u8]) -> Option<Spans> {
    let lines = str::from_utf8(text).ok()?.lines();
    let line = |line: &str| {
        let (offset, rest) = line.split_once(' ')?;
        let (len, hex) = rest.split_once(' ')?;
        let digest = Digest::new(Algorithm::Sha256, hex).ok()?;
        Some(((offset.parse().ok()?, len.parse().ok()?), digest))
    };
    lines.map(line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_kept_of_parts_is_read_back_and_nothing_else_is_believed() {
        let digest = Digest::sha256(b"x");
        let spans: Spans = [((512, 1), digest.clone()), ((1024, 70), digest.clone())].into();
        let hex = digest.hex();
        let text = format!("512 1 {hex}\n1024 70 {hex}\n");
        assert_eq!(read(text.as_bytes()).unwrap(), spans);
        assert_eq!(read(b"").unwrap(), Spans::new());
        for bad in ["512 1", "x 1 00", "512 1 00", "512  1"] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(read(&[0xff]), None);
    }
}

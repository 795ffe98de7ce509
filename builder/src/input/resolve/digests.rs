//! Digests that the user brings, instead of what publishers say.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::{Algorithm, Digest};
use nodeimg_values::regular;

/// `HEX  URL` a line, `#` begins a comment.
pub fn read(path: &Path) -> Result<BTreeMap<String, Digest>> {
    let text = regular::read_text(path).with_context(|| format!("reading {}", path.display()))?;
    let mut known = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = || format!("{}:{}", path.display(), index + 1);
        let (Some((hex, url)), true) = (line.split_once(char::is_whitespace), line.contains("://"))
        else {
            bail!("{}: expected `HEX  URL`", place());
        };
        let Some(algorithm) = Algorithm::by_hex_len(hex.len()) else {
            bail!("{}: `{hex}` is neither a SHA-256 nor a SHA-512", place());
        };
        let digest = Digest::new(algorithm, hex).with_context(place)?;
        if known
            .insert(url.trim().to_owned(), digest.clone())
            .is_some_and(|before| before != digest)
        {
            bail!("{}: this URL has another digest further up", place());
        }
    }
    Ok(known)
}

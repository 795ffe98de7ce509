//! Publishers' checksum files, in the four shapes that they come in.
//!
//! ```text
//! HEX                       without a newline (dl.k8s.io) or with one (crictl)
//! HEX  NAME | HEX *NAME     as `sha256sum` writes (containerd, CNI, SHA256SUMS);
//!                           NAME may be a relative path
//! -----BEGIN PGP SIGNED MESSAGE-----      such lines, clear-signed (runc):
//! Hash: SHA512                            RFC 9580 section 7
//! ```
//!
//! HEX is SHA-256 or SHA-512 by its length. A signature is *not* verified here:
//! its frame is only taken off, so that `Hash:` is never taken for a digest.
//! What such a file proves is that publisher and lock agree, not who wrote it.

use anyhow::{Result, bail};
use nodeimg_values::digest::{Algorithm, Digest};

const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// The digest that `text` states for `file_name`, `None` if it is a list
/// without that name. A lone digest without a name is for any file.
///
/// A listed path fits if it is `file_name` or ends with `/` and `file_name`.
pub fn find(text: &str, file_name: &str) -> Result<Option<Digest>> {
    let lines = entries(text)?;
    if let [(digest, None)] = lines.as_slice() {
        return Ok(Some(digest.clone()));
    }
    let mut found: Option<Digest> = None;
    for (digest, name) in lines {
        let Some(name) = name else {
            bail!("a digest without a file name is followed or preceded by other lines");
        };
        if !fits(name, file_name) {
            continue;
        }
        match &found {
            Some(first) if *first != digest => {
                bail!("it states two digests for {file_name}: {first} and {digest}")
            }
            _ => found = Some(digest),
        }
    }
    Ok(found)
}

fn fits(listed: &str, file_name: &str) -> bool {
    let before = listed.strip_suffix(file_name);
    before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Digest and name, line by line; at least one.
fn entries(text: &str) -> Result<Vec<(Digest, Option<&str>)>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        bail!("the checksum file is empty");
    }
    if text.starts_with('<') {
        bail!("this is a web page, not a checksum file");
    }
    let mut entries = Vec::new();
    for line in signed_lines(text)? {
        let line = line.trim_end();
        if !line.is_empty() {
            entries.push(entry(line)?);
        }
    }
    if entries.is_empty() {
        bail!("the checksum file states no digest");
    }
    Ok(entries)
}

/// The lines inside of a clear signature; all lines if there is none.
fn signed_lines(text: &str) -> Result<Vec<&str>> {
    let mut lines = text.lines();
    if !text.starts_with(SIGNED) {
        return Ok(lines.collect());
    }
    // The armor headers end with an empty line.
    lines.find(|line| line.trim().is_empty());
    let mut inside = Vec::new();
    for line in lines {
        if line.trim_end() == SIGNATURE {
            return Ok(inside);
        }
        inside.push(line.strip_prefix("- ").unwrap_or(line));
    }
    bail!("the signed checksum file is cut short: it has no signature block")
}

fn entry(line: &str) -> Result<(Digest, Option<&str>)> {
    let (hex, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let digest = Algorithm::by_hex_len(hex.len()).and_then(|a| Digest::new(a, hex).ok());
    let Some(digest) = digest else {
        let start: String = line.chars().take(60).collect();
        bail!(
            "{start:?} is not a line of a checksum file: expected a SHA-256 or SHA-512 in hex, \
             and a file name"
        );
    };
    let name = rest.trim_start();
    let name = name.strip_prefix('*').unwrap_or(name);
    Ok((digest, (!name.is_empty()).then_some(name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn signed(body: &str) -> String {
        format!(
            "{SIGNED}\nHash: SHA512\nHash: {B}\n\n{body}\n{SIGNATURE}\n\niQIz\n=abcd\n\
             -----END PGP SIGNATURE-----\n"
        )
    }

    #[test]
    fn every_shape() {
        let table = [
            (A.to_owned(), Some(A)),
            (format!("{A}\n"), Some(A)),
            (format!("{A}\r\n"), Some(A)),
            (A.to_uppercase(), Some(A)),
            (format!("{A}  runc.arm64\n"), Some(A)),
            (format!("{A} *runc.arm64"), Some(A)),
            (format!("{B}  runc.amd64\n{A}  runc.arm64\n"), Some(A)),
            (
                format!("{B}  x/runc.arm64.asc\n{A}  bin/linux/runc.arm64"),
                Some(A),
            ),
            (format!("{A}  ./runc.arm64\n{A}  runc.arm64"), Some(A)),
            (format!("{B}  runc.amd64\n"), None),
            (format!("{B}  xrunc.arm64\n"), None),
            (
                signed(&format!("{B}  runc.amd64\n{A}  runc.arm64")),
                Some(A),
            ),
            (signed(&format!("- {A}  runc.arm64")), Some(A)),
            (signed(&format!("{B}  runc.amd64")), None),
        ];
        for (text, wanted) in table {
            let found = find(&text, "runc.arm64").unwrap();
            assert_eq!(found.as_ref().map(Digest::hex), wanted, "{text}");
        }
        let long = "c".repeat(128);
        let found = find(&long, "any").unwrap().unwrap();
        assert_eq!(found.to_string(), format!("sha512:{long}"));
    }

    #[test]
    fn what_is_no_checksum_file() {
        let table = [
            (String::new(), "empty"),
            (" \n".to_owned(), "empty"),
            ("<!DOCTYPE html><html>".to_owned(), "web page"),
            ("Not Found".to_owned(), "is not a line"),
            (
                "d41d8cd98f00b204e9800998ecf8427e  x".to_owned(),
                "is not a line",
            ),
            (format!("{}g", &A[1..]), "is not a line"),
            (format!("{A}  x\n{B}  x\n"), "two digests for x"),
            (format!("{A}  a/x\n{B}  b/x\n"), "two digests for x"),
            (format!("{A}\n{B}\n"), "without a file name"),
            (format!("{A}  y\n{B}\n"), "without a file name"),
            (format!("{SIGNED}\nHash: SHA512\n\n{A}  x\n"), "cut short"),
            (signed(""), "states no digest"),
        ];
        for (text, wanted) in table {
            let error = find(&text, "x").unwrap_err().to_string();
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
    }
}

//! Keys and tokens, which every node of an image would share, and everybody who has it.
//!
//! Looked for in the whole of a file, whatever stands before them: after a certificate, in
//! a kubeconfig, packed as base64 in a Secret. A public certificate is not a secret; neither
//! is a marker without a key, as in a script that looks for one, or `...` in an example.
//! Programs hold the markers themselves, so ELF files and archives are not searched, and
//! what a Debian package has for its own tests is known to everybody.
//!
//! # Invariants
//! Messages never show what was found.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use memchr::memmem::{Finder, find};

use super::{Findings, is_given};
use crate::tree::{ImagePath, Kind, Node};

/// More of one file is not searched: no key is that long.
const MOST: u64 = 16 << 20;
/// Of an artifact's: its own files are text up to this.
const MOST_OF_ARTIFACT: u64 = 1 << 20;

/// `-----BEGIN` and one of these labels, as base64.
const PACKED: [&[u8]; 4] = [
    b"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS",
    b"LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRV",
    b"LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFW",
    b"LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZ",
];

static MARKER: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"PRIVATE KEY"));

pub fn judge(path: &ImagePath, node: &Node, found: &mut Findings) -> Result<()> {
    let Kind::File(content) = &node.kind else {
        return Ok(());
    };
    let is_given = is_given(&node.origin);
    if !is_given && content.len() > MOST_OF_ARTIFACT {
        return Ok(());
    }
    let read = || format!("reading {path}");
    let head = content.head(512).with_context(read)?;
    if head.starts_with(b"\x7fELF") || (!is_given && head.contains(&0)) {
        return Ok(());
    }
    let bytes = content.head(MOST).with_context(read)?;
    if let Some((what, place)) = secret(&bytes, is_given) {
        let line = bytes[..place].iter().filter(|byte| **byte == b'\n').count() + 1;
        found.problems.push(format!(
            "keys: `{path}` (from {}) holds {what} at line {line}, which every node of the image \
             would share: leave it out, and bring it with each node's seed",
            node.origin
        ));
    }
    Ok(())
}

/// What of a secret is in `bytes`, and where; with `by_key` also what only its key shows.
fn secret(bytes: &[u8], by_key: bool) -> Option<(&'static str, usize)> {
    if let Some(at) = pem(bytes) {
        return Some(("a private key", at));
    }
    if let Some(at) = PACKED.iter().find_map(|mark| find(bytes, mark)) {
        return Some(("a private key in base64", at));
    }
    let marks: [(&[u8], usize, &str); 2] = [
        (b"AGE-SECRET-KEY-1", 58, "a private key of age"),
        (b"PuTTY-User-Key-File-", 0, "a private key of PuTTY"),
    ];
    for (mark, len, what) in marks {
        if let Some(at) = find(bytes, mark)
            && word(&bytes[at + mark.len()..], is_base64).len() >= len
        {
            return Some((what, at));
        }
    }
    if let Some(at) = web_token(bytes) {
        return Some(("a token (a JWT)", at));
    }
    by_key.then(|| keyed(bytes)).flatten()
}

/// `-----BEGIN ... PRIVATE KEY-----` and at least the start of a key, or the file's end.
fn pem(bytes: &[u8]) -> Option<usize> {
    MARKER.find_iter(bytes).find(|at| {
        let line = bytes[..*at].iter().rposition(|byte| *byte == b'\n');
        let before = &bytes[line.map_or(0, |at| at + 1)..*at];
        let Some(begin) = find(before, b"-----BEGIN ") else {
            return false;
        };
        let label = &before[begin + b"-----BEGIN ".len()..];
        let is_label = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'0'..=b'9');
        let after = &bytes[at + b"PRIVATE KEY".len()..];
        let after = after.strip_prefix(b" BLOCK").unwrap_or(after);
        let Some(body) = after.strip_prefix(b"-----") else {
            return false;
        };
        label.iter().all(is_label) && is_key(body)
    })
}

/// Whether a key follows its first line: real or escaped line ends, headers, base64.
fn is_key(body: &[u8]) -> bool {
    let mut rest = body;
    loop {
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
        rest = &rest[blank.count()..];
        let escaped = [&b"\\n"[..], b"\\r"]
            .iter()
            .find_map(|mark| rest.strip_prefix(*mark));
        match escaped {
            Some(after) => rest = after,
            None => break,
        }
    }
    rest.is_empty() || word(rest, is_base64).len() >= 3
}

/// Three parts of base64url with points between them; the first two begin as JSON does.
fn web_token(bytes: &[u8]) -> Option<usize> {
    let is_url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let starts = memchr::memmem::find_iter(bytes, b"eyJ");
    starts.into_iter().find(|at| {
        let mut rest = &bytes[*at..];
        for (part, least) in [(0, 12), (1, 12), (2, 20)] {
            let text = word(rest, is_url);
            if text.len() < least || (part < 2 && !text.starts_with(b"eyJ")) {
                return false;
            }
            rest = &rest[text.len()..];
            match rest.strip_prefix(b".") {
                Some(after) if part < 2 => rest = after,
                _ if part == 2 => {}
                _ => return false,
            }
        }
        true
    })
}

/// By the key before it, a line each: kubeconfigs, logins of registries, WireGuard.
fn keyed(bytes: &[u8]) -> Option<(&'static str, usize)> {
    let has = |mark: &[u8]| find(bytes, mark).is_some();
    let is_kubeconfig = has(b"users:") && (has(b"kind: Config") || has(b"clusters:"));
    let is_logins = has(b"\"auths\"");
    let is_netdev = has(b"[WireGuard]") || has(b"[Interface]");
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let place = at;
        at += line.len();
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"- ").unwrap_or(line).trim_ascii();
        let value = |key: &[u8]| {
            let rest = line.strip_prefix(key)?.trim_ascii();
            let rest = rest
                .strip_prefix(b":")
                .or_else(|| rest.strip_prefix(b"="))?;
            let rest = rest.trim_ascii();
            let rest = rest
                .strip_prefix(b"\"")
                .or_else(|| rest.strip_prefix(b"'"))
                .unwrap_or(rest);
            Some(
                word(rest, |byte| {
                    is_base64(byte) || matches!(byte, b'.' | b'-' | b'_')
                })
                .len(),
            )
        };
        if value(b"client-key-data").is_some_and(|len| len >= 4) {
            return Some(("a client's private key (`client-key-data`)", place));
        }
        if is_kubeconfig && value(b"token").is_some_and(|len| len >= 4) {
            return Some(("a kubeconfig's token", place));
        }
        if is_kubeconfig && value(b"password").is_some_and(|len| len >= 1) {
            return Some(("a kubeconfig's password", place));
        }
        if is_logins
            && [&b"\"auth\""[..], b"\"identitytoken\""]
                .iter()
                .any(|key| value(key).is_some_and(|len| len >= 4))
        {
            return Some(("a login of a registry", place));
        }
        if is_netdev && value(b"PrivateKey").is_some_and(|len| len == 44) {
            return Some(("a private key of WireGuard", place));
        }
    }
    None
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// The bytes at the beginning that are of a kind.
fn word(bytes: &[u8], is_of: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| !is_of(*byte));
    &bytes[..end.unwrap_or(bytes.len())]
}

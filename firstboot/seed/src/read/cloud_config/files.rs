//! `write_files`.
//!
//! Spec: <https://cloudinit.readthedocs.io/en/latest/reference/modules.html#write-files>.
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::not_read;
use crate::read::budget::{self, Budget};
use crate::read::user_data::{Refused, gunzip};
use crate::text::field::Field;
use crate::text::problem::{Located, Place, Problems};
use crate::text::secret::SecretBytes;
use crate::text::yaml::{Kind, Scalar};

#[derive(Clone)]
pub struct WriteFile {
    pub path: Located<String>,
    /// Decoded.
    pub content: SecretBytes,
    /// Where the content begins, if its lines are lines of the seed.
    pub first_line: Option<usize>,
    /// Append to the file instead of replacing it.
    pub append: bool,
    /// `user:group` or `user`; root if absent.
    pub owner: Option<Located<String>>,
    pub mode: u32,
}

const KEYS: [&str; 8] = [
    "append",
    "content",
    "defer",
    "encoding",
    "owner",
    "path",
    "permissions",
    "source",
];

const DEFAULT_MODE: u32 = 0o644;

/// One file, unpacked.
const MAX_FILE: usize = 8 << 20;

pub(super) fn read(
    field: &Field<'_>,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Vec<WriteFile> {
    if !matches!(field.node.kind, Kind::Sequence(_)) {
        field.expected("a list of files", problems);
        return Vec::new();
    }
    let mut now = Vec::new();
    let mut later = Vec::new();
    for item in field.items() {
        let Some((file, deferred)) = file(&item, budget, problems) else {
            continue;
        };
        // In cloud-init, deferred files come after packages and users; only their order matters
        // here.
        if deferred { &mut later } else { &mut now }.push(file);
    }
    now.append(&mut later);
    warn_of_replaced(&now, problems);
    now
}

/// A later file of the same path takes the place of an earlier one.
fn warn_of_replaced(files: &[WriteFile], problems: &mut Problems) {
    let mut last: BTreeMap<&str, &WriteFile> = BTreeMap::new();
    for file in files {
        let old = last.insert(&file.path.value, file);
        if let Some(old) = old.filter(|old| !file.append && !is_same(old, file)) {
            let reason = "has no effect: a later item writes the same file";
            problems.warn(
                &old.path.place,
                reason,
                "add `append: true` to the later one, or remove one",
            );
        }
    }
}

fn is_same(left: &WriteFile, right: &WriteFile) -> bool {
    let owner = |file: &WriteFile| file.owner.as_ref().map(|owner| owner.value.clone());
    left.content.expose() == right.content.expose()
        && left.mode == right.mode
        && owner(left) == owner(right)
}

fn file(
    item: &Field<'_>,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<(WriteFile, bool)> {
    let (mut path, mut owner, mut content, mut encoding) = (None, None, None, None);
    let (mut append, mut defer, mut mode) = (false, false, Some(DEFAULT_MODE));
    let mut first_line = None;
    let (mut asked, mut chosen, mut good) = (false, false, true);
    for member in item.members(problems)? {
        let field = &member.field;
        match member.name {
            "path" => {
                asked = true;
                path = field.said(problems);
            }
            "content" => {
                content = raw(field, problems);
                good &= content.is_some();
                let is_literal = field.node.scalar().is_some_and(|scalar| scalar.literal);
                first_line = is_literal.then_some(field.node.line);
            }
            "encoding" => {
                encoding = field.text(problems);
                good &= encoding.is_some();
            }
            "owner" => owner = field.said(problems),
            "permissions" => {
                chosen = true;
                mode = permissions(field, problems);
            }
            "append" => append = field.boolean(problems).unwrap_or(false),
            "defer" => defer = field.boolean(problems).unwrap_or(false),
            "source" => {
                let reason = "asks for remote content, and a node downloads no files";
                problems.error(&field.place, reason, "put it into `content`");
            }
            name => not_read(field, name, &KEYS, problems),
        }
    }
    if path.is_none() && !asked {
        problems.error(&item.place, "is a file without `path`", "add `path: /...`");
    }
    let bytes = content.unwrap_or_default();
    let content = good
        .then(|| decoded(item, bytes, encoding.as_ref(), budget, problems))
        .flatten();
    let file = WriteFile {
        path: path?,
        content: content?,
        first_line: first_line.filter(|_| encoding.is_none()),
        append,
        owner,
        mode: mode?,
    };
    if !chosen {
        warn_of_private_key(&file, problems);
    }
    Some((file, defer))
}

/// Of one that has the default mode, by which everybody on the node may read it: perhaps
/// `permissions` is misspelt.
fn warn_of_private_key(file: &WriteFile, problems: &mut Problems) {
    const LABEL: &[u8] = b"PRIVATE KEY-----";
    let mut places = file.content.expose().windows(LABEL.len());
    if places.any(|bytes| bytes == LABEL) {
        let reason = "has a private key and no `permissions`: others may read it, by mode 0644";
        problems.warn(&file.path.place, reason, "add `permissions: '0600'`");
    }
}

/// The value as bytes: text as it is, `!!binary` decoded.
fn raw(field: &Field<'_>, problems: &mut Problems) -> Option<SecretBytes> {
    let Kind::Scalar(scalar) = &field.node.kind else {
        field.expected("text", problems);
        return None;
    };
    match scalar.tag.as_deref() {
        Some("!!binary") => {
            let decoded = base64(scalar.text.expose().as_bytes());
            if decoded.is_none() {
                problems.error(
                    &field.place,
                    "is `!!binary` but not valid base64",
                    "encode it again",
                );
            }
            decoded
        }
        None if scalar.is_null() => Some(SecretBytes::default()),
        None if field.is_misread(problems) => None,
        None if scalar.boolean().is_some() => {
            let reason = "is a boolean in YAML, not text";
            problems.error(&field.place, reason, "put the value in quotes");
            None
        }
        None => Some(scalar.text.clone().into()),
        // The reader for text reports tags.
        Some(_) => field.secret(problems).map(|text| text.value.into()),
    }
}

fn base64(bytes: &[u8]) -> Option<SecretBytes> {
    // Block scalars end in a line break, and long lines are often broken.
    let plain: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let plain = SecretBytes::new(plain);
    STANDARD.decode(plain.expose()).ok().map(SecretBytes::new)
}

fn decoded(
    item: &Field<'_>,
    bytes: SecretBytes,
    encoding: Option<&Located<String>>,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<SecretBytes> {
    let Some(encoding) = encoding else {
        return Some(bytes);
    };
    let (from_base64, packed) = match encoding.value.to_ascii_lowercase().as_str() {
        "text/plain" | "plain" => (false, false),
        "b64" | "base64" => (true, false),
        "gz" | "gzip" => (false, true),
        "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64" => (true, true),
        _ => {
            let reason = "is not a supported encoding";
            let remedy = "write `b64`, `gzip` or `gz+b64`";
            problems.error(&encoding.place, reason, remedy);
            return None;
        }
    };
    let place = item.place.clone().key("write_files.content");
    let bytes = if from_base64 {
        let decoded = base64(bytes.expose());
        if decoded.is_none() {
            problems.error(
                &place,
                "is not valid base64, which `encoding` asks for",
                "encode it again",
            );
        }
        decoded?
    } else {
        bytes
    };
    let bytes = match packed {
        true => unpacked(&bytes, &place, budget, problems)?,
        false => bytes,
    };
    if budget.take(bytes.expose().len()) {
        return Some(bytes);
    }
    if budget.tell() {
        let reason = "brings what this seed holds to more than 16 MiB";
        problems.error(&place, reason, budget::REMEDY);
    }
    None
}

/// No more than what the budget has left.
fn unpacked(
    bytes: &SecretBytes,
    place: &Place,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<SecretBytes> {
    let limit = MAX_FILE.min(budget.left());
    match gunzip(bytes.expose(), limit) {
        Ok(mut unpacked) => Some(SecretBytes::new(std::mem::take(&mut *unpacked))),
        Err(refused @ Refused::TooLarge(_)) if limit < MAX_FILE => {
            if budget.tell() {
                problems.error(place, refused, budget::REMEDY);
            }
            None
        }
        Err(refused) => {
            problems.error(place, refused, "compress it again");
            None
        }
    }
}

/// `'0640'`, `"0o640"`, and by YAML 1.1 the bare `0640`: all the same mode.
fn permissions(field: &Field<'_>, problems: &mut Problems) -> Option<u32> {
    let scalar = match &field.node.kind {
        Kind::Scalar(scalar) if scalar.is_null() => return Some(DEFAULT_MODE),
        Kind::Scalar(scalar) => scalar,
        _ => {
            field.expected("a mode such as `'0644'`", problems);
            return None;
        }
    };
    let mode = mode_of(scalar);
    if mode.is_none() {
        let decimal = scalar.plain
            && scalar
                .text
                .expose()
                .bytes()
                .all(|byte| byte.is_ascii_digit());
        let reason = if decimal {
            "is a decimal number in YAML, so the mode is not what it looks like"
        } else {
            "is not a file mode"
        };
        problems.error(
            &field.place,
            reason,
            "write four octal digits in quotes: `'0644'`",
        );
    }
    mode
}

fn mode_of(scalar: &Scalar) -> Option<u32> {
    let text = scalar.text.expose().trim();
    let octal = text.strip_prefix("0o").unwrap_or(text);
    // A bare number is octal to YAML 1.1 by its leading zero only.
    if scalar.plain && !text.starts_with('0') {
        return None;
    }
    let digits = !octal.is_empty() && octal.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(octal, 8).ok().filter(|_| digits)?;
    // cloud-init takes 0 for no mode at all.
    (1..=0o7777).contains(&mode).then_some(mode)
}

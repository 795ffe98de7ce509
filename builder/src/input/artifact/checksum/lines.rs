//! The lines of a checksum file, whatever their shape.

use anyhow::{Result, bail};
use nodeimg_values::digest::{Algorithm, Digest};

pub const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
pub const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// Names of algorithms, without `-`, `_` and `/`, and what each is; `None` is one that is
/// not taken.
const ALGORITHMS: [(&str, Option<Algorithm>); 26] = [
    ("sha256", Some(Algorithm::Sha256)),
    ("sha2256", Some(Algorithm::Sha256)),
    ("sha512", Some(Algorithm::Sha512)),
    ("sha2512", Some(Algorithm::Sha512)),
    ("md5", None),
    ("sha", None),
    ("sha1", None),
    ("sha224", None),
    ("sha2224", None),
    ("sha384", None),
    ("sha2384", None),
    ("sha512224", None),
    ("sha512256", None),
    ("sha2512256", None),
    ("sha3256", None),
    ("sha3384", None),
    ("sha3512", None),
    ("blake2b", None),
    ("blake2b256", None),
    ("blake2b512", None),
    ("blake2s", None),
    ("blake2s256", None),
    ("blake3", None),
    ("rmd160", None),
    ("sm3", None),
    ("crc32", None),
];
/// Hex digits of digests that are too weak, or not taken: MD5, SHA-1, SHA-224, SHA-384.
const OTHERS: [(usize, &str); 4] = [(32, "MD5"), (40, "SHA-1"), (56, "SHA-224"), (96, "SHA-384")];
/// What may follow an algorithm's name in a heading.
const HEADING: [&str; 8] = [
    "hash",
    "hashes",
    "sum",
    "sums",
    "checksum",
    "checksums",
    "digest",
    "digests",
];

/// What surrounds a name or a digest in a row of a table, a link or a listing.
const MARKS: [char; 15] = [
    '|', '`', '"', '\'', ',', ';', ':', '*', '=', '(', ')', '[', ']', '<', '>',
];
/// What tools write for the name of what they read from a pipe.
const NO_NAMES: [&str; 3] = ["", "-", "stdin"];

/// One digest of a line.
pub struct Entry<'a> {
    pub value: Value,
    pub name: Option<&'a str>,
}

/// What a line states.
pub enum Value {
    Taken(Digest),
    /// Another algorithm, by its name.
    Other(String),
}

/// Digest and name, line by line; at least one.
pub fn entries(text: &str) -> Result<Vec<Entry<'_>>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        bail!("the checksum file is empty");
    }
    if text.starts_with('<') {
        bail!("this is a web page, not a checksum file");
    }
    let mut entries = Vec::new();
    let (mut heading, mut strange) = (None, None);
    let mut lines = signed_lines(text)?.into_iter().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix(['#', ';']) {
            heading = heading_of(comment).or(heading);
            continue;
        }
        if let Some((name, mut hex)) = printed(line) {
            while let Some(more) = lines.next_if(|line| groups(line).is_some()) {
                hex.extend(groups(more));
            }
            if let Some(value) = value(&hex, heading.as_ref()) {
                entries.push(Entry { value, name });
                continue;
            }
        }
        match entry(line, heading.as_ref()) {
            Some(entry) => entries.push(entry),
            None if !line.is_empty() && strange.is_none() => strange = Some(line),
            None => {}
        }
    }
    match (entries.is_empty(), strange) {
        (true, Some(line)) => {
            let start: String = line.chars().take(60).collect();
            bail!(
                "{start:?} is not a line of a checksum file: expected a SHA-256 or SHA-512 in \
                 hex, and a file name"
            );
        }
        (true, None) => bail!("the checksum file states no digest"),
        (false, _) => Ok(entries),
    }
}

/// The lines inside of a clear signature; all lines if there is none.
fn signed_lines(text: &str) -> Result<Vec<&str>> {
    let mut lines = text.lines();
    if !text.lines().any(|line| line.trim_end() == SIGNED) {
        return Ok(lines
            .take_while(|line| line.trim_end() != SIGNATURE)
            .collect());
    }
    lines.find(|line| line.trim_end() == SIGNED);
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

/// An algorithm by its name, however it is written; `None` for any other word.
fn algorithm(word: &str) -> Option<Option<Algorithm>> {
    let plain: String = word
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | '/'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let plain = plain.strip_suffix("sum").unwrap_or(&plain);
    let known = ALGORITHMS.iter().find(|(name, _)| *name == plain);
    known.map(|(_, algorithm)| *algorithm)
}

/// What a comment says of the lines below it: `SHA512 HASH`.
fn heading_of(comment: &str) -> Option<(Option<Algorithm>, String)> {
    let mut words = comment.split_whitespace();
    let first = words.next()?.trim_end_matches(':');
    let is_heading = words.all(|word| is_title(word.trim_end_matches(':')));
    let algorithm = algorithm(first).filter(|_| is_heading)?;
    Some((algorithm, first.to_owned()))
}

/// A line's digest; `None` if there is none in it.
fn entry<'a>(line: &'a str, heading: Option<&(Option<Algorithm>, String)>) -> Option<Entry<'a>> {
    // As sha256sum marks a name in which it has escaped something.
    let line = line.strip_prefix('\\').unwrap_or(line);
    if let Some(entry) = tagged(line) {
        return Some(entry);
    }
    let said = |word: &str| algorithm(word).map(|algorithm| (algorithm, word.to_owned()));
    let (first, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let (prefix, hex) = match first.split_once([':', '=']) {
        Some((name, hex)) if algorithm(name).is_some() => (said(name), hex),
        _ => (None, first),
    };
    let by = prefix.as_ref().or(heading);
    if let Some(value) = value(hex, by) {
        let name = rest.split_once(" # ").map_or(rest, |(name, _)| name).trim();
        // As Debian's lists have it: HEX SIZE NAME.
        let name = match name.split_once([' ', '\t']) {
            Some((size, name)) if size.bytes().all(|byte| byte.is_ascii_digit()) => name.trim(),
            _ => name,
        };
        let name = name.strip_prefix('*').unwrap_or(name);
        let name = name.trim_matches(['"', '\'', '`']);
        let name = Some(name).filter(|name| !NO_NAMES.contains(name));
        return Some(Entry { value, name });
    }
    row(line)
}

/// The name and the first digits of `NAME: 50BB8B78 5D76ECB6 …`, as `gpg --print-md` writes
/// them, with the rest on the lines below.
fn printed(line: &str) -> Option<(Option<&str>, String)> {
    let (name, digits) = match line.rsplit_once(':') {
        Some((name, digits)) => (Some(name.trim()), digits),
        None => (None, line),
    };
    if digits.trim().is_empty() {
        return name.map(|name| (Some(name), String::new()));
    }
    let hex = groups(digits)?;
    (name.is_some() || digits.trim().contains(' ')).then_some((name, hex))
}

/// The digits of words of four or eight each.
fn groups(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_group = |word: &&str| {
        [4, 8].contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    (!words.is_empty() && words.iter().all(is_group)).then(|| words.concat())
}

/// `SHA256 (NAME) = HEX`, with or without blanks.
fn tagged(line: &str) -> Option<Entry<'_>> {
    let (tag, rest) = line.split_once('(')?;
    let (name, hex) = rest.rsplit_once(')')?;
    let tag = tag.trim();
    let algorithm = algorithm(tag)?;
    let hex = hex.trim_start().strip_prefix('=')?.trim();
    if algorithm.is_some() && algorithm != Algorithm::by_hex_len(hex.len()) {
        return None;
    }
    let value = value(hex, Some(&(algorithm, tag.to_owned())))?;
    Some(Entry {
        value,
        name: Some(name.trim().trim_matches(['"', '\'', '`'])),
    })
}

/// A name and a digest somewhere in a line, as in a table.
fn row(line: &str) -> Option<Entry<'_>> {
    let words = line.split([' ', '\t', '|', ',', ';', '=']);
    let words = words.map(|word| word.trim_matches(MARKS));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let said = words.iter().find_map(|word| {
        let algorithm = algorithm(word)?;
        Some((algorithm, (*word).to_owned()))
    });
    let (at, value) = words.iter().enumerate().find_map(|(at, word)| {
        let hex = word.rsplit(':').next().unwrap_or(word);
        value(hex, said.as_ref()).map(|value| (at, value))
    })?;
    let others = words.iter().enumerate();
    let mut names = others
        .filter(|(other, word)| *other != at && algorithm(word).is_none() && !is_title(word))
        .map(|(_, word)| *word);
    // Of many words none is known to be the name.
    match (names.next(), names.next()) {
        (name, None) => Some(Entry { value, name }),
        _ => None,
    }
}

/// Whether a word says that a digest is one.
fn is_title(word: &str) -> bool {
    HEADING.contains(&word.to_ascii_lowercase().as_str())
}

fn value(hex: &str, said: Option<&(Option<Algorithm>, String)>) -> Option<Value> {
    let hex = hex.strip_prefix("0x").unwrap_or(hex);
    let is_hex = hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        return None;
    }
    let by_length = Algorithm::by_hex_len(hex.len());
    let taken = match said {
        Some((Some(algorithm), _)) if by_length != Some(*algorithm) => {
            // A heading of another list: the length is what it is.
            by_length
        }
        Some((algorithm, _)) => *algorithm,
        None => by_length,
    };
    if let Some(digest) = taken.and_then(|algorithm| Digest::new(algorithm, hex).ok()) {
        return Some(Value::Taken(digest));
    }
    let by_name = said.map(|(_, name)| name.clone());
    let known = OTHERS.iter().find(|(len, _)| *len == hex.len());
    let name = known.map(|(_, name)| (*name).to_owned()).or(by_name)?;
    Some(Value::Other(name))
}

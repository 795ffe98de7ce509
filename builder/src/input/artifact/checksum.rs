//! Publishers' checksum files, in the shapes that they come in.
//!
//! ```text
//! HEX                       without a newline (dl.k8s.io) or with one (crictl)
//! HEX  NAME | HEX *NAME     as `sha256sum` writes (containerd, CNI, SHA256SUMS);
//!                           NAME may be a relative path; `-` is no name
//! SHA256 (NAME) = HEX       as BSD's tools and `sha256sum --tag` write (Fedora);
//! SHA2-256(NAME)= HEX       `openssl dgst`
//! sha256:HEX  NAME          as container registries write digests
//! NAME: HEX | ALGORITHM HEX NAME | a row of a table
//! # SHA512 HASH             what the lines below it are (Flatcar, Gentoo); any other
//!                           comment says nothing
//! -----BEGIN PGP SIGNED MESSAGE-----      such lines, clear-signed (runc):
//! Hash: SHA512                            RFC 9580 section 7
//! ```
//!
//! The lines of this file count, whatever stands around them; of several algorithms the
//! strongest. HEX without an algorithm is SHA-256 or SHA-512 by its length; one that is
//! said to be anything else (BLAKE2, SHA-3, SHA-512/256) is not taken for those. A
//! signature is *not* verified here: its frame is only taken off, so that `Hash:` is never
//! taken for a digest. What such a file proves is that publisher and lock agree, not who
//! wrote it.

use anyhow::{Result, bail};
use nodeimg_values::digest::{Algorithm, Digest};

const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

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

/// One digest of a line.
struct Entry<'a> {
    value: Value,
    name: Option<&'a str>,
}

enum Value {
    Taken(Digest),
    /// Another algorithm, by its name.
    Other(String),
}

/// The digest that `text` states for the file at `url` (or of that name), `None` if it is a
/// list without it. A lone digest without a name is for any file.
///
/// A listed path fits if its last part is the file's name; of several, those that have the
/// most in common with the URL.
pub fn find(text: &str, url: &str) -> Result<Option<Digest>> {
    let entries = entries(text)?;
    if let [
        Entry {
            value: Value::Taken(digest),
            name: None,
        },
    ] = entries.as_slice()
    {
        return Ok(Some(digest.clone()));
    }
    let path = decoded(url.split(['?', '#']).next().unwrap_or(url));
    let file_name = path.rsplit('/').next().unwrap_or_default();
    let fitting = entries.iter().filter_map(|entry| {
        let common = in_common(entry.name?, &path);
        (common > 0).then_some((common, &entry.value))
    });
    let fitting: Vec<(usize, &Value)> = fitting.collect();
    let most = fitting.iter().map(|(common, _)| *common).max();
    let nearest = fitting.iter().filter(|(common, _)| Some(*common) == most);
    let (mut best, mut other): (Option<&Digest>, Option<&str>) = (None, None);
    for (_, value) in nearest {
        let digest = match value {
            Value::Taken(digest) => digest,
            Value::Other(name) => {
                other = Some(name);
                continue;
            }
        };
        match best {
            Some(first) if first.algorithm() == digest.algorithm() && first != digest => {
                bail!("it states two digests for {file_name}: {first} and {digest}")
            }
            Some(first) if strength(first) >= strength(digest) => {}
            _ => best = Some(digest),
        }
    }
    match (best, other) {
        (Some(digest), _) => Ok(Some(digest.clone())),
        (None, Some(other)) => bail!(
            "it lists `{file_name}` by {other} alone, but only SHA-256 and SHA-512 are compared: \
             use another `checksum`, or leave it out"
        ),
        (None, None) => match entries.iter().any(|entry| entry.name.is_none()) {
            true => bail!(
                "a digest without a file name is followed or preceded by other lines, none of \
                 them of `{file_name}`"
            ),
            false => Ok(None),
        },
    }
}

/// The last part of a URL's path, as a list has it.
pub fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    decoded(path.rsplit('/').next().unwrap_or_default())
}

fn strength(digest: &Digest) -> usize {
    digest.hex().len()
}

/// `%2B` and its like as what they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (*first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How many parts at the end of both are alike; 0 if the last one is not.
fn in_common(listed: &str, path: &str) -> usize {
    let parts = listed.rsplit(['/', '\\']).filter(|part| *part != ".");
    let alike = parts.zip(path.rsplit('/')).take_while(|(a, b)| a == b);
    alike.count()
}

/// Digest and name, line by line; at least one.
fn entries(text: &str) -> Result<Vec<Entry<'_>>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        bail!("the checksum file is empty");
    }
    if text.starts_with('<') {
        bail!("this is a web page, not a checksum file");
    }
    let mut entries = Vec::new();
    let (mut heading, mut strange) = (None, None);
    for line in signed_lines(text)? {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix(['#', ';']) {
            heading = heading_of(comment).or(heading);
            continue;
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
    let is_heading = words.all(|word| {
        let word = word.trim_end_matches(':').to_ascii_lowercase();
        HEADING.contains(&word.as_str())
    });
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
        let name = rest.trim();
        let name = name.strip_prefix('*').unwrap_or(name);
        let name = Some(name).filter(|name| !matches!(*name, "" | "-"));
        return Some(Entry { value, name });
    }
    row(line)
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
        name: Some(name.trim()),
    })
}

/// A name and a digest somewhere in a line, as in a table.
fn row(line: &str) -> Option<Entry<'_>> {
    let marks = ['|', '`', '"', '\'', ',', ':', '*', '='];
    let words = line.split([' ', '\t', '|']);
    let words = words.map(|word| word.trim_matches(marks));
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
        .filter(|(other, word)| *other != at && algorithm(word).is_none())
        .map(|(_, word)| *word);
    // Of many words none is known to be the name.
    match (names.next(), names.next()) {
        (Some(name), None) => Some(Entry {
            value,
            name: Some(name),
        }),
        _ => None,
    }
}

fn value(hex: &str, said: Option<&(Option<Algorithm>, String)>) -> Option<Value> {
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
    fn every_other_shape() {
        let long = "c".repeat(128);
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        let table = [
            (
                format!("SHA256 (runc.amd64) = {B}\nSHA256 (runc.arm64) = {A}\n"),
                A,
            ),
            (
                format!("# runc.arm64: 120 bytes\nSHA256 (runc.arm64) = {A}\n"),
                A,
            ),
            (
                signed(&format!(
                    "# x\nSHA256 (runc.amd64) = {B}\nSHA256 (runc.arm64) = {A}"
                )),
                A,
            ),
            (format!("SHA2-256(runc.arm64)= {A}\n"), A),
            (format!("SHA256(./dist/runc.arm64)= {A}\n"), A),
            (
                format!("SHA512 (runc.arm64) = {long}\nSHA256 (runc.arm64) = {A}\n"),
                long.as_str(),
            ),
            (
                format!("MD5 (runc.arm64) = {md5}\nSHA256 (runc.arm64) = {A}\n"),
                A,
            ),
            (format!("# made by a job\n; x\n{A}  runc.arm64\n"), A),
            (
                format!("# MD5 HASH\n{md5}  runc.arm64\n# SHA512 HASH\n{long}  runc.arm64\n"),
                long.as_str(),
            ),
            (
                format!(
                    "# SHA512 HASH\n{long}  runc.arm64\n# BLAKE2B HASH\n{}  runc.arm64\n",
                    "d".repeat(128)
                ),
                long.as_str(),
            ),
            (
                format!("SHA512/256 (runc.arm64) = {B}\nSHA256 (runc.arm64) = {A}\n"),
                A,
            ),
            (format!("{A}  -\n"), A),
            (format!("sha256:{A}\n"), A),
            (
                format!("sha256:{A}  runc.arm64\nsha256:{B}  runc.amd64\n"),
                A,
            ),
            (format!("\\{A}  runc.arm64\n{B}  x\n"), A),
            (format!("{A} *.\\dist\\runc.arm64\r\n{B} *x\r\n"), A),
            (format!("runc.arm64: {A}\nrunc.amd64: {B}\n"), A),
            (
                format!("| `runc.arm64` | `{A}` |\n| `runc.amd64` | `{B}` |\n"),
                A,
            ),
            (
                format!(
                    "Algorithm Hash Path\n--- --- ---\nSHA256  {}  C:\\x\\runc.arm64\n",
                    A.to_uppercase()
                ),
                A,
            ),
            (format!("{A}  runc.arm64\n\nsome words of a person\n"), A),
            (
                format!("{A}  runc.arm64\n-----BEGIN PGP SIGNATURE-----\n\n{B}\n"),
                A,
            ),
            (format!("{A}  runc.arm64\n{B}\n"), A),
        ];
        for (text, wanted) in table {
            let found = find(&text, "runc.arm64").unwrap();
            assert_eq!(found.as_ref().map(Digest::hex), Some(wanted), "{text}");
        }
    }

    #[test]
    fn of_one_name_in_several_folders_the_urls_own_counts() {
        let text = format!("{B}  bin/linux/amd64/kubectl\n{A}  bin/linux/arm64/kubectl\n");
        let of = |url: &str| find(&text, url).map(|digest| digest.unwrap().hex().to_owned());
        assert_eq!(
            of("https://x.example/v1/bin/linux/arm64/kubectl").unwrap(),
            A
        );
        assert_eq!(
            of("https://x.example/v1/bin/linux/amd64/kubectl?a=/b").unwrap(),
            B
        );
        assert!(of("kubectl").is_err());
        let text = format!("{A}  tool-1+k3s\n{B}  other\n");
        assert!(
            find(&text, "https://x.example/tool-1%2Bk3s")
                .unwrap()
                .is_some()
        );
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
                "by MD5 alone",
            ),
            (format!("SHA3-256 (x) = {A}"), "by SHA3-256 alone"),
            (format!("# BLAKE2s HASH\n{A}  x"), "by BLAKE2s alone"),
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

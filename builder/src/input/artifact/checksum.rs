//! Publishers' checksum files, in the shapes that they come in.
//!
//! ```text
//! HEX                       without a newline (dl.k8s.io) or with one (crictl)
//! HEX  NAME | HEX *NAME     as `sha256sum` writes (containerd, CNI, SHA256SUMS);
//!                           NAME may be a relative path; `-` stands for no name
//! SHA256 (NAME) = HEX       as BSD's tools and `sha256sum --tag` write (Fedora);
//! SHA2-256(NAME)= HEX       `openssl dgst`
//! sha256:HEX  NAME          as container registries write digests
//! NAME: HEX | NAME=HEX | NAME,HEX | ALGORITHM HEX NAME | a row of a table
//! HEX SIZE NAME             as Debian's lists have it
//! NAME: 50BB8B78 5D76ECB6   `gpg --print-md`, with the rest on the lines below (Apache)
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

mod lines;
#[cfg(test)]
mod tests;

use anyhow::{Result, bail};
use nodeimg_values::digest::Digest;

use lines::{Value, entries};

/// The digest that `text` states for the file at `url` (or of that name), `None` if it is a
/// list without it. A lone digest without a name is for any file.
///
/// A listed path fits if its last part is the file's name; of several, those that have the
/// most in common with the URL.
pub fn find(text: &str, url: &str) -> Result<Option<Digest>> {
    let entries = entries(text)?;
    let has_names = entries.iter().any(|entry| entry.name.is_some());
    let path = decoded(url.split(['?', '#']).next().unwrap_or(url));
    let file_name = path.rsplit('/').next().unwrap_or_default();
    let fitting = entries.iter().filter_map(|entry| {
        // Digests without any name are all of one file.
        let common = match entry.name {
            Some(name) => in_common(name, &path),
            None => usize::from(!has_names),
        };
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
                if !has_names {
                    bail!("a digest without a file name is followed by another: whose is it?");
                }
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

//! Licences of Debian packages, from their machine-readable copyright files
//! ([DEP 5](https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/)).
//!
//! Debian's short names become SPDX's where they mean the same. Any other name becomes a
//! `LicenseRef-Debian-…`, which the bill explains. A file in prose says nothing to a program.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use nodeimg_values::digest::Digest;

use super::debian::source;
use super::text_at;
use crate::input::debian::stanza::{Stanza, stanzas};
use crate::tree::Tree;

const REF: &str = "LicenseRef-Debian-";
/// A longer one is a sentence.
const MAX_NAME: usize = 60;

/// Debian's names, in lower case, and SPDX's.
const NAMES: [(&str, &str); 62] = [
    ("0bsd", "0BSD"),
    ("apache", "Apache-2.0"),
    ("apache-2", "Apache-2.0"),
    ("apache-2.0", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-2", "Artistic-2.0"),
    ("artistic-2.0", "Artistic-2.0"),
    ("beerware", "Beerware"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsd-4-clause-uc", "BSD-4-Clause-UC"),
    ("bsl-1.0", "BSL-1.0"),
    ("cc-by-3.0", "CC-BY-3.0"),
    ("cc-by-4.0", "CC-BY-4.0"),
    ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
    ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
    ("cc0", "CC0-1.0"),
    ("cc0-1.0", "CC0-1.0"),
    ("curl", "curl"),
    ("expat", "MIT"),
    ("fsfap", "FSFAP"),
    ("fsful", "FSFUL"),
    ("fsfullr", "FSFULLR"),
    ("gfdl-1.2", "GFDL-1.2-only"),
    ("gfdl-1.2+", "GFDL-1.2-or-later"),
    ("gfdl-1.3", "GFDL-1.3-only"),
    ("gfdl-1.3+", "GFDL-1.3-or-later"),
    ("gfdl-niv-1.3", "GFDL-1.3-no-invariants-only"),
    ("gfdl-niv-1.3+", "GFDL-1.3-no-invariants-or-later"),
    ("gpl", "GPL-1.0-or-later"),
    ("gpl-1", "GPL-1.0-only"),
    ("gpl-1+", "GPL-1.0-or-later"),
    ("gpl-2", "GPL-2.0-only"),
    ("gpl-2+", "GPL-2.0-or-later"),
    ("gpl-3", "GPL-3.0-only"),
    ("gpl-3+", "GPL-3.0-or-later"),
    ("isc", "ISC"),
    ("latex2e", "Latex2e"),
    ("lgpl", "LGPL-2.0-or-later"),
    ("lgpl-2", "LGPL-2.0-only"),
    ("lgpl-2+", "LGPL-2.0-or-later"),
    ("lgpl-2.1", "LGPL-2.1-only"),
    ("lgpl-2.1+", "LGPL-2.1-or-later"),
    ("lgpl-2.1-or-later", "LGPL-2.1-or-later"),
    ("lgpl-3", "LGPL-3.0-only"),
    ("lgpl-3+", "LGPL-3.0-or-later"),
    ("mit", "MIT"),
    ("mpl-1.1", "MPL-1.1"),
    ("mpl-2.0", "MPL-2.0"),
    ("ms-pl", "MS-PL"),
    ("openssl", "OpenSSL"),
    ("postgresql", "PostgreSQL"),
    ("psf-2", "PSF-2.0"),
    ("sleepycat", "Sleepycat"),
    ("sunpro", "SunPro"),
    ("unicode-dfs-2016", "Unicode-DFS-2016"),
    ("unicode-3.0", "Unicode-3.0"),
    ("unlicense", "Unlicense"),
    ("wtfpl", "WTFPL"),
    ("x11", "X11"),
    ("zlib", "Zlib"),
];

/// Exceptions with a name of their own, behind Debian's words `with … exception`.
const EXCEPTIONS: [(&str, &str); 5] = [
    (
        "gpl-2 with linux-syscall-note",
        "GPL-2.0-only WITH Linux-syscall-note",
    ),
    (
        "gpl-2+ with autoconf",
        "GPL-2.0-or-later WITH Autoconf-exception-2.0",
    ),
    (
        "gpl-3+ with autoconf",
        "GPL-3.0-or-later WITH Autoconf-exception-3.0",
    ),
    (
        "gpl-3+ with bison",
        "GPL-3.0-or-later WITH Bison-exception-2.2",
    ),
    (
        "gpl-3+ with bison-2.2",
        "GPL-3.0-or-later WITH Bison-exception-2.2",
    ),
];

/// What a bill explains: see [`Bill::others`](super::bill::Bill).
pub type Others = BTreeMap<String, (String, BTreeSet<String>)>;

/// What the copyright files of a tree declare.
pub struct Licences {
    /// By package.
    packages: BTreeMap<String, BTreeSet<String>>,
    /// The same of each source package.
    sources: BTreeMap<String, BTreeSet<String>>,
}

impl Licences {
    pub fn read(tree: &Tree, packages: &[Stanza<'_>]) -> Result<Licences> {
        let mut licences = Licences {
            packages: BTreeMap::new(),
            sources: BTreeMap::new(),
        };
        for stanza in packages {
            let name = stanza.field("Package").unwrap_or_default();
            let place = format!("/usr/share/doc/{name}/copyright");
            let Some(text) = text_at(tree, &place)? else {
                continue;
            };
            let declared = declared(&text);
            let (source, _) = source(stanza);
            licences
                .sources
                .entry(source.to_owned())
                .or_default()
                .extend(declared.iter().cloned());
            licences.packages.insert(name.to_owned(), declared);
        }
        Ok(licences)
    }

    /// An SPDX expression; names of its own go into `others`. A package whose documentation is
    /// another's has what its source's others declare.
    pub fn of(&self, stanza: &Stanza<'_>, others: &mut Others) -> Option<String> {
        let name = stanza.field("Package")?;
        let own = self.packages.get(name);
        let all = own.or_else(|| self.sources.get(source(stanza).0))?;
        let mut parts = BTreeSet::new();
        for text in all {
            parts.insert(expression(text, &mut |reference, word| {
                let entry = others.entry(reference.to_owned());
                let (_, whose) = entry.or_insert_with(|| (word.to_owned(), BTreeSet::new()));
                whose.insert(name.to_owned());
            }));
        }
        let alone = parts.len() == 1;
        let bracketed = parts.into_iter().map(|part| match part.contains(" OR ") {
            true if !alone => format!("({part})"),
            _ => part,
        });
        let all: Vec<String> = bracketed.collect();
        (!all.is_empty()).then(|| all.join(" AND "))
    }
}

/// The first line of every `License`; nothing if the file is for people only.
fn declared(text: &str) -> BTreeSet<String> {
    // Blank lines with blanks in them part stanzas, too.
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let text = lines.join("\n");
    let mut all = stanzas(&text);
    let is_known = all.next().is_some_and(|head| {
        let format = head
            .field("Format")
            .or_else(|| head.field("Format-Specification"));
        format.is_some_and(|format| format.contains("copyright-format") || format.contains("dep5"))
    });
    if !is_known {
        return BTreeSet::new();
    }
    // A licence of its own stanza is the text of one that some files have.
    let of_files = all.filter(|stanza| stanza.field("Files").is_some());
    of_files
        .filter_map(|stanza| stanza.field("License")?.lines().next())
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect()
}

/// DEP 5's words as SPDX's: `and` binds more than `or`, a comma before either less than both.
fn expression(text: &str, other: &mut impl FnMut(&str, &str)) -> String {
    for (sign, word) in [
        (", or ", " OR "),
        (", and ", " AND "),
        (" or ", " OR "),
        (" and ", " AND "),
    ] {
        let parts: Vec<&str> = text.split(sign).collect();
        // `with` some words may have such a word in them.
        if parts.len() == 1 || parts.iter().any(|part| part.trim().is_empty()) {
            continue;
        }
        let parts = parts.iter().map(|part| {
            let inner = expression(part.trim(), other);
            let is_loose = word == " AND " && inner.contains(" OR ");
            if is_loose {
                format!("({inner})")
            } else {
                inner
            }
        });
        let mut seen = BTreeSet::new();
        let parts: Vec<String> = parts.filter(|part| seen.insert(part.clone())).collect();
        return parts.join(word);
    }
    one(text.trim().trim_end_matches(','), other)
}

/// One licence's name.
fn one(name: &str, other: &mut impl FnMut(&str, &str)) -> String {
    let lower = name.to_lowercase();
    let lower = lower.strip_suffix(" exception").unwrap_or(&lower);
    let known = EXCEPTIONS.iter().find(|(there, _)| *there == lower);
    // `GPL-2.0+` is `GPL-2+`.
    let short = ["gpl-1", "gpl-2", "gpl-3", "lgpl-2", "lgpl-3"]
        .iter()
        .find_map(|start| {
            Some(format!(
                "{start}{}",
                lower.strip_prefix(start)?.strip_prefix(".0")?
            ))
        });
    let plain = short.as_deref().unwrap_or(lower);
    let known = known.or_else(|| NAMES.iter().find(|(there, _)| *there == plain));
    if let Some((_, spdx)) = known {
        return (*spdx).to_owned();
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let word: String = name
        .chars()
        .take(MAX_NAME)
        .map(|c| match c {
            '+' => "-or-later".to_owned(),
            c if fits(c) => c.to_string(),
            _ => "-".to_owned(),
        })
        .collect();
    // Two sentences may begin alike.
    let end = match name.chars().count() > MAX_NAME {
        true => format!("-{}", &Digest::sha256(name.as_bytes()).hex()[..8]),
        false => String::new(),
    };
    let reference = format!("{REF}{word}{end}");
    other(&reference, name);
    reference
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn debians_names_become_spdxs() {
        for (text, want) in [
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-2.0+", "GPL-2.0-or-later"),
            ("Expat", "MIT"),
            ("BSD-3-clause or GPL-2", "BSD-3-Clause OR GPL-2.0-only"),
            ("GPL-2 or ISC and MIT", "GPL-2.0-only OR ISC AND MIT"),
            ("GPL-2 or ISC, and MIT", "(GPL-2.0-only OR ISC) AND MIT"),
            (
                "GPL-2 or ISC, and MIT, or X11",
                "(GPL-2.0-only OR ISC) AND MIT OR X11",
            ),
            ("MIT and Expat", "MIT"),
            (
                "GPL-2 with Linux-syscall-note exception",
                "GPL-2.0-only WITH Linux-syscall-note",
            ),
            ("MIT/X11", "LicenseRef-Debian-MIT-X11"),
            (
                "LGPL-2.1+ with OpenSSL exception",
                "LicenseRef-Debian-LGPL-2.1-or-later-with-OpenSSL-exception",
            ),
        ] {
            assert_eq!(expression(text, &mut |_, _| {}), want, "{text}");
        }
    }

    #[test]
    fn only_what_files_have_counts_and_prose_says_nothing() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
            License: GPL-1\n \nFiles: *\nLicense: GPL-2+\n text\n\nFiles: x\nLicense:\n Expat\n\n\
            License: Expat\n Permission\n .\n is granted\n";
        let found: Vec<_> = declared(text).into_iter().collect();
        assert_eq!(found, ["Expat", "GPL-2+"]);
        assert!(declared("This is free.\n\nFiles: *\nLicense: GPL-2\n").is_empty());
        assert!(declared("").is_empty());
    }
}

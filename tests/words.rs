//! Everything that a person reads says it in standard English: the phrases that this
//! project once used instead stay out of sources, scripts and pages.
//!
//! To add a phrase: a row of [`PHRASES`], with the words to write instead.
#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use nodeimg_test_support::place::top;
use regex::Regex;
use walkdir::WalkDir;

/// A phrase as a regular expression, and what to write.
const PHRASES: &[(&str, &str)] = &[
    (
        r"\b(?:is|are|was|were) no [a-z`]",
        "`is not a`, `is not a valid`",
    ),
    (r"\bunless said\b", "`by default`"),
    (r"\banew\b", "`again`, `re-create`, `re-lock`, `start over`"),
    (r"\bhand(?:s|ed|ing)? over\b", "`write`, `produce`, `pass`"),
    (
        r"\b(?:a|an|the|network|each|every|second|first|its) cards?\b",
        "`interface`",
    ),
    (r"\bpassed over\b", "`ignored`, `skipped`"),
    (r"\bwritten over\b", "`overwritten`, `wiped`"),
    (r"\bsays? nothing of\b", "`does not mention`, `has no`"),
    (r"\bso much at least\b", "`at least that`"),
    (r"\bleads? a port\b", "`forward a port`"),
    (r"\b(?:be|is|are) had\b", "`is available`"),
    (
        r"\b(?:small|big|capital) letters?\b",
        "`lowercase`, `uppercase`",
    ),
    (r"\b(?:lower|upper)-case\b", "`lowercase`, `uppercase`"),
    (
        r"\b(?:ends?|ended|goes|go|went) well\b",
        "`succeed`, `pass`",
    ),
];

/// Where these words are good English.
const HARMLESS: &str =
    r"(?i)\bthere (?:is|are|was|were) no\b|\b(?:is|are|was|were) no (?:longer|more)\b";

const READ: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "builder",
    "ci",
    "docs",
    "firstboot",
    "overlay",
    "recipes",
    "tests",
];

/// Folders of builds, and files that are not prose: this list itself, other
/// people's files and data.
const LEFT_OUT: &[&str] = &["target", "out", "words.rs", "corpus"];
const DATA: &[&str] = &["json", "lock", "svg"];

/// The end of the changelog, which lists old words.
const GLOSSARY: &str = "\n#### Words\n";

/// What a line of a comment or a continued string begins with.
const MARGIN: &[char] = &['/', '!', '#', '*', ' ', '\t'];

static ANY: LazyLock<Regex> = LazyLock::new(|| {
    let phrases: Vec<&str> = PHRASES.iter().map(|(phrase, _)| *phrase).collect();
    Regex::new(&phrases.join("|")).unwrap()
});
static ONE_BY_ONE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let each = PHRASES.iter().map(|(phrase, _)| Regex::new(phrase));
    each.map(Result::unwrap).collect()
});
static GOOD: LazyLock<Regex> = LazyLock::new(|| Regex::new(HARMLESS).unwrap());

#[test]
fn texts_are_in_standard_english() {
    let mut wrong = Vec::new();
    let mut read = 0;
    for (file, text) in texts() {
        read += 1;
        for (line, phrase, plain) in phrases(&text) {
            wrong.push(format!(
                "{}:{line}: `{phrase}`: write {plain}",
                file.display()
            ));
        }
    }
    assert!(read > 500, "read only {read} files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn phrases_are_found_across_lines() {
    for (text, expected) in [
        ("`x` is no file", &[(1, "is no f")][..]),
        ("a\n/// that is\n/// no file\n", &[(2, "is no f")]),
        (
            "\"it is \\\n no file\", locked anew",
            &[(1, "is no f"), (2, "anew")],
        ),
        ("there is no file, which is no longer there", &[]),
        ("There are no\nfiles", &[]),
        ("a wildcard, cardinal, renewed, handed overlays", &[]),
    ] {
        let found: Vec<(usize, String)> = phrases(text)
            .into_iter()
            .map(|(line, phrase, _)| (line, phrase))
            .collect();
        let expected: Vec<(usize, String)> = expected
            .iter()
            .map(|(line, phrase)| (*line, (*phrase).to_owned()))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }
}

/// Line, phrase, and what to write instead.
fn phrases(text: &str) -> Vec<(usize, String, &'static str)> {
    let mut joined = String::new();
    let mut starts = Vec::new();
    for line in text.lines() {
        starts.push(joined.len());
        joined.push_str(
            line.trim_start_matches(MARGIN)
                .trim_end_matches(['\\', ' ']),
        );
        joined.push(' ');
    }
    let good: Vec<_> = GOOD.find_iter(&joined).map(|found| found.range()).collect();
    let found = ANY
        .find_iter(&joined)
        .filter(|found| !good.iter().any(|range| range.contains(&found.start())));
    found
        .map(|found| {
            let line = starts.partition_point(|start| *start <= found.start());
            let row = ONE_BY_ONE
                .iter()
                .position(|one| one.is_match(found.as_str()));
            (line, found.as_str().to_owned(), PHRASES[row.unwrap()].1)
        })
        .collect()
}

fn texts() -> impl Iterator<Item = (PathBuf, String)> {
    let entries = READ.iter().flat_map(|place| {
        WalkDir::new(top().join(place))
            .into_iter()
            .filter_entry(|entry| !LEFT_OUT.iter().any(|name| entry.file_name() == *name))
    });
    entries
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .filter(|path| {
            !DATA
                .iter()
                .any(|ending| path.extension().is_some_and(|own| own == *ending))
        })
        .filter_map(|path| {
            let mut text = fs::read_to_string(&path).ok()?;
            if path.ends_with("CHANGELOG.md") {
                let begin = text.find(GLOSSARY).unwrap();
                let end = begin + text[begin..].find("\n### ").unwrap();
                text.replace_range(begin..end, "");
            }
            Some((path.strip_prefix(top()).unwrap().to_owned(), text))
        })
}

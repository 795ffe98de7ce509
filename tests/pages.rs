//! The pages of this repository lead to existing targets: every relative link and
//! anchor of a Markdown file, every page of the book, and every page and path that
//! sources and the pages for contributors name.
//!
//! Links to other hosts are not followed.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use nodeimg_test_support::place::top;
use walkdir::WalkDir;

/// Folders of builds, which git does not track.
const NOT_OURS: &[&str] = &[".git", "target", "out"];

/// Folders with files that may name a page.
const SOURCES: &[&str] = &["builder", "firstboot", "tests", "ci", "overlay"];

/// Pages whose paths in backticks must be there.
const FOR_CONTRIBUTORS: &[&str] = &["ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md"];

/// Folders with the page that names every entry: by its name if the page is in the folder, else
/// by its path.
const INDEXED: &[(&str, &str)] = &[
    ("ci", "ci/README.md"),
    ("tests", "tests/README.md"),
    ("firstboot/fuzz-entries/tests", "tests/README.md"),
    ("firstboot/seed/tests", "tests/README.md"),
    ("firstboot/program/tests", "tests/README.md"),
];

/// The page itself, and parts of test programs.
const NOT_INDEXED: &[&str] = &["README.md", "common"];

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 10, "found only {} pages", pages.len());
    let mut wrong = Vec::new();
    let mut followed = 0;
    for (page, text) in &pages {
        for target in links(text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            if let Err(why) = follow(page, &target, &pages) {
                wrong.push(format!("{}: ({target}): {why}", page.display()));
            }
        }
    }
    assert!(followed > 50, "followed only {followed} links");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_book_has_every_page() {
    let pages = pages();
    let summary = Path::new("docs/SUMMARY.md");
    let listed: BTreeSet<PathBuf> = links(&pages[summary])
        .iter()
        .map(|target| beside(summary, target))
        .collect();
    let there: BTreeSet<PathBuf> = pages
        .keys()
        .filter(|page| page.starts_with("docs") && *page != summary)
        .cloned()
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn sources_name_pages_that_are_there() {
    let mut wrong = Vec::new();
    let mut named = 0;
    for folder in SOURCES {
        for (file, text) in texts(&top().join(folder)) {
            for page in named_pages(&text) {
                named += 1;
                if !top().join(page).is_file() {
                    wrong.push(format!("{}: {page}", file.display()));
                }
            }
        }
    }
    assert!(named > 5, "only {named} pages are named");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn contributors_are_led_to_paths_that_are_there() {
    let pages = pages();
    let mut wrong = Vec::new();
    for page in FOR_CONTRIBUTORS {
        let text = &pages[Path::new(page)];
        let paths: Vec<&str> = backticked(text).filter(|word| is_path(word)).collect();
        assert!(paths.len() > 5, "{page} names only {} paths", paths.len());
        for path in paths {
            if !top().join(path).exists() {
                wrong.push(format!("{page}: {path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn indexes_are_complete() {
    let pages = pages();
    let mut missing = Vec::new();
    for (folder, index) in INDEXED {
        let index = Path::new(index);
        let named: BTreeSet<&str> = backticked(&pages[index]).collect();
        for entry in fs::read_dir(top().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let shown = match index.parent() {
                Some(parent) if parent == Path::new(folder) => name.clone(),
                _ => format!("{folder}/{name}"),
            };
            if !NOT_INDEXED.contains(&name.as_str()) && !named.contains(shown.as_str()) {
                missing.push(format!("{} lacks {shown}", index.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn links_and_anchors_are_read_as_renderers_read_them() {
    let text = "# A `b`: c's\n[x\ny](to.md#a) ![z](p.svg)\n```\n[no](no.md)\n# no\n```\n`[no](no)`\n# A b cs\n";
    assert_eq!(links(text), ["to.md#a", "p.svg"]);
    let expected = ["a-b-cs", "a-b-cs-1"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(expected));
    let found: Vec<_> = named_pages("see docs/SUMMARY.md, //x.org/docs/c.md, docs/d.txt").collect();
    assert_eq!(found, ["docs/SUMMARY.md"]);
}

/// What a list of changes may be of, by Keep a Changelog 1.1.0.
const CHANGES: &[&str] = &[
    "Added",
    "Changed",
    "Deprecated",
    "Removed",
    "Fixed",
    "Security",
];

#[test]
fn the_changelog_has_its_form() {
    let text = fs::read_to_string(top().join("CHANGELOG.md")).unwrap();
    assert_eq!(changelog_problems(&text), Vec::<String>::new());
    let good = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- a\n\n#### More\n\n- b\n\n\
                ## [0.10.0] - 2026-12-01\n\n### Fixed\n\n- c\n\n\
                ## [0.9.0] - 2026-11-30 [YANKED]\n\n### Removed\n\n- d\n";
    assert_eq!(changelog_problems(good), Vec::<String>::new());
    for (from, to, why) in [
        ("# Changelog\n", "# News\n", "begins with"),
        ("## [Unreleased]", "## Unreleased", "is not a version"),
        ("## [Unreleased]", "## [0.1.0] - 2026-12-01", "comes first"),
        ("### Added", "### New", "is not a kind of change"),
        (
            "### Fixed",
            "### Fixed\n\n- e\n\n### Fixed",
            "is there twice",
        ),
        ("- a\n\n#### More\n\n- b\n", "", "has no change"),
        ("### Removed\n\n", "", "is of no kind"),
        ("- 2026-11-30", "- 30.11.2026", "is not a version"),
        ("[0.9.0]", "[0.9]", "is not a version"),
        ("[0.9.0]", "[0.10.1]", "is not older"),
        ("2026-11-30", "2026-12-02", "is not older"),
    ] {
        assert!(good.contains(from), "{from}");
        let problems = changelog_problems(&good.replacen(from, to, 1));
        assert!(
            problems.iter().any(|problem| problem.contains(why)),
            "{from} -> {to}: {problems:?}"
        );
    }
}

/// What in a changelog is not in the form of Keep a Changelog: the newest version first, each
/// with its date, below it lists of changes by kind.
fn changelog_problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("# Changelog\n") {
        problems.push("the file begins with another heading".to_owned());
    }
    let mut versions = 0;
    let mut newer: Option<(String, Vec<u32>)> = None;
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    let mut kind = "";
    for line in text.lines().chain(["## end"]) {
        if let Some(heading) = line.strip_prefix("## ") {
            let empty = kinds.iter().filter(|(_, changes)| **changes == 0);
            problems.extend(empty.map(|(kind, _)| format!("{kind} has no change")));
            (kinds, kind) = (BTreeMap::new(), "");
            versions += 1;
            match released(heading) {
                _ if heading == "end" => {}
                None if heading != "[Unreleased]" => {
                    problems.push(format!("{heading} is not a version"));
                }
                None if versions > 1 => problems.push(format!("{heading} is not first")),
                None => {}
                Some(_) if versions == 1 => problems.push("[Unreleased] comes first".to_owned()),
                Some(found) => {
                    if newer.is_some_and(|(date, version)| found.0 > date || found.1 >= version) {
                        problems.push(format!("{heading} is not older"));
                    }
                    newer = Some(found);
                }
            }
        } else if let Some(heading) = line.strip_prefix("### ") {
            if !CHANGES.contains(&heading) {
                problems.push(format!("{heading} is not a kind of change"));
            }
            if kinds.insert(heading, 0).is_some() {
                problems.push(format!("{heading} is there twice"));
            }
            kind = heading;
        } else if line.starts_with("- ") {
            match kinds.get_mut(kind) {
                Some(changes) => *changes += 1,
                None => problems.push(format!("{line} is of no kind")),
            }
        }
    }
    problems
}

/// The date and the numbers of `[1.2.3] - 2026-12-01`.
fn released(heading: &str) -> Option<(String, Vec<u32>)> {
    let heading = heading.strip_suffix(" [YANKED]").unwrap_or(heading);
    let (version, date) = heading.strip_prefix('[')?.split_once("] - ")?;
    let numbers = |text: &str, between: char| -> Option<Vec<u32>> {
        let parts = text.split(between).map(|part| part.parse().ok());
        parts
            .collect::<Option<Vec<_>>>()
            .filter(|parts| parts.len() == 3)
    };
    let is_date = date.len() == 10 && numbers(date, '-').is_some_and(|parts| parts[0] > 2000);
    is_date.then_some((date.to_owned(), numbers(version, '.')?))
}

/// Every Markdown file by its path from the top.
fn pages() -> BTreeMap<PathBuf, String> {
    let all = texts(top());
    all.filter(|(file, _)| file.extension().is_some_and(|ending| ending == "md"))
        .collect()
}

/// The files below a folder that are text, by their paths from the top.
fn texts(folder: &Path) -> impl Iterator<Item = (PathBuf, String)> + use<> {
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !NOT_OURS.iter().any(|name| entry.file_name() == *name))
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| {
            let text = fs::read_to_string(entry.path()).ok()?;
            Some((entry.path().strip_prefix(top()).unwrap().to_owned(), text))
        })
}

/// A page without its blocks of code.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// What stands in backticks.
fn backticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The targets of links and pictures.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let plain: String = prose.split('`').step_by(2).collect();
    let targets = plain.split("](").skip(1);
    targets
        .map(|rest| rest.split([')', ' ']).next().unwrap().to_owned())
        .collect()
}

/// The names that headings have in a link, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for line in prose(text).lines() {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let name: String = title.trim().chars().filter(kept).collect();
        let name = name.to_lowercase().replace(' ', "-");
        let before = times.entry(name.clone()).or_default();
        found.insert(match *before {
            0 => name,
            count => format!("{name}-{count}"),
        });
        *before += 1;
    }
    found
}

fn follow(page: &Path, target: &str, pages: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => page.to_owned(),
        path => beside(page, path),
    };
    if !top().join(&file).exists() {
        return Err(format!("there is no {}", file.display()));
    }
    match pages.get(&file) {
        Some(text) if !anchor.is_empty() && !anchors(text).contains(anchor) => {
            Err(format!("{} has no heading of that name", file.display()))
        }
        _ => Ok(()),
    }
}

/// What a page means by a relative path, from the top.
fn beside(page: &Path, path: &str) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in page.parent().unwrap().join(path).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    whole
}

/// `docs/….md` in a source, but not in an address.
fn named_pages(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("docs/").filter_map(|(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c == '/' || c.is_alphanumeric()) {
            return None;
        }
        let outside = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '/' | '-' | '_' | '.');
        let word = text[at..].split(outside).next()?;
        word.strip_suffix('.')
            .unwrap_or(word)
            .ends_with(".md")
            .then(|| word.trim_end_matches('.'))
    })
}

/// Whether a word is a path of this repository, and not a pattern of several.
fn is_path(word: &str) -> bool {
    let first = word.split('/').next().unwrap();
    word.contains('/')
        && (SOURCES.contains(&first) || matches!(first, "docs" | "recipes"))
        && !word.contains(['*', '{', ' '])
        && !word.chars().any(|c| c.is_ascii_uppercase())
}

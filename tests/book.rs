//! The documentation as a book of HTML has no dead links: every `href` and `src` of
//! its pages leads to a file of the book, and every anchor to an element of that page.
//!
//! `ci/test` builds the book with `ci/docs` and names its folder by
//! `NODEIMG_TEST_BOOK`. Links of the Markdown, and those that leave the book, are
//! checked by `pages.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use nodeimg_test_support::judge;
use regex::Regex;
use walkdir::WalkDir;

/// Comments, and scripts without their tags: what is in them is not part of the page.
static NOT_PAGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)<!--.*?-->|(<script\b[^>]*>).*?</script>").unwrap());
static TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"<[a-zA-Z](?:"[^"]*"|[^">])*>"#).unwrap());
static ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"\s(href|src|id)="([^"]*)""#).unwrap());

#[test]
fn every_link_of_the_book_leads_somewhere() {
    let Some(book) = std::env::var_os("NODEIMG_TEST_BOOK") else {
        judge::missing("the book (ci/test makes it and sets NODEIMG_TEST_BOOK)");
        return;
    };
    let book = fs::canonicalize(&book).unwrap_or_else(|e| panic!("{}: {e}", book.display()));
    let pages = pages(&book);
    assert!(pages.len() > 20, "the book has only {} pages", pages.len());
    let mut wrong = Vec::new();
    let mut followed = 0;
    for (file, page) in &pages {
        for link in page.links.iter().filter(|link| stays_here(link)) {
            followed += 1;
            if let Err(why) = follow(link, file, &book, &pages) {
                wrong.push(format!("{}: ({link}): {why}", file.display()));
            }
        }
    }
    assert!(followed > 500, "followed only {followed} links");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn dead_links_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let book = fs::canonicalize(folder.path()).unwrap();
    fs::create_dir(book.join("a")).unwrap();
    fs::write(book.join("p.svg"), "").unwrap();
    let texts = [
        (
            "a/b.html",
            "<h1 id=\"x\">href=\"no\"</h1><!-- <a id=\"y\"> -->",
        ),
        (
            "c.html",
            "<a class=\"k\" href=\"a/b.html#x\"><a href=\"#here\"><img src=\"p.svg\"><p id=\"here\">\
             <a href=\"a/b.html#y\"><a href=\"a/c.html\"><a href=\"../\"><script src=\"s.js\">\"<a href='#z'>\"</script>",
        ),
        (
            "404.html",
            "<base href=\"/\"><a href=\"a/b.html?q#x\"><a href=\"/b.html\">",
        ),
    ];
    for (file, text) in texts {
        fs::write(book.join(file), text).unwrap();
    }
    let pages = pages(&book);
    let dead = pages.iter().flat_map(|(file, page)| {
        let links = page.links.iter();
        links.filter(|link| follow(link, file, &book, &pages).is_err())
    });
    let dead: Vec<&str> = dead.map(String::as_str).collect();
    assert_eq!(dead, ["/b.html", "a/b.html#y", "a/c.html", "../", "s.js"]);
    assert!(stays_here("a:b/c") && stays_here("#a"));
    assert!(!stays_here("https://x.org/") && !stays_here("mailto:a@x.org"));
}

struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
    /// Where its relative links begin.
    base: PathBuf,
}

/// The pages of a book by their whole paths.
fn pages(book: &Path) -> BTreeMap<PathBuf, Page> {
    let entries = WalkDir::new(book).into_iter().map(Result::unwrap);
    let files = entries.map(walkdir::DirEntry::into_path);
    files
        .filter(|file| file.extension().is_some_and(|ending| ending == "html"))
        .map(|file| {
            let page = read(&fs::read_to_string(&file).unwrap(), &file, book);
            (file, page)
        })
        .collect()
}

fn read(text: &str, file: &Path, book: &Path) -> Page {
    let mut page = Page {
        links: Vec::new(),
        anchors: BTreeSet::new(),
        base: file.parent().unwrap().to_owned(),
    };
    for tag in TAG.find_iter(&NOT_PAGE.replace_all(text, "$1")) {
        for found in ATTRIBUTE.captures_iter(tag.as_str()) {
            let value = found[2].replace("&amp;", "&");
            match &found[1] {
                "id" => drop(page.anchors.insert(value)),
                _ if tag.as_str().starts_with("<base ") => page.base = place(&value, &page, book),
                _ => page.links.push(value),
            }
        }
    }
    page
}

/// Whether a link is to this book: others begin with a scheme.
fn stays_here(link: &str) -> bool {
    !link.contains("://") && !link.starts_with("mailto:")
}

/// What the path of a link means on a page; the book is the root of its host.
fn place(path: &str, page: &Page, book: &Path) -> PathBuf {
    match path.strip_prefix('/') {
        Some(absolute) => book.join(absolute),
        None => page.base.join(path),
    }
}

fn follow(
    link: &str,
    file: &Path,
    book: &Path,
    pages: &BTreeMap<PathBuf, Page>,
) -> Result<(), String> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = path.split('?').next().unwrap();
    let target = match path {
        "" => file.to_owned(),
        path => fs::canonicalize(place(path, &pages[file], book)).map_err(|e| e.to_string())?,
    };
    if !target.is_file() || !target.starts_with(book) {
        return Err(format!("{} is not a file of the book", target.display()));
    }
    match pages.get(&target) {
        Some(page) if !anchor.is_empty() && !page.anchors.contains(anchor) => {
            Err(format!("{} has no `{anchor}`", target.display()))
        }
        _ => Ok(()),
    }
}

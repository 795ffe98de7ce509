//! The documentation inside nodeimg: `docs`, compressed by `build.rs`.

use std::io::Read;

use anyhow::{Context, Result};
use flate2::read::ZlibDecoder;

/// Pages in the order of their paths, each after a line `\0PATH`.
static PAGES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pages.z"));

/// One page.
pub struct Page {
    /// Below `docs`, without `.md`.
    path: String,
    pub text: String,
}

impl Page {
    /// The last part of its path; that of its folder if it is the folder's own.
    pub fn name(&self) -> &str {
        let path = self.path.strip_suffix("/README").unwrap_or(&self.path);
        path.rsplit('/').next().unwrap_or(path)
    }

    /// Its path below the documentation's folder.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn title(&self) -> &str {
        let mut titles = self.text.lines().filter_map(|line| line.strip_prefix("# "));
        titles.next().unwrap_or_default()
    }

    pub fn is_called(&self, name: &str) -> bool {
        let name = name.strip_prefix("docs/").unwrap_or(name);
        let name = name.strip_suffix(".md").unwrap_or(name);
        self.path == name || self.name() == name
    }
}

/// All pages.
///
/// # Errors
/// A program that is damaged.
pub fn all() -> Result<Vec<Page>> {
    let mut text = String::new();
    let mut unpacked = ZlibDecoder::new(PAGES);
    unpacked
        .read_to_string(&mut text)
        .context("unpacking the documentation inside nodeimg")?;
    let pages = text.split('\0').skip(1).filter_map(|page| {
        let (path, text) = page.split_once('\n')?;
        Some(Page {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    });
    Ok(pages.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_page_is_inside_under_a_name_of_its_own() {
        let pages = all().unwrap();
        let summary = include_str!("../../../../docs/SUMMARY.md");
        let listed: BTreeSet<&str> = summary
            .split(".md)")
            .filter_map(|part| part.rsplit_once('(').map(|(_, path)| path))
            .collect();
        let inside: BTreeSet<&str> = pages.iter().map(|page| page.path.as_str()).collect();
        assert_eq!(inside, listed);
        let names: BTreeSet<&str> = pages.iter().map(Page::name).collect();
        assert_eq!(names.len(), pages.len(), "{names:?}");
        for page in &pages {
            assert!(!page.title().is_empty(), "{}", page.path);
            let path = format!("{}/../docs/{}.md", env!("CARGO_MANIFEST_DIR"), page.path);
            assert_eq!(std::fs::read_to_string(path).unwrap(), page.text);
            assert!(page.is_called(page.name()) && page.is_called(&page.path));
        }
    }
}

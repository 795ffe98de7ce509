//! What is wrong with a recipe, each problem at its place in the file.

use anyhow::{Result, bail};

use super::source::{Source, Step, dotted};

/// Problems found so far, each with the key that it is about.
pub struct Problems<'a> {
    sources: &'a [Source],
    /// The key of the recipe that a flag of the command line has set.
    flag: Option<(&'static str, &'static str)>,
    found: Vec<String>,
}

impl<'a> Problems<'a> {
    pub fn new(sources: &'a [Source]) -> Problems<'a> {
        Problems {
            sources,
            flag: None,
            found: Vec::new(),
        }
    }

    /// What is wrong with `key` is the fault of `flag`, not of a file.
    pub fn by_flag(&mut self, key: &'static str, flag: &'static str) {
        self.flag = Some((key, flag));
    }

    /// Notes one, pointing at the first file that has the key.
    pub fn add(&mut self, way: &[Step<'_>], message: &str) {
        if let (Some((key, flag)), Some(Step::Key(first))) = (self.flag, way.first())
            && *first == key
        {
            self.found.push(format!("{flag}: {message}"));
            return;
        }
        let message = format!("{}: {message}", dotted(way));
        let at = self
            .sources
            .iter()
            .find_map(|source| Some((source, source.locate(way)?)));
        let text = match at {
            Some((source, span)) => source.report(Some(span), &message, None),
            None => self.sources.first().map_or(message.clone(), |source| {
                source.report(None, &message, None)
            }),
        };
        self.found.push(text);
    }

    pub fn done(self) -> Result<()> {
        if self.found.is_empty() {
            return Ok(());
        }
        bail!("{}", self.found.join("\n"))
    }
}

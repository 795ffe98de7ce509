//! What is wrong with a recipe, each problem at its place in the file.

use anyhow::{Result, bail};

use super::source::{Source, Step, dotted};

/// Problems found so far, each with the key that it is about.
pub struct Problems<'a> {
    sources: &'a [Source],
    /// The key of the recipe that a flag of the command line has set.
    flag: Option<(&'static str, &'static str)>,
    found: Vec<String>,
    warnings: Vec<String>,
}

impl<'a> Problems<'a> {
    pub fn new(sources: &'a [Source]) -> Problems<'a> {
        Problems {
            sources,
            flag: None,
            found: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What is wrong with `key` is the fault of `flag`, not of a file.
    pub fn by_flag(&mut self, key: &'static str, flag: &'static str) {
        self.flag = Some((key, flag));
    }

    /// Notes one, pointing at the first file that has the key.
    pub fn add(&mut self, way: &[Step<'_>], message: &str) {
        let text = self.located(way, message);
        self.found.push(text);
    }

    /// The same for what works today, but should not stay as it is.
    pub fn warn(&mut self, way: &[Step<'_>], message: &str) {
        let text = self.located(way, message);
        self.warnings.push(text);
    }

    /// The same without the line itself, which may hold a secret.
    pub fn add_unquoted(&mut self, way: &[Step<'_>], message: &str) {
        let at = self.sources.iter().find_map(|source| {
            let (line, column) = source.line_column(source.locate(way)?.start);
            Some(format!("{}:{line}:{column}: ", source.label))
        });
        let text = format!("{}{}: {message}", at.unwrap_or_default(), dotted(way));
        self.found.push(text);
    }

    /// `mine.toml:4:12: modules`: where `word` of the array at `way` stands, for what is found
    /// after the recipe was read.
    pub fn place_of_word(&self, way: &[Step<'_>], word: &str) -> String {
        let mut sources = self.sources.iter();
        let at = sources.find_map(|source| {
            let (line, column) = source.line_column(source.locate_word(way, word)?.start);
            Some(format!("{}:{line}:{column}: ", source.label))
        });
        format!("{}{}", at.unwrap_or_default(), dotted(way))
    }

    fn located(&self, way: &[Step<'_>], message: &str) -> String {
        if let (Some((key, flag)), Some(Step::Key(first))) = (self.flag, way.first())
            && *first == key
        {
            return format!("{flag}: {message}");
        }
        let message = format!("{}: {message}", dotted(way));
        let at = self
            .sources
            .iter()
            .find_map(|source| Some((source, source.locate(way)?)));
        match at {
            Some((source, span)) => source.report(Some(span), &message, None),
            None => self.sources.first().map_or(message.clone(), |source| {
                source.report(None, &message, None)
            }),
        }
    }

    /// The warnings, if there is nothing worse.
    pub fn done(self) -> Result<Vec<String>> {
        if self.found.is_empty() {
            return Ok(self.warnings);
        }
        bail!("{}", self.found.join("\n"))
    }
}

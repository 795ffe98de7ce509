//! What is wrong with a recipe, each problem at its place in the file.

use anyhow::{Result, bail};
use nodeimg_seed::contract::runtime::RUNTIMES;

use super::source::{Source, Step, dotted};

/// The section of the recipe's page that explains a key, by the first part of its way.
const SECTIONS: [(&str, &str); 10] = [
    ("artifact", "artifact"),
    ("base", "the-base-system"),
    ("file", "file"),
    ("health", "health"),
    ("kube_proxy", "kube-proxys-mode"),
    ("kubelet", RUN),
    ("kubernetes", "versions-of-kubernetes"),
    ("overlay", "overlays"),
    ("sysctl", RUN),
    ("trust", "who-vouches-for-it"),
];

/// That of what configures kubelet and the like; every runtime's table has it.
const RUN: &str = "what-kubelet-kube-proxy-and-the-container-runtime-take";

/// Where the documentation has more about the key at `way`.
fn explained(way: &[Step<'_>]) -> String {
    let first = way.first();
    let is = |key: &str| first == Some(&Step::Key(key));
    let named = SECTIONS.iter().find(|(key, _)| is(key));
    let section = match named {
        Some((_, section)) => section,
        None if RUNTIMES.iter().any(|runtime| is(runtime.name)) => RUN,
        None => "tables",
    };
    format!("see docs/reference/recipe.md#{section} (`nodeimg help reference/recipe`)")
}

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
        self.warnings.push(format!("{text}\n  {}", explained(way)));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As mdBook and GitHub make it of a heading.
    fn anchor(heading: &str) -> String {
        let kept = heading.to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || "- _".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    }

    #[test]
    fn every_section_that_is_named_is_there() {
        let page = include_str!("../../../../docs/reference/recipe.md");
        let headings = page.lines().filter(|line| line.starts_with('#'));
        let anchors: Vec<String> = headings
            .map(|line| anchor(line.trim_start_matches(['#', ' '])))
            .collect();
        let named = SECTIONS.iter().map(|(_, section)| *section);
        for section in named.chain(["tables"]) {
            assert!(
                anchors.iter().any(|one| one == section),
                "{section}: {anchors:?}"
            );
        }
        let way = [Step::Key("sysctl"), Step::Key("x")];
        assert!(explained(&way).starts_with("see docs/reference/recipe.md#what-kubelet"));
    }
}

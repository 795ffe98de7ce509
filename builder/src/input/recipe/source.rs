//! A recipe's text and how to point into it.

use std::fmt::Write;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anyhow::bail;
use clap::ValueEnum;
use nodeimg_values::arch::Arch;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// One TOML file: where it is and what it says.
#[derive(Clone, Debug)]
pub struct Source {
    /// As messages name it: the path that the user gave, or `hard-way (built in)`.
    pub label: String,
    pub text: String,
    /// Where relative paths in it start; `None` for a built-in one.
    pub directory: Option<PathBuf>,
}

/// One step of the way to a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    Key(&'a str),
    /// The table whose `name` (or `path`) is this, in an array of tables.
    Named(&'a str),
    Index(usize),
}

/// `[Key("artifact"), Named("runc"), Key("url")]` as `artifact.runc.url`.
pub fn dotted(way: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in way {
        let dot = if text.is_empty() { "" } else { "." };
        let _ = match step {
            Step::Key(key) | Step::Named(key) => write!(text, "{dot}{key}"),
            Step::Index(index) => write!(text, "[{index}]"),
        };
    }
    text
}

impl Source {
    /// Parses and checks every value; unknown keys are refused.
    ///
    /// # Errors
    /// With line, column, the line itself, a caret and, if one is near, a
    /// suggestion.
    pub fn parse<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        let parsed = toml::from_str(&self.text).map_err(|error| {
            let help = suggestion(error.message());
            anyhow::Error::msg(self.report(error.span(), error.message().trim(), help.as_deref()))
        })?;
        let table = DeTable::parse(&self.text).ok();
        match table.and_then(|table| doubled("", table.get_ref())) {
            Some((span, arch)) => bail!(
                "{}",
                self.report(
                    Some(span),
                    &format!("`{arch}` is here twice, by two of its names"),
                    None
                )
            ),
            None => Ok(parsed),
        }
    }

    /// A message with the place that it speaks of.
    pub fn report(&self, span: Option<Range<usize>>, message: &str, help: Option<&str>) -> String {
        let message = without_logins(message);
        let Some(span) = span else {
            let help = help.map(|h| format!("; {h}")).unwrap_or_default();
            return format!("{}: {message}{help}", self.label);
        };
        let (line, column) = self.line_column(span.start);
        let mut group = Level::ERROR
            .with_name(None::<&str>)
            .primary_title(format!("{}:{line}:{column}: {message}", self.label))
            .element(
                Snippet::source(without_logins(&self.text))
                    .path(self.label.as_str())
                    .annotation(AnnotationKind::Primary.span(self.clip(span))),
            );
        if let Some(help) = help {
            group = group.element(Level::HELP.message(help));
        }
        // The title stands on a line of its own and must not begin with the
        // renderer's `error` word: main.rs puts that before it.
        Renderer::plain()
            .render(&[group])
            .trim_start_matches(": ")
            .to_owned()
    }

    /// Line and column, both from 1, the column in characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// Where the value at `way` stands in this file, if it does.
    pub fn locate(&self, way: &[Step<'_>]) -> Option<Range<usize>> {
        let table = DeTable::parse(&self.text).ok()?;
        let (first, rest) = way.split_first()?;
        let Step::Key(key) = first else { return None };
        let value = table.get_ref().get(*key)?;
        locate_in(value.get_ref(), rest).unwrap_or(Some(value.span()))
    }

    /// Where `word` stands in the array at `way`.
    pub fn locate_word(&self, way: &[Step<'_>], word: &str) -> Option<Range<usize>> {
        let items = (0..).map_while(|index| {
            let step = Step::Index(index);
            let whole: Vec<Step<'_>> = way.iter().copied().chain([step]).collect();
            self.locate(&whole)
        });
        items
            .into_iter()
            .find(|span| self.text[span.clone()].trim_matches(['"', '\'']) == word)
    }

    /// Only the first line of a span: a caret under forty lines helps nobody.
    fn clip(&self, span: Range<usize>) -> Range<usize> {
        let end = self.text[span.start.min(self.text.len())..]
            .find('\n')
            .map_or(self.text.len(), |at| span.start + at);
        span.start..span.end.min(end).max(span.start)
    }
}

/// Where a table of architectures, at `key`, has one by two names (`x86_64` and `amd64`): the
/// map that it is read into would keep the last one.
fn doubled(key: &str, table: &DeTable<'_>) -> Option<(Range<usize>, Arch)> {
    let mut archs = Vec::new();
    for (name, value) in table {
        let of_archs = key == "url" || key == "source" || key.starts_with("arch_");
        if let Ok(arch) = <Arch as ValueEnum>::from_str(name.get_ref(), false)
            && of_archs
        {
            if archs.contains(&arch) {
                return Some((name.span(), arch));
            }
            archs.push(arch);
        }
        let inside = match value.get_ref() {
            DeValue::Table(table) => doubled(name.get_ref(), table),
            DeValue::Array(items) => items.iter().find_map(|item| match item.get_ref() {
                DeValue::Table(table) => doubled("", table),
                _ => None,
            }),
            _ => None,
        };
        if inside.is_some() {
            return inside;
        }
    }
    None
}

/// `None` = the way ends here; `Some(None)` = it leads nowhere.
fn locate_in(value: &DeValue<'_>, way: &[Step<'_>]) -> Option<Option<Range<usize>>> {
    let (step, rest) = way.split_first()?;
    let found = match (step, value) {
        (Step::Key(key), DeValue::Table(table)) => table.get(*key),
        (Step::Index(index), DeValue::Array(items)) => items.get(*index),
        (Step::Named(name), DeValue::Array(items)) => items.iter().find(|item| {
            let DeValue::Table(table) = item.get_ref() else { return false };
            ["name", "path"].iter().any(|key| {
                matches!(table.get(*key).map(|v| v.get_ref()), Some(DeValue::String(text)) if text == name)
            })
        }),
        _ => None,
    };
    let Some(found) = found else {
        return Some(None);
    };
    Some(locate_in(found.get_ref(), rest).unwrap_or(Some(found.span())))
}

/// Keys that older recipes have elsewhere, and where they are now.
const MOVED: [(&str, &str); 1] = [(
    "sandbox_image",
    "it is a key of the recipe itself, above its tables: the same for every container runtime",
)];

/// From serde's "unknown field `x`, expected one of `a`, `b`": the near one.
fn suggestion(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("unknown field `")
        .or_else(|| message.strip_prefix("unknown variant `"))?;
    let (unknown, expected) = rest.split_once('`')?;
    if let Some((_, place)) = MOVED.iter().find(|(key, _)| *key == unknown) {
        return Some((*place).to_owned());
    }
    let names = expected.split('`').skip(1).step_by(2);
    nearest(unknown, names).map(|name| format!("did you mean `{name}`?"))
}

/// The candidate most like `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// `text` with stars in the place of the logins of its URLs, of the same length: a line that
/// is shown may be the one that is refused for its login.
fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        let ends = |c: char| c == '/' || c == '"' || c == '\'' || c == '`' || c.is_whitespace();
        let host = &after[..after.find(ends).unwrap_or(after.len())];
        let login = host.rfind('@').unwrap_or_default();
        shown.push_str(before);
        shown.push_str(&"*".repeat(login));
        rest = &after[login..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            label: "x.toml".into(),
            text: text.into(),
            directory: None,
        }
    }

    #[test]
    fn values_are_located_through_tables_and_named_arrays() {
        let source = source("a = 1\n[t]\nb = \"x\"\n[[artifact]]\nname = \"runc\"\nurl = \"u\"\n");
        let at = |way: &[Step<'_>]| source.locate(way).map(|span| source.text[span].to_owned());
        assert_eq!(at(&[Step::Key("a")]).unwrap(), "1");
        assert_eq!(at(&[Step::Key("t"), Step::Key("b")]).unwrap(), "\"x\"");
        assert_eq!(
            at(&[Step::Key("artifact"), Step::Named("runc"), Step::Key("url")]).unwrap(),
            "\"u\""
        );
        assert_eq!(at(&[Step::Key("artifact"), Step::Named("crun")]), None);
        assert_eq!(at(&[Step::Key("t"), Step::Key("c")]), None);
    }

    #[test]
    fn a_report_shows_no_login() {
        #[derive(serde::Deserialize, Debug)]
        struct T {
            #[allow(dead_code)]
            url: crate::input::recipe::url::UrlTemplate,
        }
        for login in ["me:s3cret", "s3cret", "s3cret:x@y"] {
            let text = format!("url = \"https://{login}@x.example/a\" # https://{login}@y\n");
            let told = source(&text).parse::<T>().unwrap_err().to_string();
            assert!(!told.contains("s3cret"), "{told}");
            assert!(
                told.contains("@x.example/a") && told.contains("without a user"),
                "{told}"
            );
        }
        let plain = "a = \"https://x.example/a@1\" # b://c\n";
        assert_eq!(without_logins(plain), plain);
    }

    #[test]
    fn a_report_has_place_caret_and_help() {
        #[derive(serde::Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        struct T {
            #[allow(dead_code)]
            cluster_cidr: Option<u8>,
        }
        let text = source("\ncluster_cdir = 1\n")
            .parse::<T>()
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("x.toml:2:1: unknown field `cluster_cdir`"),
            "{text}"
        );
        assert!(text.contains("^^^^^^^^^^^^"), "{text}");
        assert!(text.contains("did you mean `cluster_cidr`?"), "{text}");

        let text = source("sandbox_image = 1\n").parse::<T>().unwrap_err();
        let text = text.to_string();
        assert!(text.contains("a key of the recipe itself"), "{text}");
    }
}

//! The fields of one configuration, for rules that look at their values. A value of another
//! type than its field's is as if it were not there: the types are judged before.

use serde_json::Value;

use super::wrong;
use crate::input::published::{Part, Release, Wrong, seconds};

pub struct Rules<'a> {
    pub release: &'a Release,
    pub program: &'static str,
    config: &'a Value,
    /// Whether it is the recipe's, which nodeimg adds to.
    pub is_of_recipe: bool,
    /// Whether the rest of it is not known: what a field needs may be there.
    pub is_part: bool,
    pub found: Vec<Wrong>,
}

/// A range of whole numbers, at the names that lead to the field.
pub type Range = (&'static [&'static str], i64, i64);
pub type Words = (&'static [&'static str], &'static [&'static str]);

impl<'a> Rules<'a> {
    pub fn new(release: &'a Release, program: &'static str, config: &'a Value) -> Rules<'a> {
        Rules {
            release,
            program,
            config,
            is_of_recipe: false,
            is_part: false,
            found: Vec::new(),
        }
    }

    /// The minor version of Kubernetes 1.
    pub fn minor(&self) -> u64 {
        let minor = self.release.minor().strip_prefix("1.");
        minor.and_then(|minor| minor.parse().ok()).unwrap_or(0)
    }

    pub fn value(&self, way: &[&str]) -> Option<&'a Value> {
        way.iter().try_fold(self.config, |at, key| at.get(*key))
    }

    pub fn number(&self, way: &[&str]) -> Option<f64> {
        self.value(way)?.as_f64()
    }

    pub fn int(&self, way: &[&str]) -> Option<i64> {
        self.value(way)?.as_i64()
    }

    pub fn is(&self, key: &str) -> Option<bool> {
        self.value(&[key])?.as_bool()
    }

    /// A text that is not empty, which is as if it were not there.
    pub fn text(&self, way: &[&str]) -> Option<&'a str> {
        self.value(way)?.as_str().filter(|text| !text.is_empty())
    }

    /// A duration in seconds.
    pub fn seconds(&self, way: &[&str]) -> Option<f64> {
        seconds(self.value(way)?.as_str()?)
    }

    /// The texts of a list, each with its place.
    pub fn list(&self, key: &str) -> Vec<(usize, &'a str)> {
        let items = self.value(&[key]).and_then(Value::as_array);
        let items = items.into_iter().flatten().enumerate();
        items
            .filter_map(|(index, item)| Some((index, item.as_str()?)))
            .collect()
    }

    /// The entries of a mapping to texts.
    pub fn pairs(&self, way: &[&str]) -> Vec<(&'a str, &'a str)> {
        let entries = self.value(way).and_then(Value::as_object);
        let entries = entries.into_iter().flatten();
        entries
            .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
            .collect()
    }

    /// Whether a feature gate is on, by this configuration or by default.
    pub fn gate(&self, name: &str) -> bool {
        let given = |name: &str| self.value(&["featureGates", name])?.as_bool();
        let Some(gate) = self.release.gate(name) else {
            return false;
        };
        let of_stage = match gate.stage {
            crate::input::published::Stage::Alpha => given("AllAlpha"),
            crate::input::published::Stage::Beta => given("AllBeta"),
            _ => None,
        };
        given(name).or(of_stage).unwrap_or(gate.is_on)
    }

    pub fn wrong(&mut self, way: &[&str], message: impl Into<String>) {
        self.found.push(wrong(way, message.into()));
    }

    pub fn wrong_item(&mut self, key: &str, index: usize, message: impl Into<String>) {
        let way = vec![Part::Key(key.to_owned()), Part::Index(index)];
        self.found.push(Wrong {
            way,
            message: message.into(),
        });
    }

    /// Numbers that must lie within their range.
    pub fn ranges(&mut self, ranges: &[Range]) {
        for (way, least, most) in ranges {
            let Some(value) = self.int(way) else { continue };
            if value < *least {
                self.wrong(way, format!("must be {least} or more, not {value}"));
            } else if value > *most {
                self.wrong(way, format!("must be {most} or less, not {value}"));
            }
        }
    }

    /// Texts that must be one of a few words.
    pub fn words(&mut self, words: &[Words]) {
        for (way, known) in words {
            let Some(text) = self.text(way) else { continue };
            if !known.contains(&text) {
                let message = not_one_of(text, known);
                self.wrong(way, message);
            }
        }
    }

    /// Durations that may not be less than that many seconds.
    pub fn at_least(&mut self, ways: &[&[&str]], least: f64) {
        for way in ways {
            if self.seconds(way).is_some_and(|seconds| seconds < least) {
                self.wrong(way, format!("must be {least}s or more"));
            }
        }
    }
}

/// `must be one of a, b and c`, with the near one.
pub fn not_one_of(text: &str, known: &[&str]) -> String {
    let all = nodeimg_seed::text::suggest::list(known.iter().copied());
    let near = nodeimg_seed::text::suggest::nearest(text, known.iter().copied());
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    format!("must be one of {all}, not `{text}`{near}")
}

/// Only the version before the program's own has hidden metrics to show.
pub fn hidden_metrics(rules: &mut Rules<'_>, version: &str) {
    let own = rules.release.minor();
    let before = format!("1.{}", rules.minor().saturating_sub(1));
    if before != version {
        rules.wrong(
            &["showHiddenMetricsForVersion"],
            format!("must be `{before}`, the version before {own}"),
        );
    }
}

//! A document against the fields of its type.

use nodeimg_seed::text::suggest::{list, nearest};
use serde_json::Value;

use super::{NEWEST, OLDEST, Release, of, value};

/// One step to a value of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    Key(String),
    Index(usize),
}

/// What a program would refuse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    pub way: Vec<Part>,
    pub message: String,
}

impl Release {
    /// What is wrong with a document of that `apiVersion` and kind, by the fields that
    /// Kubernetes publishes and their types. Programs of Kubernetes stop at a value of another
    /// type, and ignore an unknown field with a line in their logs.
    /// Nothing if `api` or `kind` is unknown: see [`Release::kinds`].
    pub fn check(&self, api: &str, kind: &str, document: &Value) -> Vec<Wrong> {
        let mut walk = Walk {
            release: self,
            api,
            way: Vec::new(),
            found: Vec::new(),
        };
        if self.kinds(api).iter().any(|known| known == kind) {
            walk.value(kind, document);
        }
        walk.found
    }
}

struct Walk<'a> {
    release: &'a Release,
    api: &'a str,
    way: Vec<Part>,
    found: Vec<Wrong>,
}

impl Walk<'_> {
    fn wrong(&mut self, message: String) {
        let way = self.way.clone();
        self.found.push(Wrong { way, message });
    }

    fn within(&mut self, part: Part, wanted: &str, value: &Value) {
        self.way.push(part);
        self.value(wanted, value);
        self.way.pop();
    }

    fn value(&mut self, wanted: &str, value: &Value) {
        // As Go has it, a null is a field that is not given.
        if value.is_null() {
            return;
        }
        let fields = self.release.type_of(self.api, wanted);
        let is_table = fields.is_some() || wanted.starts_with("map[");
        match (value, wanted.strip_prefix("[]")) {
            (Value::Array(items), Some(element)) => {
                for (index, item) in items.iter().enumerate() {
                    self.within(Part::Index(index), element, item);
                }
            }
            (Value::Object(items), _) if is_table => {
                let element = wanted.strip_prefix("map[string]");
                for (key, item) in items {
                    match element.or_else(|| fields?.get(key.as_str()).map(String::as_str)) {
                        Some(wanted) => self.within(Part::Key(key.clone()), wanted, item),
                        None => self.unknown(wanted, key),
                    }
                }
            }
            (_, Some(_)) => self.wrong(format!("must be a list, not {}", named(value))),
            _ if is_table => self.wrong(format!("must be a mapping, not {}", named(value))),
            _ => {
                if let Some(message) = value::misfit(wanted, value) {
                    self.wrong(message);
                }
            }
        }
    }

    fn unknown(&mut self, name: &str, key: &str) {
        self.way.push(Part::Key(key.to_owned()));
        let minor = self.release.minor();
        let known = self.release.fields(self.api, name);
        let others: Vec<&str> = (OLDEST..=NEWEST)
            .filter_map(of)
            .filter(|other| other.fields(self.api, name).any(|field| field == key))
            .map(Release::minor)
            .collect();
        let more = if !others.is_empty() {
            let others = list(others.iter().copied());
            format!(": it is one of Kubernetes {others}")
        } else if let Some(near) = nearest(key, known) {
            format!("; did you mean `{near}`?")
        } else {
            String::new()
        };
        self.wrong(format!(
            "{name} of Kubernetes {minor} has no such field{more}"
        ));
        self.way.pop();
    }
}

/// What a value is, for people.
pub fn named(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(bool) => format!("`{bool}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

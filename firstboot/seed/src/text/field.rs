//! Reads one YAML value as its key requires.
//!
//! # Invariants
//! A value that does not fit is a problem with file, line and key, and the
//! reader goes on: all problems of a seed are found in one run. Values are
//! never quoted here, since the reader does not know which are secret.
use crate::text::problem::{Located, Place, Problems};
use crate::text::secret::Secret;
use crate::text::yaml::{Kind, Node, Scalar};

/// A value and its place.
#[derive(Clone)]
pub struct Field<'a> {
    pub node: &'a Node,
    pub place: Place,
}

/// A key of a mapping, with the field below it.
pub struct Member<'a> {
    pub name: &'a str,
    pub field: Field<'a>,
}

impl<'a> Field<'a> {
    /// The field of a key of the top level.
    pub fn top(file: &str, key: &str, key_line: usize, node: &'a Node) -> Self {
        let place = Place::file(file).line(key_line).key(key);
        Self { node, place }
    }

    /// The members of a mapping; a value of another kind is a problem.
    pub fn members(&self, problems: &mut Problems) -> Option<Vec<Member<'a>>> {
        let Some(entries) = self.node.entries() else {
            self.expected("a mapping", problems);
            return None;
        };
        let parent = self.place.key.clone().unwrap_or_default();
        let members = entries.iter().map(|entry| {
            let name = entry.key.expose();
            let key = format!("{parent}.{}", shown(name));
            let place = Place::file(&self.place.file).line(entry.line).key(key);
            Member {
                name,
                field: Self {
                    node: &entry.value,
                    place,
                },
            }
        });
        Some(members.collect())
    }

    /// The member of that name, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<Self> {
        let entries = self.node.entries()?;
        let entry = entries.iter().find(|entry| entry.key.expose() == name)?;
        let parent = self.place.key.clone().unwrap_or_default();
        let place = self.place.clone().line(entry.line);
        Some(Self {
            node: &entry.value,
            place: place.key(format!("{parent}.{}", shown(name))),
        })
    }

    /// The value at the end of these names.
    pub fn at(&self, names: &[&str]) -> Option<Self> {
        let mut found = self.clone();
        for name in names {
            found = found.get(name)?;
        }
        Some(found)
    }

    /// Text as written: numbers stay text; booleans and empty values are refused.
    pub fn text(&self, problems: &mut Problems) -> Option<Located<String>> {
        let secret = self.secret(problems)?;
        let value = secret.value.expose().trim().to_owned();
        Some(Located {
            value,
            place: secret.place,
        })
    }

    /// Like [`Field::text`], kept secret and untrimmed; the place is the value's own line.
    pub fn secret(&self, problems: &mut Problems) -> Option<Located<Secret>> {
        let Kind::Scalar(scalar) = &self.node.kind else {
            self.expected("text", problems);
            return None;
        };
        if let Some(tag) = &scalar.tag {
            let reason = if shown(tag.trim_start_matches('!')) == HIDDEN {
                "has a YAML tag that is not supported".to_owned()
            } else {
                format!("has the YAML tag `{tag}`, which is not supported")
            };
            problems.error(&self.place, reason, "write the value as plain text");
            return None;
        }
        if scalar.is_null() || scalar.text.expose().trim().is_empty() {
            problems.error(&self.place, "is empty", "give a value or remove the key");
            return None;
        }
        if scalar.boolean().is_some() {
            let reason = "is a boolean in YAML, not text";
            problems.error(&self.place, reason, "put the value in quotes");
            return None;
        }
        Some(Located {
            value: scalar.text.clone(),
            place: self.place.clone(),
        })
    }

    /// Like [`Field::text`], for keys that are cloud-init's: what YAML 1.1 takes for a number
    /// or a time is refused if cloud-init would show it in another way than it is written.
    pub fn said(&self, problems: &mut Problems) -> Option<Located<String>> {
        (!self.is_misread(problems)).then(|| self.text(problems))?
    }

    /// Whether cloud-init reads something else than what is written, which is then reported.
    pub fn is_misread(&self, problems: &mut Problems) -> bool {
        let typed = self.node.scalar().and_then(Scalar::typed);
        let Some(typed) = typed.filter(|typed| !typed.as_written) else {
            return false;
        };
        let reason = format!(
            "is {} in YAML, which cloud-init would not take as it is written",
            typed.what
        );
        problems.error(&self.place, reason, "put the value in quotes");
        true
    }

    /// One text or a list of them.
    pub fn texts(&self, problems: &mut Problems) -> Vec<Located<String>> {
        self.each(Self::text, problems)
    }

    /// One text or a list of them, each as [`Field::said`] reads it.
    pub fn said_list(&self, problems: &mut Problems) -> Vec<Located<String>> {
        self.each(Self::said, problems)
    }

    fn each(
        &self,
        read: fn(&Self, &mut Problems) -> Option<Located<String>>,
        problems: &mut Problems,
    ) -> Vec<Located<String>> {
        match &self.node.kind {
            Kind::Sequence(items) if items.is_empty() => {
                problems.error(
                    &self.place,
                    "is an empty list",
                    "give a value or remove the key",
                );
                Vec::new()
            }
            Kind::Sequence(_) => self
                .items()
                .iter()
                .filter_map(|item| read(item, problems))
                .collect(),
            _ => read(self, problems).into_iter().collect(),
        }
    }

    /// The items of a list; nothing for any other value.
    pub fn items(&self) -> Vec<Self> {
        let Kind::Sequence(items) = &self.node.kind else {
            return Vec::new();
        };
        let item = |node: &'a Node| Self {
            node,
            place: self.place.clone().line(node.line),
        };
        items.iter().map(item).collect()
    }

    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        let value = self.node.scalar().and_then(Scalar::boolean);
        if value.is_none() {
            self.expected("`true` or `false`", problems);
        }
        value
    }

    pub fn expected(&self, wanted: &str, problems: &mut Problems) {
        let reason = format!("is {}, not {wanted}", self.node.what());
        problems.error(&self.place, reason, format!("write {wanted} here"));
    }
}

const HIDDEN: &str = "(not shown)";

/// A key as messages may show it. Indentation gone wrong can turn a line of a
/// private key into a YAML key, so only what looks like a key name is shown.
pub fn shown(key: &str) -> &str {
    let number = key.len() <= 10 && key.bytes().all(|byte| byte.is_ascii_digit());
    let name_like = key.len() <= 32
        && key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    // Base64 mixes cases and digits; key names do not.
    let mixed = key.contains(|c: char| c.is_ascii_digit())
        && key.contains(|c: char| c.is_ascii_uppercase())
        && key.contains(|c: char| c.is_ascii_lowercase());
    if (name_like && !mixed) || (number && !key.is_empty()) {
        key
    } else {
        HIDDEN
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Field, shown};
    use crate::text::problem::Problems;
    use crate::text::yaml;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let root = yaml::parse(text).unwrap().unwrap();
        let mut problems = Problems::new();
        let field = Field::top("f", "k", 1, root.get("k").unwrap());
        let texts = field.texts(&mut problems);
        (
            texts.into_iter().map(|text| text.value).collect(),
            problems.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn texts() {
        for (text, values, problem) in [
            ("k: a", vec!["a"], None),
            ("k: 0644", vec!["0644"], None),
            ("k: \"no\"", vec!["no"], None),
            ("k: [a, 1]", vec!["a", "1"], None),
            ("k: no", vec![], Some("f:1: k: is a boolean in YAML")),
            ("k:", vec![], Some("f:1: k: is empty")),
            ("k: ' '", vec![], Some("is empty")),
            ("k: {a: 1}", vec![], Some("is a mapping, not text")),
            ("k: []", vec![], Some("is an empty list")),
            (
                "k: [a,\n  [b]]",
                vec!["a"],
                Some("f:2: k: is a list, not text"),
            ),
            (
                "k: !!binary aGk=",
                vec![],
                Some("has the YAML tag `!!binary`"),
            ),
        ] {
            let (found, problems) = read(text);
            assert_eq!(found, values, "{text}");
            match problem {
                None => assert!(problems.is_empty(), "{text}: {problems:?}"),
                Some(part) => assert!(problems[0].contains(part), "{text}: {problems:?}"),
            }
        }
    }

    #[test]
    fn keys_that_may_be_secret_are_hidden() {
        for (key, visible) in [
            ("pod_subnet", true),
            ("nodeIP", true),
            ("1000", true),
            ("12345678901", false),
            ("topology.kubernetes.io/zone", true),
            ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", false),
            ("-----BEGIN PRIVATE KEY-----", false),
            ("abcdef.0123456789abcdef and more words", false),
            ("", false),
        ] {
            assert_eq!(shown(key) == key, visible, "{key}");
        }
    }
}

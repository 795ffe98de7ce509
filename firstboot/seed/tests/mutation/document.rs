//! A document as a tree that can be changed leaf by leaf, and written with a line for each.
use nodeimg_seed::text::yaml::{self, Kind, Node};
use serde_json::Value;

#[derive(Clone)]
pub enum Tree {
    /// A scalar as it is written in YAML and JSON: quoted, or a number, a boolean, nothing.
    Leaf(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// Where a leaf is: keys, and indices of lists.
pub type Path = Vec<String>;

/// A change of one place.
pub struct Mutation {
    pub what: &'static str,
    pub path: Path,
    pub tree: Tree,
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl Tree {
    /// `None` if the text is not YAML that is read.
    pub fn of(text: &str) -> Option<Self> {
        yaml::parse(text).ok().flatten().as_ref().map(Self::of_node)
    }

    fn of_node(node: &Node) -> Self {
        match &node.kind {
            Kind::Scalar(scalar) => {
                let text = scalar.text();
                let typed = scalar.boolean().is_some() || scalar.typed().is_some();
                let leaf = match &scalar.tag {
                    Some(tag) => format!("{tag} {}", quoted(text)),
                    None if scalar.is_null() => "null".to_owned(),
                    None if scalar.plain && typed => text.to_owned(),
                    None => quoted(text),
                };
                Self::Leaf(leaf)
            }
            Kind::Sequence(items) => Self::List(items.iter().map(Self::of_node).collect()),
            Kind::Mapping(entries) => Self::Map(
                entries
                    .iter()
                    .map(|entry| (entry.key.expose().to_owned(), Self::of_node(&entry.value)))
                    .collect(),
            ),
        }
    }

    pub fn text(text: &str) -> Self {
        Self::Leaf(quoted(text))
    }

    /// In flow style, with every value on its own line.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::List(items) => {
                out.push_str("[\n");
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ",\n" });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Map(members) => {
                out.push_str("{\n");
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ",\n" });
                    out.push_str(&quoted(key));
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Of the place, counted from the first line of the tree; `None` if it is not there.
    pub fn line_of(&self, path: &[String]) -> Option<usize> {
        fn count(tree: &Tree) -> usize {
            let mut text = String::new();
            tree.write(&mut text);
            text.matches('\n').count()
        }
        let Some((first, rest)) = path.split_first() else {
            return Some(0);
        };
        let mut line = 1;
        let members: Vec<(String, &Self)> = match self {
            Self::Leaf(_) => return None,
            Self::List(items) => {
                let numbered = items.iter().enumerate();
                numbered.map(|(at, item)| (at.to_string(), item)).collect()
            }
            Self::Map(members) => members
                .iter()
                .map(|(key, value)| (key.clone(), value))
                .collect(),
        };
        for (key, value) in members {
            if key == *first {
                return Some(line + value.line_of(rest)?);
            }
            line += count(value) + 1;
        }
        None
    }

    /// The top-level key is removed.
    pub fn without(&mut self, key: &str) {
        if let Self::Map(members) = self {
            members.retain(|(name, _)| name != key);
        }
    }

    pub fn mutations(&self) -> Vec<Mutation> {
        let mut found = Vec::new();
        let mut path = Vec::new();
        self.visit(&mut path, &mut |what, path, change| {
            let mut tree = self.clone();
            tree.change(path, change);
            found.push(Mutation {
                what,
                path: path.to_vec(),
                tree,
            });
        });
        found
    }

    fn visit(&self, path: &mut Path, found: &mut impl FnMut(&'static str, &[String], &Change)) {
        if !path.is_empty() {
            found("removed", path, &Change::Remove);
        }
        match self {
            Self::Leaf(text) => {
                for (what, other) in others(text) {
                    found(what, path, &Change::Put(Self::Leaf(other)));
                }
            }
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    item.visit(path, found);
                    path.pop();
                }
            }
            Self::Map(members) => {
                path.push("wibble".to_owned());
                found("an unknown key", path, &Change::Add);
                path.pop();
                for (key, value) in members {
                    path.push(key.clone());
                    found("renamed", path, &Change::Rename);
                    value.visit(path, found);
                    path.pop();
                }
            }
        }
    }

    fn change(&mut self, path: &[String], change: &Change) {
        let Some((first, rest)) = path.split_first() else {
            if let Change::Put(other) = change {
                *self = other.clone();
            }
            return;
        };
        match self {
            Self::Leaf(_) => {}
            Self::List(items) => {
                let at: usize = first.parse().unwrap();
                match change {
                    Change::Remove if rest.is_empty() => drop(items.remove(at)),
                    change => items[at].change(rest, change),
                }
            }
            Self::Map(members) => {
                let at = members.iter().position(|(key, _)| key == first);
                match (change, at) {
                    (Change::Add, _) if rest.is_empty() => {
                        members.push((first.clone(), Self::Leaf("1".to_owned())));
                    }
                    (Change::Remove, Some(at)) if rest.is_empty() => drop(members.remove(at)),
                    (Change::Rename, Some(at)) if rest.is_empty() => members[at].0.push('x'),
                    (change, Some(at)) => members[at].1.change(rest, change),
                    (_, None) => {}
                }
            }
        }
    }
}

enum Change {
    Put(Tree),
    Remove,
    Rename,
    Add,
}

/// Other scalars of the same kind.
fn others(text: &str) -> Vec<(&'static str, String)> {
    if let Some(inside) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    {
        let mut all = vec![("text with one more letter", format!("\"{inside}x\""))];
        // Of several lines, each of the first ones.
        let mut end = inside.len();
        let lines: Vec<&str> = inside.split("\\n").collect();
        for (index, line) in lines.iter().enumerate().rev() {
            let start = end - line.len();
            if index < 4 {
                let changed = with_another_letter(line)
                    .map(|line| format!("\"{}{line}{}\"", &inside[..start], &inside[end..]));
                all.extend(changed.map(|text| ("text with another letter", text)));
            }
            end = start.saturating_sub("\\n".len());
        }
        return all;
    }
    let number = text.parse::<i64>();
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => vec![("the other boolean", "false".to_owned())],
        "false" | "no" | "off" => vec![("the other boolean", "true".to_owned())],
        _ => match number {
            Ok(number) if text == number.to_string() => {
                vec![("another number", (number + 1).to_string())]
            }
            _ => Vec::new(),
        },
    }
}

/// In place of the last letter or digit.
fn with_another_letter(line: &str) -> Option<String> {
    let is_free = |at: usize| !line[..at].ends_with('\\');
    let (at, c) = line
        .char_indices()
        .rev()
        .find(|(at, c)| c.is_ascii_alphanumeric() && is_free(*at))?;
    let other = match c {
        '0'..='8' => char::from(u8::try_from(c).unwrap() + 1),
        '9' => '1',
        'b' => 'c',
        _ => 'b',
    };
    Some(format!("{}{other}{}", &line[..at], &line[at + 1..]))
}

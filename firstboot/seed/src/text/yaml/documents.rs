//! Text of several YAML documents, split as programs of Kubernetes split it.
//!
//! Source: `YAMLReader` of k8s.io/apimachinery, `pkg/util/yaml/decoder.go`.
use super::{Kind, Node, YamlError, parse};

/// One document.
#[derive(Clone)]
pub struct Document {
    /// Its first line.
    pub line: usize,
    /// `None` if there is nothing but comments, which such a program refuses.
    pub root: Option<Node>,
}

impl Document {
    /// The text of a key of the top level; empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        let value = self.root.as_ref().and_then(|root| root.get(key));
        value.and_then(Node::scalar).map_or("", super::Scalar::text)
    }
}

/// The documents of a text whose first line is line `first` of its file; the lines of their
/// nodes are those of the file.
pub fn documents(text: &str, first: usize) -> Result<Vec<Document>, YamlError> {
    let mut found = Vec::new();
    let (mut start, mut line, mut at) = (0, first, 0);
    for (number, whole) in text.split_inclusive('\n').enumerate() {
        let next = at + whole.len();
        if let Some(rest) = whole.strip_prefix("---").map(str::trim) {
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err(YamlError {
                    line: first + number,
                    column: 4,
                    reason: "something stands behind `---`, where Kubernetes takes only a comment"
                        .to_owned(),
                });
            }
            // One with nothing before it belongs to the document that it begins.
            if at > start {
                found.push(document(&text[start..at], line)?);
                (start, line) = (next, first + number + 1);
            }
        }
        at = next;
    }
    if at > start {
        found.push(document(&text[start..], line)?);
    }
    Ok(found)
}

fn document(text: &str, line: usize) -> Result<Document, YamlError> {
    let mut root = parse(text).map_err(|mut error| {
        error.line += line - 1;
        error
    })?;
    let is_nothing = |root: &Node| root.scalar().is_some_and(super::Scalar::is_null);
    root = root.filter(|root| !is_nothing(root));
    if let Some(root) = &mut root {
        move_by(root, line - 1);
    }
    Ok(Document { line, root })
}

/// Adds to the line of every node.
fn move_by(node: &mut Node, lines: usize) {
    node.line += lines;
    match &mut node.kind {
        Kind::Scalar(_) => {}
        Kind::Sequence(items) => items.iter_mut().for_each(|item| move_by(item, lines)),
        Kind::Mapping(entries) => {
            for entry in entries {
                entry.line += lines;
                move_by(&mut entry.value, lines);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::documents;

    #[test]
    fn split_as_kubernetes_does() {
        for (text, expected) in [
            ("a: 1\n", vec![(1, Some(1))]),
            (
                "---\na: 1\n---\n# c\nb: 1",
                vec![(1, Some(2)), (4, Some(5))],
            ),
            ("--- # c\na: 1\n--- \n", vec![(1, Some(2))]),
            ("a: 1\r\n---\r\nb: 1\r\n", vec![(1, Some(1)), (3, Some(3))]),
            ("a: 1\n---\n\n", vec![(1, Some(1)), (3, None)]),
            ("# c\n---\na: 1\n", vec![(1, None), (3, Some(3))]),
            ("---\n---\na: 1\n", vec![(1, None), (3, Some(3))]),
            ("a: |\n  ---\n  b\n", vec![(1, Some(1))]),
            ("", vec![]),
        ] {
            let found = documents(text, 1).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            let lines: Vec<_> = found
                .iter()
                .map(|found| (found.line, found.root.as_ref().map(|root| root.line)))
                .collect();
            assert_eq!(lines, expected, "{text}");
        }
        let shifted = documents("a: 1\n---\nb:\n- c: d\n", 10).unwrap();
        let root = shifted[1].root.as_ref().unwrap();
        let entry = &root.entries().unwrap()[0];
        assert_eq!((shifted[1].line, root.line, entry.line), (12, 12, 12));
        assert_eq!(entry.value.line, 13);
        for (text, line) in [("a: 1\n---\nb: [\n", 13), ("a: 1\n--- {b: 1}\n", 11)] {
            let error = documents(text, 10).err().expect(text);
            assert!(error.line >= 11 && error.line <= line, "{text}: {error:?}");
        }
    }
}

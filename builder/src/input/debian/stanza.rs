//! Stanzas of `Name: value` lines: Packages, Release and apt's `.sources` files
//! ([deb822](https://manpages.debian.org/deb822)), read without copying.

/// One stanza's text.
#[derive(Clone, Copy, Debug)]
pub struct Stanza<'a>(&'a str);

/// Every stanza of `text`, in its order.
pub fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    text.split("\n\n")
        .map(|part| Stanza(part.trim_matches('\n')))
        .filter(|stanza| !stanza.0.is_empty())
}

impl<'a> Stanza<'a> {
    /// The value of `name`, with its continuation lines, if it is there.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.fields()
            .find(|(there, _)| there.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All of it.
    pub fn text(&self) -> &'a str {
        self.0
    }

    /// Every field: name and value.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            loop {
                let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
                if rest.is_empty() {
                    return None;
                }
                if line.starts_with('#') {
                    rest = after;
                    continue;
                }
                let mut end = line.len();
                while rest[end..].starts_with("\n ") || rest[end..].starts_with("\n\t") {
                    let next = rest[end + 1..].find('\n');
                    end = next.map_or(rest.len(), |at| end + 1 + at);
                }
                let field = &rest[..end];
                rest = rest.get(end + 1..).unwrap_or("");
                if let Some((name, value)) = field.split_once(':') {
                    return Some((name, value.trim()));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fields_with_their_continuations() {
        let text =
            "Package: a\nDepends: b,\n c\n# a note\nX-Y:z\nno field\nEmpty:\n\n\nPackage: d\n";
        let all: Vec<_> = stanzas(text).collect();
        assert_eq!(all.len(), 2);
        let fields: Vec<_> = all[0].fields().collect();
        assert_eq!(
            fields,
            [
                ("Package", "a"),
                ("Depends", "b,\n c"),
                ("X-Y", "z"),
                ("Empty", "")
            ]
        );
        assert_eq!(all[0].field("package"), Some("a"));
        assert_eq!(all[1].field("Package"), Some("d"));
        assert_eq!(all[1].field("Depends"), None);
        assert_eq!(stanzas("\n\n\n").count(), 0);
    }
}

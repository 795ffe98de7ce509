//! Relations between packages: `a (>= 1) | b, c:any`
//! ([Debian Policy 7.1](https://www.debian.org/doc/debian-policy/ch-relationships.html#syntax-of-relationship-fields)).

use std::cmp::Ordering;
use std::fmt;

use anyhow::{Result, bail};

use super::version;

/// One package, at some versions of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relation<'a> {
    pub name: &'a str,
    pub version: Option<(Operator, &'a str)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

impl Operator {
    const ALL: [(&'static str, Operator); 5] = [
        ("<<", Operator::Earlier),
        ("<=", Operator::EarlierOrEqual),
        (">=", Operator::LaterOrEqual),
        (">>", Operator::Later),
        ("=", Operator::Equal),
    ];

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Operator::Earlier => ordering.is_lt(),
            Operator::EarlierOrEqual => ordering.is_le(),
            Operator::Equal => ordering.is_eq(),
            Operator::LaterOrEqual => ordering.is_ge(),
            Operator::Later => ordering.is_gt(),
        }
    }
}

impl<'a> Relation<'a> {
    /// Whether a package of this name at `version` is meant; a provided name
    /// may have none (7.5: it satisfies no versioned relation then).
    pub fn allows(&self, version: Option<&str>) -> bool {
        match (self.version, version) {
            (None, _) => true,
            (Some((operator, wanted)), Some(version)) => {
                operator.holds(version::compare(version, wanted))
            }
            (Some(_), None) => false,
        }
    }

    fn parse(text: &'a str) -> Result<Relation<'a>> {
        let (name, rest) = match text.find(|c: char| c.is_whitespace() || c == '(') {
            Some(at) => (&text[..at], text[at..].trim()),
            None => (text, ""),
        };
        // `python3:any`: the one architecture of an image is every architecture.
        let name = name.split(':').next().unwrap_or(name);
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
        if name.is_empty() || !name.chars().all(good) {
            bail!("`{}` is not a relation to a package", text.escape_debug());
        }
        if rest.is_empty() {
            return Ok(Relation {
                name,
                version: None,
            });
        }
        let inner = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')'));
        let version = inner.and_then(|inner| {
            let (_, operator) = Operator::ALL
                .iter()
                .find(|(sign, _)| inner.trim().starts_with(sign))?;
            let version = inner.trim().trim_start_matches(['<', '>', '=']).trim();
            let whole = !version.is_empty() && !version.contains(char::is_whitespace);
            whole.then_some((*operator, version))
        });
        if version.is_none() {
            bail!("`{}` is not a relation to a package", text.escape_debug());
        }
        Ok(Relation { name, version })
    }
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let Some((operator, version)) = self.version else {
            return Ok(());
        };
        let sign = Operator::ALL.iter().find(|(_, there)| *there == operator);
        write!(f, " ({} {version})", sign.map_or("", |(sign, _)| sign))
    }
}

/// A field's clauses, each with its alternatives in order.
pub fn clauses(field: &str) -> Result<Vec<Vec<Relation<'_>>>> {
    let parts = field.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| part.split('|').map(|r| Relation::parse(r.trim())).collect())
        .collect()
}

/// `a (>= 1) | b`, as messages show it.
pub fn shown(clause: &[Relation<'_>]) -> String {
    let texts: Vec<String> = clause.iter().map(ToString::to_string).collect();
    texts.join(" | ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fields_are_read_and_shown_again() {
        let field = "libc6 (>= 2.41),  perl:any,\n a (=1) | b(<<2~)|c (>> 1:3-4) , d (<= 5)";
        let shown: Vec<String> = clauses(field).unwrap().iter().map(|c| shown(c)).collect();
        let want = [
            "libc6 (>= 2.41)",
            "perl",
            "a (= 1) | b (<< 2~) | c (>> 1:3-4)",
            "d (<= 5)",
        ];
        assert_eq!(shown, want);
        assert!(clauses("").unwrap().is_empty());
        for bad in [
            "a b",
            "a (1)",
            "a (>= )",
            "a |",
            "A",
            "a (>= 1",
            "${misc:Depends}",
        ] {
            assert!(clauses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_that_are_allowed() {
        for (text, version, want) in [
            ("a", None, true),
            ("a", Some("1"), true),
            ("a (>= 1)", None, false),
            ("a (>= 1)", Some("1"), true),
            ("a (>> 1)", Some("1"), false),
            ("a (<< 2)", Some("2~rc"), true),
            ("a (<= 2)", Some("2.1"), false),
            ("a (= 1:2-3)", Some("1:2-3"), true),
        ] {
            assert_eq!(clauses(text).unwrap()[0][0].allows(version), want, "{text}");
        }
    }
}

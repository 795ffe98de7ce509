//! Lines of tmpfiles.d, sysusers.d, sysctl.d and udev's rules: what systemd's own programs
//! refuse or pass over at boot, and then go on as if the line was not there.
//!
//! [tmpfiles.d(5)](https://manpages.debian.org/trixie/systemd/tmpfiles.d.5.en.html),
//! [sysusers.d(5)](https://manpages.debian.org/trixie/systemd/sysusers.d.5.en.html),
//! [sysctl.d(5)](https://manpages.debian.org/trixie/systemd/sysctl.d.5.en.html),
//! [udev(7)](https://manpages.debian.org/trixie/udev/udev.7.en.html).
//! What systemd 252 or 257 takes is taken here; tests compare both.

mod sysctl;
mod sysusers;
mod tmpfiles;
mod udev;

use anyhow::Result;

use super::units::Accounts;
use super::{Findings, Judged, at};
use crate::tree::{ImagePath, Kind};

/// A larger file is not a configuration.
const MOST: u64 = 1 << 20;

/// A kind of file.
struct Format {
    /// Of folders and files, the first one wins.
    places: &'static [&'static str],
    ending: &'static str,
    /// What reads it.
    reader: &'static str,
    /// What is wrong with a line for which nothing is done then.
    wrong: fn(&str, &Ground<'_>) -> Option<String>,
    /// What is wrong, though its reader goes on with the rest of the line.
    odd: fn(&str) -> Option<String>,
    /// Signs that begin a comment.
    comments: &'static [char],
    /// Whether a `\` at its end joins a line with the next one.
    joins: bool,
}

const FORMATS: [Format; 4] = [
    Format {
        places: &["/etc/tmpfiles.d", "/usr/lib/tmpfiles.d"],
        ending: ".conf",
        reader: "systemd-tmpfiles",
        wrong: tmpfiles::wrong,
        odd: tmpfiles::odd,
        comments: &['#'],
        joins: false,
    },
    Format {
        places: &["/etc/sysusers.d", "/usr/lib/sysusers.d"],
        ending: ".conf",
        reader: "systemd-sysusers",
        wrong: sysusers::wrong,
        odd: |_| None,
        comments: &['#'],
        joins: false,
    },
    Format {
        places: &[
            "/etc/sysctl.d",
            "/usr/local/lib/sysctl.d",
            "/usr/lib/sysctl.d",
        ],
        ending: ".conf",
        reader: "systemd-sysctl",
        wrong: sysctl::wrong,
        odd: |_| None,
        comments: &['#', ';'],
        joins: false,
    },
    Format {
        places: &["/etc/udev/rules.d", "/usr/lib/udev/rules.d"],
        ending: ".rules",
        reader: "udev",
        wrong: udev::wrong,
        odd: |_| None,
        comments: &['#'],
        joins: true,
    },
];

/// What a line is judged against.
struct Ground<'a> {
    judged: &'a Judged<'a>,
    accounts: &'a Accounts,
}

pub fn judge(judged: &Judged<'_>, found: &mut Findings) -> Result<()> {
    let accounts = Accounts::of(judged.tree)?;
    let ground = Ground {
        judged,
        accounts: &accounts,
    };
    for (path, node) in judged.own() {
        let Kind::File(content) = &node.kind else {
            continue;
        };
        let Some(format) = FORMATS.iter().find(|format| format.has(path)) else {
            continue;
        };
        if !path.name().ends_with(format.ending) {
            if !path.name().starts_with("README") {
                found.warnings.push(format!(
                    "`{path}` (from {}) has no effect: {} reads only files whose names end in \
                     `{}`; rename it",
                    node.origin, format.reader, format.ending
                ));
            }
            continue;
        }
        let Ok(text) = String::from_utf8(content.head(MOST)?) else {
            continue;
        };
        if format.is_hidden(judged, path) {
            continue;
        }
        for (number, line) in format.lines(&text) {
            if let Some(wrong) = (format.wrong)(&line, &ground) {
                let place = at(path, number, &node.origin);
                found.add(&node.origin, format!("{place}: {wrong}"));
            } else if let Some(odd) = (format.odd)(&line) {
                let place = at(path, number, &node.origin);
                found.warnings.push(format!("{place}: {odd}"));
            }
        }
    }
    Ok(())
}

impl Format {
    fn has(&self, path: &ImagePath) -> bool {
        let parent = path.parent();
        parent.is_some_and(|parent| self.places.contains(&parent.as_str()))
    }

    /// Whether a file of the same name in an earlier folder takes its place.
    fn is_hidden(&self, judged: &Judged<'_>, path: &ImagePath) -> bool {
        let parent = path.parent();
        let own = |place: &&&str| parent.as_ref().is_some_and(|p| p.as_str() != **place);
        let mut earlier = self.places.iter().take_while(own);
        earlier.any(|place| {
            let other = format!("{place}/{}", path.name()).parse();
            other.is_ok_and(|other| judged.tree.get(&other).is_some())
        })
    }

    /// What is neither empty nor a comment, each with the number of its first line.
    fn lines(&self, text: &str) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        let mut pending: Option<(usize, String)> = None;
        for (index, line) in text.lines().enumerate() {
            // systemd's reader of lines takes a carriage return for a part of their end.
            let line = line.trim();
            let is_comment = line.starts_with(self.comments);
            if is_comment || (line.is_empty() && pending.is_none()) {
                continue;
            }
            let (number, begun) = pending.take().unwrap_or((index + 1, String::new()));
            match line.strip_suffix('\\').filter(|_| self.joins) {
                Some(start) => pending = Some((number, begun + start)),
                None => lines.push((number, begun + line)),
            }
        }
        lines.extend(pending);
        lines
    }
}

/// The first `most` words of a line and what follows them; `Err` if a quotation mark is
/// open at its end.
fn words(line: &str, most: usize) -> Result<(Vec<String>, &str), &'static str> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while words.len() < most && !rest.is_empty() {
        let (mut word, mut quote) = (String::new(), None);
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((index, c)) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    word.push(c);
                    word.extend(chars.next().map(|(_, next)| next));
                }
                (c, Some(open)) if c == open => quote = None,
                (c, Some(_)) => word.push(c),
                ('"' | '\'', None) => quote = Some(c),
                (c, None) if c.is_whitespace() => {
                    end = index;
                    break;
                }
                (c, None) => word.push(c),
            }
        }
        if quote.is_some() {
            return Err("has a quotation mark without its second one");
        }
        words.push(word);
        rest = rest[end..].trim_start();
    }
    Ok((words, rest.trim_end()))
}

/// A column that is left to its default.
fn is_default(word: &str) -> bool {
    matches!(word, "" | "-")
}

/// The specifiers of both formats that systemd 252 or 257 knows.
const SPECIFIERS: &str = "aAbBCgGhHlLmMoqStTuUvVwW%";

/// An unknown specifier in a text.
fn unknown_specifier(text: &str) -> Option<String> {
    let mut parts = text.chars();
    while let Some(c) = parts.next() {
        if c == '%'
            && let Some(next) = parts.next()
            && next.is_ascii_alphanumeric()
            && !SPECIFIERS.contains(next)
        {
            return Some(format!(
                "has the specifier `%{next}`, which is not one of its own: write `%%` for a percent \
                 sign"
            ));
        }
    }
    None
}

//! [sysusers.d(5)](https://manpages.debian.org/trixie/systemd/sysusers.d.5.en.html),
//! as far as packages use it.
//!
//! ```text
//! u   name  uid | uid:gid | uid:group | -   "GECOS"  home  shell     (u! = locked)
//! g   name  gid | -
//! m   user  group
//! r   (a range for dynamic ids: ours do not come from a range)
//! ```
//! Specifiers (`%`) and ids taken from a path's owner are refused: a build has
//! no running system to ask.

use anyhow::{Result, bail};

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    User {
        name: String,
        uid: Option<u32>,
        group: Option<Group>,
        gecos: String,
        home: String,
        shell: Option<String>,
    },
    Group {
        name: String,
        gid: Option<u32>,
    },
    Member {
        user: String,
        group: String,
    },
}

/// A user's primary group, if a line names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Group {
    Id(u32),
    Name(String),
}

/// Every line of a file that says something.
pub fn parse(text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for raw in text.lines() {
        let raw = raw.trim();
        if raw.is_empty() || raw.starts_with('#') {
            continue;
        }
        match line(&words(raw)?) {
            Ok(found) => lines.extend(found),
            Err(error) => bail!("`{raw}`: {error}"),
        }
    }
    Ok(lines)
}

/// Words, with double quotes around those that hold blanks.
fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some(pair) => pair,
                None => bail!("`{line}`: a quotation mark is not closed"),
            },
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

fn line(words: &[String]) -> Result<Option<Line>> {
    let field = |at: usize| {
        words
            .get(at)
            .map(String::as_str)
            .filter(|word| !word.is_empty() && *word != "-")
    };
    let Some(name) = field(1) else {
        bail!("has no name");
    };
    if words.iter().any(|word| word.contains('%')) {
        bail!("holds a specifier (`%`), which only a running system could fill in");
    }
    let name = name.to_owned();
    let kind = field(0).unwrap_or_default();
    Ok(Some(match kind.trim_end_matches(['!', '+', '-']) {
        "u" => {
            let (uid, group) = user_ids(field(2))?;
            Line::User {
                name,
                uid,
                group,
                gecos: field(3).unwrap_or_default().to_owned(),
                home: field(4).unwrap_or("/").to_owned(),
                shell: field(5).map(str::to_owned),
            }
        }
        "g" => Line::Group {
            name,
            gid: field(2).map(id).transpose()?,
        },
        "m" => match field(2) {
            Some(group) => Line::Member {
                user: name,
                group: group.to_owned(),
            },
            None => bail!("has no group"),
        },
        "r" => return Ok(None),
        other => bail!("`{other}` is not one of u, g, m, r"),
    }))
}

fn user_ids(field: Option<&str>) -> Result<(Option<u32>, Option<Group>)> {
    let Some(field) = field else {
        return Ok((None, None));
    };
    let Some((uid, group)) = field.split_once(':') else {
        return Ok((Some(id(field)?), None));
    };
    let uid = match uid {
        "-" => None,
        number => Some(id(number)?),
    };
    let group = match group.parse() {
        Ok(gid) => Group::Id(gid),
        Err(_) => Group::Name(group.to_owned()),
    };
    Ok((uid, Some(group)))
}

fn id(text: &str) -> Result<u32> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) if text.starts_with('/') => {
            bail!("takes its id from the owner of {text}, which only a running system could do")
        }
        Err(_) => bail!("`{text}` is not a numeric id"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_of_every_kind() {
        let text = "# c\nu! a 5 \"An A\" /a /bin/sh\nu b -:nogroup\nu c 4:60\n\ng d -\ng e 7 -\nm a d\nr - 500-900\n";
        let user = |name: &str, uid, group| Line::User {
            name: name.into(),
            uid,
            group,
            gecos: String::new(),
            home: "/".into(),
            shell: None,
        };
        let want = [
            Line::User {
                name: "a".into(),
                uid: Some(5),
                group: None,
                gecos: "An A".into(),
                home: "/a".into(),
                shell: Some("/bin/sh".into()),
            },
            user("b", None, Some(Group::Name("nogroup".into()))),
            user("c", Some(4), Some(Group::Id(60))),
            Line::Group {
                name: "d".into(),
                gid: None,
            },
            Line::Group {
                name: "e".into(),
                gid: Some(7),
            },
            Line::Member {
                user: "a".into(),
                group: "d".into(),
            },
        ];
        let text = text.replace("r - 500-900\n", "");
        assert_eq!(parse(&text).unwrap(), want);
        assert_eq!(parse("r x 500-900").unwrap(), []);
    }

    #[test]
    fn what_a_build_cannot_know_is_refused() {
        for (bad, why) in [
            ("u a /usr/bin/a", "running system"),
            ("u a 5 %H", "specifier"),
            ("x a 5", "not one of"),
            ("u", "no name"),
            ("m a", "no group"),
            ("u a 5 \"open", "not closed"),
            ("g a five", "not a numeric id"),
        ] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}

//! `TYPE NAME ID GECOS HOME SHELL`.

use super::{Ground, is_default, unknown_specifier, words};

/// What is wrong with a line.
pub fn wrong(line: &str, ground: &Ground<'_>) -> Option<String> {
    reason(line, ground).map(|reason| format!("{reason} (systemd-sysusers passes over the line)"))
}

fn reason(line: &str, _: &Ground<'_>) -> Option<String> {
    let (columns, rest) = match words(line, 6) {
        Ok(found) => found,
        Err(reason) => return Some(reason.to_owned()),
    };
    let column = |index: usize| columns.get(index).map_or("", String::as_str);
    let (kind, name, id) = (column(0), column(1), column(2));
    if !matches!(kind, "u" | "u!" | "g" | "m" | "r") {
        return Some(format!(
            "`{kind}` is not a type of line: they are u, g, m and r"
        ));
    }
    if name.is_empty() {
        return Some("has no name after its type".to_owned());
    }
    if !rest.is_empty() {
        return Some(format!(
            "`{rest}` follows the last column: a description of several words stands between `\"`"
        ));
    }
    let specifier = columns[1..].iter().find_map(|word| unknown_specifier(word));
    if specifier.is_some() {
        return specifier;
    }
    let is_range = kind == "r";
    if is_range && !is_default(name) {
        return Some("a line of type `r` has `-` as its name".to_owned());
    }
    if !is_range && !is_name(name) {
        return Some(format!(
            "`{name}` is not a name: at most 31 letters, digits, `-` and `_`, no digit or `-` first"
        ));
    }
    wrong_id(kind, id).or_else(|| match kind.starts_with('u') {
        true => wrong_account(column(3), column(4), column(5)),
        false => (3..6).find_map(|index| {
            let given = column(index);
            let is_more = !is_default(given);
            is_more.then(|| format!("a line of type `{kind}` has no column for `{given}`"))
        }),
    })
}

/// As systemd takes it strictly; one with a specifier is filled in at boot.
fn is_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let other = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.contains('%') || name.starts_with(first) && name.chars().all(other) && name.len() <= 31
}

fn is_number(id: &str) -> bool {
    // Both stand for none.
    id.parse::<u32>()
        .is_ok_and(|id| !matches!(id, 65535 | u32::MAX))
}

fn wrong_id(kind: &str, id: &str) -> Option<String> {
    if id.contains('%') {
        return None;
    }
    match kind {
        "m" if is_default(id) => Some("has no group after the user".to_owned()),
        "m" if !is_name(id) => Some(format!("`{id}` is not the name of a group")),
        "m" => None,
        "r" => {
            let (first, last) = id.split_once('-').unwrap_or((id, id));
            let fits = is_number(first) && is_number(last);
            let is_range = fits && first.parse::<u32>().ok() <= last.parse().ok();
            (!is_range).then(|| format!("`{id}` is not a range: write `500-600`"))
        }
        _ if is_default(id) || id.starts_with('/') || is_number(id) => None,
        "g" => Some(format!("`{id}` is not the number of a group, or a path")),
        _ => {
            let fits = id.split_once(':').is_some_and(|(user, group)| {
                (user == "-" || is_number(user)) && (is_number(group) || is_name(group))
            });
            (!fits)
                .then(|| format!("`{id}` is not the number of a user, a path, or `NUMBER:GROUP`"))
        }
    }
}

fn wrong_account(gecos: &str, home: &str, shell: &str) -> Option<String> {
    if gecos.contains([':', '\n']) {
        return Some(format!("the description `{gecos}` has a `:`"));
    }
    [(home, "home"), (shell, "shell")]
        .into_iter()
        .find(|(path, _)| !is_default(path) && !path.starts_with(['/', '%']))
        .map(|(path, what)| format!("its {what} `{path}` is not an absolute path"))
}

//! `TYPE PATH MODE USER GROUP AGE ARGUMENT`.

use super::{Ground, is_default, unknown_specifier, words};
use crate::image::consistency::near;
use crate::tree::ImagePath;

const TYPES: &str = "aAbcCdDefFhHLmpqQrRtTvwxXzZ";
/// Those after a type, each once.
const MODIFIERS: &str = "!+-=~^$?";
/// Those that make what is not there.
const MAKING: &str = "bcCdDfFLpqQv";
/// Those that are nothing without an argument.
const ARGUED: &str = "aAbchHtTw";
/// Those that take none.
const PLAIN: &str = "dDemrRvqQxXpzZ";

/// What is wrong with a line.
pub fn wrong(line: &str, ground: &Ground<'_>) -> Option<String> {
    reason(line, ground).map(|reason| format!("{reason} (systemd-tmpfiles passes over the line)"))
}

fn reason(line: &str, ground: &Ground<'_>) -> Option<String> {
    let (columns, argument) = match words(line, 6) {
        Ok(found) => found,
        Err(reason) => return Some(reason.to_owned()),
    };
    let column = |index: usize| columns.get(index).map_or("", String::as_str);
    let (kind, path) = (column(0), column(1));
    if path.is_empty() {
        return Some("has no path after its type".to_owned());
    }
    let letter = kind.chars().next().unwrap_or(' ');
    wrong_kind(kind)
        .or_else(|| wrong_path(path))
        .or_else(|| wrong_mode(column(2)))
        .or_else(|| wrong_owner(column(3), column(4), ground))
        .or_else(|| wrong_age(column(5)))
        .or_else(|| wrong_argument(kind, argument))
        .or_else(|| {
            // With `-`, what cannot be made does not matter.
            let makes = MAKING.contains(letter) && !kind[1..].contains('-');
            makes.then(|| sealed(path, ground)).flatten()
        })
}

/// An argument that is ignored.
pub fn odd(line: &str) -> Option<String> {
    let (columns, argument) = words(line, 6).ok()?;
    let letter = columns.first()?.chars().next()?;
    let is_ignored = PLAIN.contains(letter) && !is_default(argument);
    is_ignored
        .then(|| format!("a line of type `{letter}` takes no argument: `{argument}` is ignored"))
}

fn wrong_kind(kind: &str) -> Option<String> {
    let mut letters = kind.chars();
    let letter = letters.next()?;
    if !TYPES.contains(letter) {
        return Some(format!("`{letter}` is not a type of line"));
    }
    let modifiers = letters.as_str();
    let is_bad = |(index, c): (usize, char)| {
        !MODIFIERS.contains(c) || modifiers[..index].contains(c) || c == '?' && letter != 'L'
    };
    let bad = modifiers.char_indices().find(|found| is_bad(*found))?;
    Some(format!(
        "`{kind}` has `{}` after the type `{letter}`, which is not a modifier there",
        bad.1
    ))
}

fn wrong_path(path: &str) -> Option<String> {
    if let Some(reason) = unknown_specifier(path) {
        return Some(reason);
    }
    // Some specifiers are whole paths.
    if !path.starts_with(['/', '%']) {
        return Some(format!("`{path}` is not an absolute path"));
    }
    let mut parts = path.split('/');
    parts
        .any(|part| part == "..")
        .then(|| format!("`{path}` has a `..`"))
}

fn wrong_mode(mode: &str) -> Option<String> {
    if is_default(mode) {
        return None;
    }
    let plain = mode.trim_start_matches(['~', ':']);
    let is_octal = !plain.is_empty() && plain.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let fits = u32::from_str_radix(plain, 8).is_ok_and(|mode| mode <= 0o7777);
    (!is_octal || !fits).then(|| format!("`{mode}` is not a mode: write it like `0755`"))
}

fn wrong_owner(user: &str, group: &str, ground: &Ground<'_>) -> Option<String> {
    if !ground.judged.has_base() {
        return None;
    }
    let accounts = ground.accounts;
    for (name, known, what, letter) in [
        (user, &accounts.users, "user", 'u'),
        (group, &accounts.groups, "group", 'g'),
    ] {
        let plain = name.strip_prefix(':').unwrap_or(name);
        let is_number = plain.bytes().all(|byte| byte.is_ascii_digit());
        if is_default(plain) || is_number && plain.parse::<u32>().is_ok() {
            continue;
        }
        if plain == "root" || plain.contains('%') || known.contains(plain) {
            continue;
        }
        let hint = match near(plain, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("a line `{letter} {plain} -` in a file of /etc/sysusers.d makes one")
            }
        };
        return Some(format!("the image has no {what} `{plain}`; {hint}"));
    }
    None
}

/// `10d`, after `~` and the times that count, as in `aAbBcCmM:10d`.
fn wrong_age(age: &str) -> Option<String> {
    if is_default(age) {
        return None;
    }
    let plain = age.trim_start_matches('~');
    let span = match plain.split_once(':') {
        Some((by, _)) if by.is_empty() || !by.chars().all(|c| "aAbBcCmM".contains(c)) => {
            return Some(format!(
                "`{by}` in `{age}` names no times: they are a, b, c, m, for directories in upper \
                 case"
            ));
        }
        Some((_, span)) => span,
        None => plain,
    };
    (!is_span(span)).then(|| format!("`{age}` is not an age: write it like `10d`"))
}

/// A time span of systemd.time(7).
pub fn is_span(text: &str) -> bool {
    const UNITS: &[&str] = &[
        "", "us", "usec", "\u{b5}s", "\u{3bc}s", "ms", "msec", "s", "sec", "second", "seconds",
        "m", "min", "minute", "minutes", "h", "hr", "hour", "hours", "d", "day", "days", "w",
        "week", "weeks", "M", "month", "months", "y", "year", "years",
    ];
    let text = text.trim();
    if text == "infinity" {
        return true;
    }
    let mut rest = text;
    let mut count = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let after = rest[digits..].trim_start();
        let end = after
            .find(|c: char| c.is_ascii_digit() || c.is_whitespace())
            .unwrap_or(after.len());
        if digits == 0 || !UNITS.contains(&&after[..end]) {
            return false;
        }
        rest = after[end..].trim_start();
        count += 1;
    }
    count > 0
}

fn wrong_argument(kind: &str, argument: &str) -> Option<String> {
    let letter = kind.chars().next()?;
    if is_default(argument) {
        let needs = ARGUED.contains(letter) || kind[1..].contains('^');
        return needs.then(|| format!("a line of type `{letter}` needs an argument"));
    }
    if PLAIN.contains(letter) {
        return None;
    }
    let is_encoded = |c: char| c.is_ascii_alphanumeric() || "+/= \t".contains(c);
    if kind[1..].contains('~') && !argument.chars().all(is_encoded) {
        return Some(format!("its argument `{argument}` is not in base64"));
    }
    if let Some(reason) = unknown_specifier(argument) {
        return Some(format!("its argument {reason}"));
    }
    match letter {
        'C' if !argument.starts_with(['/', '%']) => {
            Some(format!("its source `{argument}` is not an absolute path"))
        }
        'b' | 'c' => {
            let parts = argument.split_once(':');
            let is_number = |part: &str| part.parse::<u32>().is_ok();
            let fits = parts.is_some_and(|(major, minor)| is_number(major) && is_number(minor));
            (!fits).then(|| format!("`{argument}` is not a device: write `MAJOR:MINOR`"))
        }
        'h' | 'H' => {
            let letters = argument.trim_start_matches(['+', '-', '=']);
            let bad = letters
                .chars()
                .find(|c| !"aAcCdDeijmPsStTux".contains(*c))?;
            Some(format!(
                "`{bad}` in `{argument}` is not an attribute of files"
            ))
        }
        _ => None,
    }
}

/// Whether it would be made where nothing can be.
fn sealed(path: &str, ground: &Ground<'_>) -> Option<String> {
    let judged = ground.judged;
    let place: ImagePath = path.trim_end_matches('/').parse().ok()?;
    let etc: ImagePath = "/etc".parse().ok()?;
    let is_open = !judged.has_base()
        || path.contains('%')
        || place.is_within(&etc)
        || judged.comes_later(&place)
        || judged.tree.get(&place).is_some();
    (!is_open).then(|| {
        format!(
            "`{path}` is in a read-only part of the image and is not there: make it below /var, \
             /etc or /run, or add its directory to the recipe's `writable`"
        )
    })
}

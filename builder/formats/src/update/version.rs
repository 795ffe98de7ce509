//! The order of versions
//! ([Version Format Specification](https://uapi-group.org/specifications/specs/version_format_specification/)),
//! which systemd-boot and systemd-sysupdate also follow.

use std::cmp::Ordering;

/// Whether `text` may be an IMAGE_VERSION: it is part of names of files and partitions.
pub fn is_version(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".,_-+~^".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// Which of two versions is the newer one.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        (left, right) = (skip_unknown(left), skip_unknown(right));
        // A pre-release, `1~rc1`, is older than what it leads to, and the end of a text.
        if let Some(order) = special(b'~', &mut left, &mut right, Ordering::Less) {
            return order;
        }
        if left.is_empty() || right.is_empty() {
            return left.len().cmp(&right.len());
        }
        // Then `-`, `^` and `.` in this order.
        for separator in *b"-^." {
            if let Some(order) = special(separator, &mut left, &mut right, Ordering::Less) {
                return order;
            }
        }
        let order = run(&mut left, &mut right);
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn skip_unknown(text: &[u8]) -> &[u8] {
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(byte);
    let start = text.iter().position(known).unwrap_or(text.len());
    &text[start..]
}

/// If one of the two begins with `byte`, it is the `with` one; if both do, it is taken off both.
fn special(byte: u8, left: &mut &[u8], right: &mut &[u8], with: Ordering) -> Option<Ordering> {
    match (left.first() == Some(&byte), right.first() == Some(&byte)) {
        (true, false) => Some(with),
        (false, true) => Some(with.reverse()),
        (true, true) => {
            (*left, *right) = (&left[1..], &right[1..]);
            None
        }
        (false, false) => None,
    }
}

/// Compares a number or a word at the beginning of both, and takes it off.
fn run(left: &mut &[u8], right: &mut &[u8]) -> Ordering {
    let is_digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
    if is_digit(left) || is_digit(right) {
        let (a, b) = (
            take(left, u8::is_ascii_digit),
            take(right, u8::is_ascii_digit),
        );
        // No number is older than any number.
        let both = (!a.is_empty()).cmp(&!b.is_empty());
        let (a, b) = (without_zeros(a), without_zeros(b));
        return both.then(a.len().cmp(&b.len())).then_with(|| a.cmp(b));
    }
    let a = take(left, u8::is_ascii_alphabetic);
    let b = take(right, u8::is_ascii_alphabetic);
    // Uppercase letters are older; a word is older than the longer one that begins with it.
    a.cmp(b)
}

fn take<'a>(text: &mut &'a [u8], kind: impl Fn(&u8) -> bool) -> &'a [u8] {
    let end = text
        .iter()
        .position(|byte| !kind(byte))
        .unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|digit| *digit != b'0');
    &number[start.unwrap_or(number.len())..]
}

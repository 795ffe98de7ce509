//! Which of two Debian versions is later
//! ([Debian Policy 5.6.12](https://www.debian.org/doc/debian-policy/ch-controlfields.html#version)).

use std::cmp::Ordering;

/// `[epoch:]upstream[-revision]`, part by part.
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((epoch_a, a), (epoch_b, b)) = (epoch(a), epoch(b));
    let ((upstream_a, revision_a), (upstream_b, revision_b)) = (revision(a), revision(b));
    part(epoch_a, epoch_b)
        .then_with(|| part(upstream_a, upstream_b))
        .then_with(|| part(revision_a, revision_b))
}

fn epoch(version: &str) -> (&str, &str) {
    version.split_once(':').unwrap_or(("0", version))
}

fn revision(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, "0"))
}

/// Text and numbers in turn.
fn part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let (text_a, text_b) = (
            span(a, |c| !c.is_ascii_digit()),
            span(b, |c| !c.is_ascii_digit()),
        );
        // What is shorter is followed by its end, which `~` alone comes before.
        let weights = |text: &[u8], at: usize| text.get(at).map_or(0, |&c| weight(c));
        for at in 0..text_a.len().max(text_b.len()) {
            match weights(text_a, at).cmp(&weights(text_b, at)) {
                Ordering::Equal => {}
                differs => return differs,
            }
        }
        (a, b) = (&a[text_a.len()..], &b[text_b.len()..]);
        let (digits_a, digits_b) = (span(a, u8::is_ascii_digit), span(b, u8::is_ascii_digit));
        match number(digits_a).cmp(&number(digits_b)) {
            Ordering::Equal => {}
            differs => return differs,
        }
        (a, b) = (&a[digits_a.len()..], &b[digits_b.len()..]);
    }
    Ordering::Equal
}

fn span(text: &[u8], inside: impl Fn(&u8) -> bool) -> &[u8] {
    let end = text.iter().position(|c| !inside(c));
    &text[..end.unwrap_or(text.len())]
}

/// `~` before the end, the end before letters, letters before the rest.
fn weight(c: u8) -> i32 {
    match c {
        b'~' => -1,
        _ if c.is_ascii_alphabetic() => i32::from(c),
        _ => i32::from(c) + 256,
    }
}

/// Numbers of any length: the longer one is larger.
fn number(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = span(digits, |&c| c == b'0').len();
    (digits.len() - zeros, &digits[zeros..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn policys_own_examples() {
        let order = ["~~", "~~a", "~", "", "a"];
        for (at, a) in order.iter().enumerate() {
            for (other, b) in order.iter().enumerate() {
                assert_eq!(part(a, b), at.cmp(&other), "{a:?} {b:?}");
            }
        }
        for (a, b, want) in [
            ("1.0", "1.0-0", Ordering::Equal),
            ("1.00", "1.0", Ordering::Equal),
            ("2a0", "0:2a", Ordering::Equal),
            ("1a007", "1a7", Ordering::Equal),
            ("2:1", "1:9", Ordering::Greater),
            ("1.0-1", "1.0-1+b1", Ordering::Less),
            ("6.12.107-1", "6.12.117-1", Ordering::Less),
            ("1.0~rc1-1", "1.0-1", Ordering::Less),
            ("1.a", "1.+", Ordering::Less),
            (
                "99999999999999999999999",
                "100000000000000000000000",
                Ordering::Less,
            ),
        ] {
            assert_eq!(compare(a, b), want, "{a} {b}");
        }
    }

    /// Against another implementation, on versions made of all that matters:
    /// a fixed generator, so that a failure comes again.
    #[test]
    fn another_implementation_agrees() {
        // No zero after text: to dpkg `2a0` is `2a`, to the other one it is not.
        const PIECES: [&str; 14] = [
            "1", "9", "10", "a", "z", "Z", "~", "+", ".", "-", "b1", "deb13u2", "rc", "",
        ];
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut version = || {
            let mut text = ["", "", "1:", "0:"][next(4)].to_owned() + &next(3).to_string();
            for _ in 0..next(6) {
                text += PIECES[next(PIECES.len())];
            }
            text.trim_end_matches('-').to_owned()
        };
        for _ in 0..20_000 {
            let (a, b) = (version(), version());
            let judge = |text: &str| text.parse::<debversion::Version>().unwrap();
            assert_eq!(compare(&a, &b), judge(&a).cmp(&judge(&b)), "{a} {b}");
        }
    }
}

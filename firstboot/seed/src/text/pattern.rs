//! Patterns of the aliases that kernel modules have: `*`, `?` and `[a-f0]`, as
//! [fnmatch(3)](https://manpages.debian.org/trixie/manpages-dev/fnmatch.3.en.html)
//! reads them without flags.

/// An alias as it is looked up: `_` for `-`, but not within brackets. `None` if the
/// brackets do not match.
pub fn normalised(alias: &str) -> Option<String> {
    let mut out = String::with_capacity(alias.len());
    let mut within = false;
    for c in alias.chars() {
        match c {
            ']' if !within => return None,
            ']' => within = false,
            '[' => within = true,
            _ => {}
        }
        out.push(if c == '-' && !within { '_' } else { c });
    }
    (!within).then_some(out)
}

/// Whether `pattern` matches all of `text`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The position to go back to if the text after the last star does not match.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() || p < pattern.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, t + 1));
            p += 1;
        } else if let Some(len) = text.get(t).and_then(|byte| one(&pattern[p..], *byte)) {
            p += len;
            t += 1;
        } else {
            match retry {
                Some((star, next)) if next <= text.len() => {
                    (p, t) = (star, next);
                }
                _ => return false,
            }
        }
    }
    true
}

/// The length of the pattern's first element if it matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
            let start = 1 + usize::from(negated);
            // A bracket right at the start is one of the set.
            let len = pattern.get(start + 1..)?.iter().position(|b| *b == b']')? + 1;
            let set = &pattern[start..start + len];
            (in_set(set, byte) != negated).then_some(start + len + 1)
        }
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        plain => (*plain == byte).then_some(1),
    }
}

fn in_set(mut set: &[u8], byte: u8) -> bool {
    loop {
        match set {
            [] => return false,
            [from, b'-', to, rest @ ..] => {
                if (*from..=*to).contains(&byte) {
                    return true;
                }
                set = rest;
            }
            [one, rest @ ..] => {
                if *one == byte {
                    return true;
                }
                set = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("a*", "a", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*bc*d", "abcbcd", true),
            ("*bc*d", "abcbc", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            (
                "pci:v*d*sv*sd*bc01sc06i01*",
                "pci:v00008086d00002922sv1sd1bc01sc06i01",
                true,
            ),
            ("a[", "a[", false),
            ("*a*a*a*a*a*a*a*a*b", &"a".repeat(200), false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        assert_eq!(normalised("a-b[0-9]-c").as_deref(), Some("a_b[0-9]_c"));
        assert_eq!(normalised("a]"), None);
        assert_eq!(normalised("[a"), None);
    }
}

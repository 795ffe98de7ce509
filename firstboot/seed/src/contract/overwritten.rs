//! The mark that replaces a seed's secrets when they are no longer needed.
//!
//! ```text
//! # nodeimg: overwritten, since it has served
//! # instance-id: i-0123
//! # To set up this node again, write a new seed with another instance-id.
//! (line breaks up to the length that the file had)
//! ```
//!
//! # Invariants
//! The mark is shorter than a sector of 512 bytes, so that a power cut leaves
//! either what was there or all of it. It names the instance, because a NoCloud
//! seed without an `instance-id` is known by its bytes, which are gone then.
use std::ops::Range;

const FIRST_LINE: &str = "# nodeimg: overwritten, since it has served\n";
const INSTANCE: &str = "# instance-id: ";

/// Fills the rest of the file after the mark.
pub const FILLER: u8 = b'\n';

/// The key of nova's `meta_data.json` whose value is a password.
pub const ADMIN_PASSWORD: &str = "admin_pass";

/// Replaces each byte of a password.
const MASK: u8 = b'x';

/// The mark for an instance.
pub fn mark(instance_id: &str) -> String {
    format!(
        "{FIRST_LINE}{INSTANCE}{instance_id}\n# To set up this node again, write a new seed with another instance-id.\n"
    )
}

/// The instance that a file was used for, if it bears the mark.
pub fn served(bytes: &[u8]) -> Option<&str> {
    let rest = bytes.strip_prefix(FIRST_LINE.as_bytes())?;
    let rest = rest.strip_prefix(INSTANCE.as_bytes())?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Whether a file holds nothing but the mark.
pub fn is_whole(bytes: &[u8]) -> bool {
    let Some(instance) = served(bytes) else {
        return false;
    };
    let known = FIRST_LINE.len() + INSTANCE.len() + instance.len() + 1;
    // The advice is not compared: marks of earlier versions word it differently.
    let mut lines = bytes[known..].splitn(2, |byte| *byte == b'\n');
    let has_advice = lines.next().is_some_and(|line| line.starts_with(b"# "));
    let rest = lines.next();
    has_advice && rest.is_some_and(|rest| rest.iter().all(|byte| *byte == FILLER))
}

/// The positions of passwords in a `meta_data.json`, as bytes between quotes, without
/// those that are already masked.
pub fn passwords(json: &[u8]) -> Vec<Range<usize>> {
    let key = format!("\"{ADMIN_PASSWORD}\"").into_bytes();
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(at) = json[start..]
        .windows(key.len())
        .position(|window| window == key)
    {
        start += at + key.len();
        let blank = |byte: &u8| byte.is_ascii_whitespace();
        let mut rest = start;
        rest += json[rest..].iter().take_while(|byte| blank(byte)).count();
        if json.get(rest) != Some(&b':') {
            continue;
        }
        rest += 1;
        rest += json[rest..].iter().take_while(|byte| blank(byte)).count();
        if json.get(rest) != Some(&b'"') {
            continue;
        }
        let first = rest + 1;
        let mut end = first;
        while let Some(byte) = json.get(end).filter(|byte| **byte != b'"') {
            end += if *byte == b'\\' { 2 } else { 1 };
        }
        let end = end.min(json.len());
        if json[first..end].iter().any(|byte| *byte != MASK) {
            found.push(first..end);
        }
        start = end;
    }
    found
}

/// Bytes to overwrite a password with.
pub fn masked(range: &Range<usize>) -> Vec<u8> {
    vec![MASK; range.len()]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{is_whole, mark, masked, passwords, served};

    #[test]
    fn a_mark_is_known_again() {
        let text = mark("i-1");
        assert!(is_whole(text.as_bytes()));
        assert!(is_whole(format!("{text}\n\n\n").as_bytes()));
        let earlier = text.replace("# To set up this node again", "# Other words");
        assert!(is_whole(earlier.as_bytes()), "{earlier}");
        let begun = format!("{text}key: SECRET\n");
        assert_eq!(served(begun.as_bytes()), Some("i-1"));
        for text in [begun.as_str(), "#cloud-config\n", "", &text[..50]] {
            assert!(!is_whole(text.as_bytes()), "{text}");
        }
        assert_eq!(served(&text.as_bytes()[..50]), None);
        // An instance-id has 256 bytes at most.
        assert!(mark(&"x".repeat(256)).len() < 512);
    }

    #[test]
    fn passwords_are_found_by_their_key() {
        for (json, hidden) in [
            (
                r#"{"admin_pass": "abc", "x": 1}"#,
                r#"{"admin_pass": "xxx", "x": 1}"#,
            ),
            (r#"{"admin_pass":"a\"b"}"#, r#"{"admin_pass":"xxxx"}"#),
            ("{\"admin_pass\" :\n \"p\"}", "{\"admin_pass\" :\n \"x\"}"),
            (
                r#"{"a": {"admin_pass": "p"}, "admin_pass": "q"}"#,
                r#"{"a": {"admin_pass": "x"}, "admin_pass": "x"}"#,
            ),
            (r#"{"admin_pass": 5}"#, r#"{"admin_pass": 5}"#),
            (
                r#"{"a": "\"admin_pass\": \"p\""}"#,
                r#"{"a": "\"admin_pass\": \"p\""}"#,
            ),
            (r#"{"admin_pass": "xxx"}"#, r#"{"admin_pass": "xxx"}"#),
            (r#"{"admin_pass": "cut"#, r#"{"admin_pass": "xxx"#),
            (r#"{"admin_pass": "cut\"#, r#"{"admin_pass": "xxxx"#),
            (r#""admin_pass""#, r#""admin_pass""#),
        ] {
            let mut bytes = json.as_bytes().to_vec();
            for range in passwords(json.as_bytes()) {
                bytes[range.clone()].copy_from_slice(&masked(&range));
            }
            assert_eq!(std::str::from_utf8(&bytes).unwrap(), hidden, "{json}");
            assert!(passwords(&bytes).is_empty(), "{json}");
        }
    }
}

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

/// The key whose values are the user's own.
const USERS_OWN: &str = "meta";

/// Replaces each byte of a secret.
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

/// The positions of secrets in a `meta_data.json`, as bytes between quotes, without those
/// that are already masked: the password, and the values of `meta`, which whoever made the
/// machine gave it for templates.
pub fn secrets(json: &[u8]) -> Vec<Range<usize>> {
    let objects = after_key(json, USERS_OWN).into_iter();
    let objects = objects.filter(|start| json.get(*start) == Some(&b'{'));
    let mut found = passwords(json);
    found.extend(objects.flat_map(|start| texts_inside(json, start)));
    found.retain(|range| is_shown(json, range));
    found
}

/// Whether a `meta_data.json` tells a password.
pub fn has_password(json: &[u8]) -> bool {
    passwords(json).iter().any(|range| is_shown(json, range))
}

fn is_shown(json: &[u8], range: &Range<usize>) -> bool {
    json[range.clone()].iter().any(|byte| *byte != MASK)
}

fn passwords(json: &[u8]) -> Vec<Range<usize>> {
    let places = after_key(json, ADMIN_PASSWORD).into_iter();
    let places = places.filter(|start| json.get(*start) == Some(&b'"'));
    places.map(|start| text_at(json, start)).collect()
}

fn skip_blanks(json: &[u8], at: usize) -> usize {
    let blanks = json[at..]
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace());
    at + blanks.count()
}

/// Where the values of a key begin.
fn after_key(json: &[u8], key: &str) -> Vec<usize> {
    let key = format!("\"{key}\"").into_bytes();
    let places = json.windows(key.len()).enumerate();
    let places = places.filter(|(_, window)| *window == key);
    let colons = places.map(|(at, _)| skip_blanks(json, at + key.len()));
    let values = colons.filter(|at| json.get(*at) == Some(&b':'));
    values.map(|at| skip_blanks(json, at + 1)).collect()
}

/// The text whose first quote is at `start`.
fn text_at(json: &[u8], start: usize) -> Range<usize> {
    let first = start + 1;
    let mut end = first;
    while let Some(byte) = json.get(end).filter(|byte| **byte != b'"') {
        end += if *byte == b'\\' { 2 } else { 1 };
    }
    first..end.min(json.len())
}

/// The texts of the object that begins at `start`, without its keys.
fn texts_inside(json: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => break,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let text = text_at(json, at - 1);
                at = (text.end + 1).min(json.len());
                if json.get(skip_blanks(json, at)) != Some(&b':') {
                    found.push(text);
                }
            }
            _ => {}
        }
    }
    found
}

/// Bytes to overwrite a secret with.
pub fn masked(range: &Range<usize>) -> Vec<u8> {
    vec![MASK; range.len()]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{has_password, is_whole, mark, masked, secrets, served};

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
    fn secrets_are_found_by_their_key() {
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
            // Values of the user's own are masked with the rest, and are not a reason to.
            (
                r#"{"meta": {"k": "a\"b", "l": ["c", {"m" : "}"}], "n": 5}, "name": "n"}"#,
                r#"{"meta": {"k": "xxxx", "l": ["x", {"m" : "x"}], "n": 5}, "name": "n"}"#,
            ),
            (
                r#"{"meta": "text", "x": "y"}"#,
                r#"{"meta": "text", "x": "y"}"#,
            ),
            (r#"{"meta": {"k": "cut"#, r#"{"meta": {"k": "xxx"#),
        ] {
            let mut bytes = json.as_bytes().to_vec();
            for range in secrets(json.as_bytes()) {
                bytes[range.clone()].copy_from_slice(&masked(&range));
            }
            assert_eq!(std::str::from_utf8(&bytes).unwrap(), hidden, "{json}");
            assert!(secrets(&bytes).is_empty(), "{json}");
            assert_eq!(
                has_password(json.as_bytes()),
                json != hidden && json.contains("admin")
            );
        }
    }
}

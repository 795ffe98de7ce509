//! `KEY = VALUE`, or `-KEY` for what the lines of others may not set.

use super::Ground;

/// What is wrong with a line.
pub fn wrong(line: &str, _: &Ground<'_>) -> Option<String> {
    let plain = line.strip_prefix('-').unwrap_or(line);
    let Some((key, value)) = plain.split_once('=') else {
        return match plain == line {
            true => Some(format!(
                "`{line}` has no `=`, and systemd-sysctl ignores the line: write `KEY = VALUE`"
            )),
            false => wrong_key(plain.trim()),
        };
    };
    wrong_key(key.trim()).or_else(|| wrong_value(key.trim(), value.trim()))
}

fn wrong_key(key: &str) -> Option<String> {
    const BELOW: &str = "/proc/sys/";
    if key.is_empty() {
        return Some("has no key before its `=`".to_owned());
    }
    if let Some(rest) = key.strip_prefix(BELOW) {
        return Some(format!(
            "`{key}` is the path of a file, and no kernel parameter is called so: write `{}`",
            rest.replace('/', ".")
        ));
    }
    if let Some(last) = key.split_whitespace().nth(1) {
        let last = key.split_whitespace().last().unwrap_or(last);
        return Some(format!(
            "`{key}` is not a key: no kernel parameter has a blank in its name; write `{last} = \
             VALUE`"
        ));
    }
    let is_odd = |c: char| !(c.is_ascii_alphanumeric() || "_-./*?[]:@%,+~".contains(c));
    if let Some(odd) = key.chars().find(|c| is_odd(*c)) {
        return Some(format!(
            "`{key}` is not a key: no kernel parameter has `{}` in its name",
            odd.escape_default()
        ));
    }
    let mut parts = key.split(['.', '/']);
    (!key.contains(['.', '/']) || parts.any(|part| part.is_empty() || part == ".."))
        .then(|| format!("`{key}` is not a key: write it like `net.ipv4.ip_forward`"))
}

/// A comment has a line of its own: here it is a part of the value, which the kernel refuses.
fn wrong_value(key: &str, value: &str) -> Option<String> {
    let is_text = key.contains("pattern") || key.contains("modprobe") || key.contains("hostname");
    let comment = [" #", "\t#", " ;"].iter().find_map(|sign| value.find(sign));
    let at = comment.filter(|_| !is_text)?;
    Some(format!(
        "`{}` would be a part of the value, and the kernel refuses it: a comment has a line of its \
         own",
        value[at..].trim()
    ))
}

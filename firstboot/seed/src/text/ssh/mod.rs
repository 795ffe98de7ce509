//! Public SSH keys, as a line of an `authorized_keys` file has them: options, type, key,
//! comment. Format: sshd(8), `AUTHORIZED_KEYS FILE FORMAT`; of the key itself RFC 4253,
//! section 6.6, RFC 5656, RFC 8709, and OpenSSH's PROTOCOL.certkeys and PROTOCOL.u2f.
//!
//! sshd skips a line that it cannot read, and nobody can log in; so this finds a flaw in
//! every line that sshd skips. Not looked at: whether a point lies on its curve, and what
//! a certificate says.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What follows the name of the type inside the key.
#[derive(Clone, Copy)]
enum Part {
    /// So many bytes.
    Bytes(usize),
    /// A positive number of at least and at most so many bits.
    Number(usize, usize),
    /// The name of a curve.
    Curve(&'static str),
    /// The origin of a security key: any text.
    Text,
}

const SOME: Part = Part::Number(1, 16384);

/// Types of key and their parts.
const KINDS: &[(&str, &[Part])] = &[
    ("ssh-ed25519", &[Part::Bytes(32)]),
    ("ssh-rsa", &[SOME, Part::Number(1024, 16384)]),
    (
        "ecdsa-sha2-nistp256",
        &[Part::Curve("nistp256"), Part::Bytes(65)],
    ),
    (
        "ecdsa-sha2-nistp384",
        &[Part::Curve("nistp384"), Part::Bytes(97)],
    ),
    (
        "ecdsa-sha2-nistp521",
        &[Part::Curve("nistp521"), Part::Bytes(133)],
    ),
    ("sk-ssh-ed25519@openssh.com", &[Part::Bytes(32), Part::Text]),
    (
        "sk-ecdsa-sha2-nistp256@openssh.com",
        &[Part::Curve("nistp256"), Part::Bytes(65), Part::Text],
    ),
    ("ssh-dss", &[Part::Number(1024, 1024), SOME, SOME, SOME]),
];

/// Options without a value; all but a few may have `no-` in front.
const FLAGS: [&str; 12] = [
    "agent-forwarding",
    "cert-authority",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-x11-forwarding",
    "port-forwarding",
    "pty",
    "restrict",
    "user-rc",
];
const MORE_FLAGS: [&str; 2] = ["verify-required", "x11-forwarding"];

/// Options with a value in double quotes.
const VALUED: [&str; 8] = [
    "command",
    "environment",
    "expiry-time",
    "from",
    "permitlisten",
    "permitopen",
    "principals",
    "tunnel",
];

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    /// The end of a sentence.
    pub reason: &'static str,
    /// Whether it is a key of the type that it names, cut short or changed: what a document
    /// shows in the place of a real key.
    pub is_damaged_key: bool,
}

/// Why a line is not a public key that sshd takes.
pub fn check(line: &str) -> Result<(), Flaw> {
    look(line).map_err(|reason| Flaw {
        reason,
        is_damaged_key: begins_as_key(line),
    })
}

/// Whether a type is followed by the beginning of a key of that type.
fn begins_as_key(line: &str) -> bool {
    let (first, _) = word(line);
    let key = match is_kind(first) {
        true => Some(line),
        false => after_options(line),
    };
    let Some((kind, rest)) = key.map(word) else {
        return false;
    };
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let body = word(rest).0;
    let letters = body.find(|c| !is_letter(c)).unwrap_or(body.len());
    let whole = body.get(..letters - letters % 4).unwrap_or_default();
    let found = STANDARD.decode(whole).unwrap_or_default();
    let length = u32::try_from(kind.len()).unwrap_or_default().to_be_bytes();
    let expected = [&length[..], kind.as_bytes()].concat();
    let both = found.len().min(expected.len());
    is_kind(kind) && both > length.len() && found.get(..both) == expected.get(..both)
}

fn look(line: &str) -> Result<(), &'static str> {
    if line.contains(['\n', '\r', '\0']) {
        return Err("is not a public SSH key: it has a line break or a NUL byte inside");
    }
    let (first, _) = word(line);
    if is_kind(first) {
        return check_key(line);
    }
    match after_options(line) {
        Some(rest) if is_kind(word(rest).0) => check_key(rest),
        Some(_) => Err("is not a public SSH key: it names no type of key that sshd knows"),
        None => {
            Err("is not a public SSH key: it begins with neither a type of key nor with options")
        }
    }
}

fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches([' ', '\t']);
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    text.split_at(end)
}

/// A type of certificate is that of its key with a word at the end.
fn plain_kind(kind: &str) -> Option<String> {
    let base = kind.strip_suffix("-cert-v01@openssh.com")?;
    Some(match base.strip_prefix("sk-") {
        Some(_) => format!("{base}@openssh.com"),
        None => base.to_owned(),
    })
}

fn is_kind(kind: &str) -> bool {
    let plain = plain_kind(kind);
    let plain = plain.as_deref().unwrap_or(kind);
    KINDS.iter().any(|(known, _)| *known == plain)
}

fn check_key(text: &str) -> Result<(), &'static str> {
    let (kind, rest) = word(text);
    let (body, _comment) = word(rest);
    let Ok(bytes) = STANDARD.decode(body) else {
        return Err("is not a public SSH key: what follows its type is not valid base64");
    };
    let mut rest = bytes.as_slice();
    if take(&mut rest) != Some(kind.as_bytes()) {
        return Err("is not a public SSH key: inside, it is of another type than it says");
    }
    let certificate = plain_kind(kind).is_some();
    if certificate {
        // A nonce, the key, and what the authority says.
        let nonce = take(&mut rest);
        return match nonce.is_some() && rest.len() > 64 {
            true => Ok(()),
            false => Err("is a certificate of an SSH key that is truncated"),
        };
    }
    let parts = KINDS.iter().find(|(known, _)| *known == kind);
    for part in parts.map_or(&[][..], |(_, parts)| parts) {
        let found = take(&mut rest).ok_or("is a public SSH key that is truncated")?;
        if !fits(found, *part) {
            return Err("is a public SSH key that is damaged, or of a length that sshd refuses");
        }
    }
    match rest {
        [] => Ok(()),
        _ => Err("is a public SSH key with something behind its end"),
    }
}

fn fits(found: &[u8], part: Part) -> bool {
    match part {
        Part::Bytes(length) => found.len() == length,
        Part::Curve(name) => found == name.as_bytes(),
        Part::Text => !found.is_empty(),
        Part::Number(least, most) => {
            let zeros = found.iter().take_while(|byte| **byte == 0).count();
            let digits = found.get(zeros..).unwrap_or_default();
            let Some(first) = digits.first() else {
                return false;
            };
            let spare = usize::try_from(first.leading_zeros()).unwrap_or(0);
            let negative = zeros == 0 && *first >= 0x80;
            !negative && (least..=most).contains(&(digits.len() * 8 - spare))
        }
    }
}

/// A text of the wire format: its length in four bytes, and the bytes.
fn take<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (found, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(found)
}

/// What follows the options in front of a key; `None` if sshd would not take them.
fn after_options(line: &str) -> Option<&str> {
    let mut rest = line;
    loop {
        let end = rest.find(['=', ',', ' ', '\t'])?;
        let name = rest[..end].to_ascii_lowercase();
        let name = name.as_str();
        let mut after = &rest[end..];
        if let Some(value) = after.strip_prefix('=') {
            if !VALUED.contains(&name) {
                return None;
            }
            after = after_quotes(value.strip_prefix('"')?)?;
        } else if !FLAGS.contains(&name) && !MORE_FLAGS.contains(&name) {
            return None;
        }
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.starts_with([' ', '\t']).then_some(after),
        }
    }
}

/// `\"` does not end the value.
fn after_quotes(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return Some(&text[at + 1..]),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

#[cfg(test)]
mod tests;

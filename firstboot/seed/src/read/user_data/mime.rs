//! MIME multipart, as far as user-data uses it.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc2045> and RFC 2046.
//!
//! ```text
//! [From ...]                                  envelope of a mailbox, ignored
//! Content-Type: multipart/mixed; boundary=B   headers, may be folded
//! MIME-Version: 1.0
//!                                             a blank line
//! preamble, ignored
//! --B
//! headers of part 1
//!
//! body of part 1
//! --B--
//! ```
//!
//! Left out: charsets other than UTF-8, encoded words, RFC 2231 parameters.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Found, Refusal};

const MAX_HEADERS: usize = 100;

struct Header<'a> {
    name: &'a str,
    value: String,
}

/// The parts of a message; one if it is not multipart.
pub(super) fn parts(text: &str) -> Result<Vec<Found>, Refusal> {
    let (headers, body) = headers(text.trim_start())?;
    let kind = value_of(&headers, "content-type").unwrap_or_default();
    let media = media_type(kind);
    if !media.starts_with("multipart/") {
        return Ok(vec![found(&headers, body)?]);
    }
    let Some(boundary) = parameter(kind, "boundary").filter(|text| !text.is_empty()) else {
        let reason = "is MIME multipart without a `boundary`";
        return Err(Refusal::new(
            reason,
            "generate it again (cloud-init devel make-mime)",
        ));
    };
    let mut parts = Vec::new();
    for section in sections(body, &boundary)? {
        let (headers, body) = self::headers(section)?;
        parts.push(found(&headers, body)?);
    }
    Ok(parts)
}

/// The headers of a whole message that would have an effect in one of its parts.
pub(super) fn idle_headers(text: &str) -> Result<Vec<&'static str>, Refusal> {
    let (headers, _) = headers(text.trim_start())?;
    let kind = media_type(value_of(&headers, "content-type").unwrap_or_default());
    let mut idle = vec!["Merge-Type", "X-Merge-Type", "Launch-Index"];
    idle.retain(|name| kind.starts_with("multipart/") && value_of(&headers, name).is_some());
    Ok(idle)
}

fn found(headers: &[Header<'_>], body: &str) -> Result<Found, Refusal> {
    let kind = value_of(headers, "content-type").unwrap_or_default();
    let disposition = value_of(headers, "content-disposition").unwrap_or_default();
    let name = parameter(disposition, "filename").or_else(|| parameter(kind, "name"));
    let media = media_type(kind);
    let bytes = if media.starts_with("multipart/") {
        // The part is a message of its own: its header is needed for the boundary.
        Zeroizing::new(format!("Content-Type: {kind}\nMIME-Version: 1.0\n\n{body}").into_bytes())
    } else {
        let encoding = value_of(headers, "content-transfer-encoding").unwrap_or_default();
        decoded(encoding, body)?
    };
    let merge = ["merge-type", "x-merge-type"].map(|name| value_of(headers, name));
    Ok(Found {
        content_type: (!media.is_empty()).then_some(media),
        name: name.map(|name| file_name(&name)),
        launch_index: value_of(headers, "launch-index").is_some(),
        merge: merge
            .into_iter()
            .flatten()
            .find(|text| !text.is_empty())
            .map(str::to_owned),
        bytes,
    })
}

/// Header lines up to the blank one, folded lines joined; and what comes after.
fn headers(text: &str) -> Result<(Vec<Header<'_>>, &str), Refusal> {
    let mut headers: Vec<Header<'_>> = Vec::new();
    let mut rest = text;
    let mut first = true;
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            return Ok((headers, after));
        }
        if line.starts_with([' ', '\t']) {
            if let Some(header) = headers.last_mut() {
                header.value.push(' ');
                header.value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':').filter(|(name, _)| is_name(name)) {
            headers.push(Header {
                name,
                value: value.trim().to_owned(),
            });
        } else if !(first && line.starts_with("From ")) {
            // As mail readers do: the first line that is not a header begins the body.
            return Ok((headers, rest));
        }
        if headers.len() > MAX_HEADERS {
            return Err(Refusal::new("has too many MIME headers", "remove some"));
        }
        first = false;
        rest = after;
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn value_of<'a>(headers: &'a [Header<'_>], name: &str) -> Option<&'a str> {
    let found = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name));
    found.map(|header| header.value.as_str())
}

fn media_type(value: &str) -> String {
    let media = value.split(';').next().unwrap_or_default();
    media.trim().to_ascii_lowercase()
}

/// `; name=value` or `; name="value"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value;
    while let Some(at) = rest.find(';') {
        rest = rest[at + 1..].trim_start();
        let equals = rest.find('=')?;
        let name = rest[..equals].trim();
        let after = rest[equals + 1..].trim_start();
        let (text, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim_end(), &after[end..])
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(text.to_owned());
        }
        rest = tail;
    }
    None
}

/// The text between the boundary lines.
fn sections<'a>(body: &'a str, boundary: &str) -> Result<Vec<&'a str>, Refusal> {
    let delimiter = format!("--{boundary}");
    let mut found = Vec::new();
    let mut begun: Option<usize> = None;
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        let rest = line.trim_end().strip_prefix(delimiter.as_str());
        if let Some(rest) = rest.filter(|rest| matches!(*rest, "" | "--")) {
            if let Some(start) = begun {
                // The line break before a boundary belongs to the boundary.
                let section = &body[start..at];
                let section = section.strip_suffix('\n').unwrap_or(section);
                found.push(section.strip_suffix('\r').unwrap_or(section));
            }
            if rest == "--" {
                return Ok(found);
            }
            begun = Some(at + line.len());
        }
        at += line.len();
    }
    let reason = "is MIME multipart that does not end: its last boundary line is missing";
    Err(Refusal::new(
        reason,
        "generate it again; it may have been cut off",
    ))
}

fn decoded(encoding: &str, body: &str) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "7bit" | "8bit" | "binary" => Ok(Zeroizing::new(body.as_bytes().to_vec())),
        "base64" => {
            let plain: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
            let bytes = STANDARD.decode(plain.as_bytes());
            bytes.map(Zeroizing::new).map_err(|_| {
                let reason = "is a MIME part that is not valid base64";
                Refusal::new(reason, "encode it again")
            })
        }
        "quoted-printable" => Ok(quoted_printable(body)),
        _ => Err(Refusal::new(
            "has a `Content-Transfer-Encoding` that is not supported",
            "use base64",
        )),
    }
}

/// Lenient as mail readers are: anything that is not an escape stands for itself. Blanks
/// at the end of a line are not part of it.
fn quoted_printable(body: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(body.len()));
    let hex = |byte: u8| char::from(byte).to_digit(16);
    for line in body.split_inclusive('\n') {
        let content = line.trim_end_matches([' ', '\t', '\r', '\n']);
        let mut soft = false;
        let mut rest = content.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            match (first, tail) {
                (b'=', []) => soft = true,
                // As Python reads it: some programs write `=` so.
                (b'=', [b'=', after @ ..]) => {
                    bytes.push(b'=');
                    rest = after;
                }
                (b'=', [high, low, after @ ..]) => match hex(*high).zip(hex(*low)) {
                    Some((high, low)) => {
                        bytes.push(u8::try_from(high << 4 | low).unwrap_or(b'?'));
                        rest = after;
                    }
                    None => bytes.push(b'='),
                },
                _ => bytes.push(*first),
            }
        }
        if !soft && line.ends_with('\n') {
            let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
            bytes.extend_from_slice(end.as_bytes());
        }
    }
    bytes
}

/// A name that is safe as that of a file and in a message.
pub(super) fn file_name(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    last.chars().map(safe).take(60).collect()
}

//! The format of a text: by its first line, or by the content type of its part.
use super::Refusal;
use crate::text::secret::Secret;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    CloudConfig,
    Jinja,
    Mime,
    Archive,
    Script,
}

const HEADER: &str = "#cloud-config";
const ADD_HEADER: &str = "make the first line exactly `#cloud-config`";
const REWRITE: &str = "write what it does as `#cloud-config`";

/// UTF-8 text without a byte order mark.
pub(super) fn text_of(bytes: &[u8]) -> Result<&str, Refusal> {
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if utf16 || bytes.contains(&0) {
        let reason = "is UTF-16 or binary, not UTF-8 text";
        return Err(Refusal::new(reason, "save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes)
        .map_err(|error| {
            let line = bytes[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            Refusal::at(line, "is not UTF-8 text", "save it as UTF-8")
        })
        .map(|text| text.trim_start_matches('\u{feff}'))
}

/// The form that the first line names; `None` for empty text.
pub(super) fn detect(text: &str, whole: bool) -> Result<Option<Form>, Refusal> {
    let first = text.trim_start().lines().next().unwrap_or("").trim_end();
    if first.is_empty() {
        return Ok(None);
    }
    let begins = |prefix: &str| {
        first
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if let Some(rest) = first.strip_prefix(HEADER)
        && (rest.is_empty() || rest.starts_with([' ', '\t']))
    {
        return Ok(Some(Form::CloudConfig));
    }
    if begins("## template:") {
        let engine = first["## template:".len()..].trim();
        return match engine.to_ascii_lowercase().as_str() {
            "jinja" => Ok(Some(Form::Jinja)),
            _ => Err(Refusal::new(
                "is a template for an engine other than jinja",
                "write `## template: jinja`",
            )),
        };
    }
    if begins("#cloud-config-archive") {
        return Ok(Some(Form::Archive));
    }
    if first.starts_with("#!") {
        return Ok(Some(Form::Script));
    }
    let mail = [
        "content-type:",
        "mime-version:",
        "from ",
        "received:",
        "subject:",
    ];
    if whole && mail.iter().any(|header| begins(header)) && has_mime_header(text) {
        return Ok(Some(Form::Mime));
    }
    let (reason, remedy) = refused(first, text);
    Err(Refusal::new(reason, remedy))
}

/// cloud-init takes a text for MIME when this is among its first 4096 bytes.
fn has_mime_header(text: &str) -> bool {
    let head = &text.as_bytes()[..text.len().min(4096)];
    let wanted = b"mime-version:";
    head.windows(wanted.len())
        .any(|bytes| bytes.eq_ignore_ascii_case(wanted))
}

/// Forms of cloud-init that are not read: first line, what it is called, what to do.
const REFUSED: [(&str, &str, &str); 6] = [
    (
        "#cloud-config-jsonp",
        "is a `#cloud-config-jsonp` patch",
        REWRITE,
    ),
    (
        "#include",
        "is an `#include` list, and a node downloads no configuration",
        "combine the files in one MIME multipart (cloud-init devel make-mime)",
    ),
    ("#cloud-boothook", "is a `#cloud-boothook`", "use `bootcmd`"),
    ("#upstart-job", "is an `#upstart-job`", REWRITE),
    (
        "#part-handler",
        "is a `#part-handler`, which is python",
        REWRITE,
    ),
    ("{\"ignition\"", "is an Ignition configuration", REWRITE),
];

/// Names the format that the first line starts.
fn refused(first: &str, text: &str) -> (&'static str, &'static str) {
    let begins = |prefix: &str| {
        first
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if let Some((_, reason, remedy)) = REFUSED.iter().find(|(prefix, ..)| begins(prefix)) {
        return (reason, remedy);
    }
    if begins("content-type:") || begins("from nobody") {
        return (
            "is MIME without a `MIME-Version:` header",
            "add `MIME-Version: 1.0`",
        );
    }
    let folded: String = first
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if begins(HEADER) && first.contains("\\n") {
        return WRITTEN_OUT;
    }
    if folded.starts_with("cloudconfig") {
        return (
            "has a first line that is almost `#cloud-config`",
            ADD_HEADER,
        );
    }
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\r' | '\n');
    if first.len() >= 16 && text.trim().chars().all(base64) {
        return ("is base64 text", "decode it first (base64 -d)");
    }
    if first.starts_with(['{', '#']) || first.contains(": ") || first.ends_with(':') {
        return ("does not begin with `#cloud-config`", ADD_HEADER);
    }
    ("is in an unknown format", ADD_HEADER)
}

const WRITTEN_OUT: (&str, &str) = (
    "has `\\n` written out instead of line breaks",
    "write real line breaks; in YAML, double quotes or `|` make them",
);

/// A part that its container calls cloud-config, or a template: a first line that is all
/// of it would be a comment.
pub(super) fn check_first_line(form: Form, text: &str) -> Result<(), Refusal> {
    let first = text.trim_start().lines().next().unwrap_or("");
    if first.starts_with('#') && first.contains("\\n") {
        return Err(Refusal::new(WRITTEN_OUT.0, WRITTEN_OUT.1));
    }
    if form == Form::Jinja && detect(text, false).ok().flatten() != Some(Form::Jinja) {
        let reason = "is a part of type `text/jinja2` that does not begin as a template";
        return Err(Refusal::new(reason, "begin it with `## template: jinja`"));
    }
    Ok(())
}

/// The form that a content type names; `None` if the content itself must tell.
pub(super) fn of_type(content_type: Option<&str>) -> Result<Option<Form>, Refusal> {
    let Some(given) = content_type else {
        return Ok(None);
    };
    let lower = given.trim().to_ascii_lowercase();
    Ok(match lower.as_str() {
        "text/cloud-config" => Some(Form::CloudConfig),
        "text/jinja2" => Some(Form::Jinja),
        "text/cloud-config-archive" => Some(Form::Archive),
        "text/x-shellscript" | "text/x-shellscript-per-instance" => Some(Form::Script),
        ""
        | "text/plain"
        | "text/x-not-multipart"
        | "application/octet-stream"
        | "application/gzip"
        | "application/x-gzip"
        | "application/gzip-compressed"
        | "application/x-gunzip"
        | "application/x-gzip-compressed" => None,
        _ if lower.starts_with("multipart/") => Some(Form::Mime),
        "text/x-include-url" | "text/x-include-once-url" => {
            return Err(Refusal::new(REFUSED[1].1, REFUSED[1].2));
        }
        _ => {
            let known = lower.starts_with("text/") && lower.len() < 60;
            let plain = lower
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/-.+".contains(c));
            let named = if known && plain {
                format!("`{lower}`")
            } else {
                "its own".to_owned()
            };
            let reason = format!("has a content type {named} that is not supported");
            return Err(Refusal::new(reason, REWRITE));
        }
    })
}

/// A script as it will be run: with an interpreter with its whole path, and line feeds in
/// place of CRLF if its first line has that.
pub(super) fn script(text: &str) -> Result<Secret, Refusal> {
    let body = text.trim_start();
    let Some(first) = body.strip_prefix("#!") else {
        let remedy = "start it with `#!/bin/sh`";
        return Err(Refusal::new(
            "is a script without `#!` in its first line",
            remedy,
        ));
    };
    let interpreter = first.lines().next().unwrap_or("").split_whitespace().next();
    if interpreter.is_some_and(|path| path.contains('\\')) {
        return Err(Refusal::new(WRITTEN_OUT.0, WRITTEN_OUT.1));
    }
    if !interpreter.is_some_and(|path| path.starts_with('/')) {
        let reason = "is a script whose interpreter is not an absolute path";
        return Err(Refusal::new(reason, "write `#!/bin/sh`"));
    }
    let of_windows = body
        .split('\n')
        .next()
        .is_some_and(|line| line.ends_with('\r'));
    Ok(Secret::new(match of_windows {
        true => body.replace("\r\n", "\n"),
        false => body.to_owned(),
    }))
}

//! What a server says of its refusal, and what a person can do about it.
//!
//! Registries answer with `{"errors": [{"message": …}]}`
//! ([distribution](https://distribution.github.io/distribution/spec/api/#errors)), GitHub and
//! others with `{"message": …}`, Google with `{"error": {"message": …}}`, object stores with
//! XML ([S3](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)), and who has
//! no form for it with a line of text.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_values::date::Date;
use reqwest::header::{self, HeaderMap};
use reqwest::{Response, Url};
use serde_json::Value;

use super::client::Ways;
use super::head::{is_page, text};
use super::login::Login;

/// More of a refusal is not read.
const MAX_BODY: usize = 64 * 1024;

/// No longer than that is waited for it.
const WAIT: Duration = Duration::from_secs(5);

/// In characters, of a server's own words.
const MAX_WORDS: usize = 300;

/// Where errors are told in JSON, the best first.
const KEYS: [&str; 9] = [
    "errors",
    "message",
    "detail",
    "details",
    "error_description",
    "error",
    "title",
    "reason",
    "code",
];

/// What there is to say beside a status.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Note {
    /// Follows the status; empty if there is nothing.
    pub(super) text: String,
    /// Instead of the usual one.
    pub(super) remedy: Option<String>,
}

/// Of an answer that is not the file; `login` is what was sent along.
pub(super) async fn of(
    ways: &Ways,
    first: &Url,
    login: Option<&Login>,
    response: &mut Response,
) -> Option<Note> {
    let said = said(response, login).await;
    with(ways, first, login, response, said)
}

/// The same, with the server's own words.
pub(super) fn with(
    ways: &Ways,
    first: &Url,
    login: Option<&Login>,
    response: &Response,
    said: Option<String>,
) -> Option<Note> {
    let mut parts = Vec::new();
    if response.url().origin() != first.origin() {
        // Somebody else than who was asked.
        let host = response.url().host_str().unwrap_or_default();
        parts.push(format!("answered by {host}, after a redirect"));
    }
    // To https the proxy is a tunnel, and does not answer.
    if response.url().scheme() == "http"
        && let Some(proxy) = ways.proxies.name(response.url())
    {
        parts.push(format!("through the proxy {proxy}"));
    }
    let limit = limited(response.status().as_u16(), response.headers());
    if is_page(response.headers()) {
        parts.push("with a web page".to_owned());
    }
    if let Some(said) = said {
        parts.push(format!("it says: {said}"));
    }
    let remedy = limit.or_else(|| match response.status().as_u16() {
        401 => Some(wants(ways, response.url(), login)),
        _ => None,
    });
    let text = match parts.is_empty() {
        true => String::new(),
        false => format!(", {}", parts.join(", ")),
    };
    (!text.is_empty() || remedy.is_some()).then_some(Note { text, remedy })
}

/// The server's own words in quotes; `login` is what was sent along.
pub(super) async fn said(response: &mut Response, login: Option<&Login>) -> Option<String> {
    let is_text = is_text(response.headers());
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > MAX_BODY {
                break;
            }
        }
    };
    // What came until then is as good.
    let _ = tokio::time::timeout(WAIT, read).await;
    quoted(&body, is_text, login)
}

/// The words of `body` in quotes, without what is secret.
pub(super) fn quoted(body: &[u8], is_text: bool, login: Option<&Login>) -> Option<String> {
    let mut words = words(body, is_text)?;
    if let Some(login) = login {
        // A server may repeat what it was given.
        let sent = STANDARD.encode(login.pair());
        let parts = login.pair().splitn(2, ':').chain([sent.as_str()]);
        for secret in parts.filter(|part| part.len() > 3) {
            words = words.replace(secret, "***");
        }
    }
    let short: String = words.chars().take(MAX_WORDS).collect();
    let end = if short.len() < words.len() { "…" } else { "" };
    Some(format!("\"{}{end}\"", short.escape_debug()))
}

/// Of JSON, of XML, and of a text that says that it is one; a page is for people with a
/// browser.
fn words(body: &[u8], is_text: bool) -> Option<String> {
    let found = match serde_json::from_slice::<Value>(body) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => of_json(&value)?,
        _ => {
            let text = std::str::from_utf8(body)
                .ok()?
                .trim_start_matches('\u{feff}');
            match text.trim_start().starts_with('<') {
                true => of_xml(text)?.to_owned(),
                false => text
                    .lines()
                    .find(|line| is_text && !line.trim().is_empty())?
                    .to_owned(),
            }
        }
    };
    let plain = found.split_whitespace().collect::<Vec<_>>().join(" ");
    (!plain.is_empty()).then_some(plain)
}

/// The first of what errors are told in, however deep; all of a list.
fn of_json(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Array(all) => {
            let all: Vec<String> = all.iter().filter_map(of_json).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        Value::Object(all) => KEYS.iter().find_map(|key| of_json(all.get(*key)?)),
        _ => None,
    }
}

/// `<Error><Code>AccessDenied</Code><Message>…</Message></Error>`
fn of_xml(text: &str) -> Option<&str> {
    let of = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once('<')?.0)
    };
    of("Message").or_else(|| of("Code"))
}

/// Whether the body says that it is a text for people, or has no name.
fn is_text(headers: &HeaderMap) -> bool {
    text(headers, &header::CONTENT_TYPE).is_none_or(|kind| kind.trim().starts_with("text/plain"))
}

/// The way out of a rate limit that is used up, which GitHub tells by 403.
fn limited(code: u16, headers: &HeaderMap) -> Option<String> {
    let get = |name: &str| {
        let name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).ok()?;
        text(headers, &name)
    };
    if ![403, 429].contains(&code) || get("x-ratelimit-remaining")?.trim() != "0" {
        return None;
    }
    let reset = get("x-ratelimit-reset").and_then(|time| time.trim().parse().ok());
    let until = reset.map_or_else(String::new, |time| format!(" until {}", stamp(Date(time))));
    Some(format!(
        "the server's limit of requests for this address is used up{until}: wait, log in with \
         ~/.netrc, or name a mirror with --mirror FROM=TO"
    ))
}

fn wants(ways: &Ways, url: &Url, login: Option<&Login>) -> String {
    let host = url.host_str().unwrap_or_default();
    if let Some(login) = login {
        return format!(
            "{host} does not accept the login of {}: check its user name and password",
            login.file()
        );
    }
    if let Some(file) = ways.netrc.kept_for_https(url) {
        return format!(
            "{host} requires a login, and the one in {file} is for https alone: write `machine \
             http://{host}` there, if it may be sent in clear text"
        );
    }
    let unread = match ways.netrc.unread() {
        [] => String::new(),
        files => format!("; not read: {}", files.join(", ")),
    };
    format!(
        "{host} requires a login: put it into ~/.netrc (`machine {host} login USER password \
         PASSWORD`){unread}"
    )
}

/// `2026-11-30 11:42:02 UTC`
pub(super) fn stamp(date: Date) -> String {
    let time = date.utc();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nodeimg_seed::text::secret::Secret;

    use super::*;

    #[test]
    fn a_server_has_words_of_its_own() {
        for (body, wanted) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"project x\n not found"}]}"#,
                Some("project x not found"),
            ),
            (
                r#"{"errors":[{"code":"A","message":"a"},{"code":"B"}]}"#,
                Some("a; B"),
            ),
            (
                r#"{"message":"API rate limit exceeded","documentation_url":"x"}"#,
                Some("API rate limit exceeded"),
            ),
            (r#"{"errors":[],"detail":"d"}"#, Some("d")),
            (r#"{"errors":{"message":"x"}}"#, Some("x")),
            (
                r#"{"errors":["the project\tis archived"]}"#,
                Some("the project is archived"),
            ),
            (
                r#"{"error":{"code":403,"message":"Permission denied","status":"X"}}"#,
                Some("Permission denied"),
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                Some("incorrect username or password"),
            ),
            (
                r#"{"type":"about:blank","title":"Token expired","status":403}"#,
                Some("Token expired"),
            ),
            (
                r#"{"message":{"error":"insufficient_scope"}}"#,
                Some("insufficient_scope"),
            ),
            (
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"","detail":{"name":"x"}}]}"#,
                Some("NAME_UNKNOWN"),
            ),
            (
                "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
                Some("Access Denied"),
            ),
            ("<Error><Code>NoSuchKey</Code></Error>", Some("NoSuchKey")),
            ("<html><title>no</title></html>", None),
            (
                "\n quota of  team x exceeded \nmore",
                Some("quota of team x exceeded"),
            ),
            ("\u{feff}no", Some("no")),
            ("[]", None),
            ("{}", None),
            (" \n", None),
            ("", None),
        ] {
            assert_eq!(words(body.as_bytes(), true).as_deref(), wanted, "{body}");
        }
        assert_eq!(words(b"\x7fELF", false), None);
        assert_eq!(words(b"\xff\xfe", true), None);
    }

    #[test]
    fn what_was_sent_is_not_repeated() {
        let login = Login::new("x".to_owned(), Secret::new("me:s3cret".to_owned()));
        let said = |text: &str| quoted(text.as_bytes(), true, Some(&login)).unwrap();
        assert_eq!(said("no s3cret for me"), "\"no *** for me\"");
        let sent = STANDARD.encode("me:s3cret");
        assert_eq!(
            said(&format!("Authorization: Basic {sent}")),
            "\"Authorization: Basic ***\""
        );
        assert_eq!(said("red \x1b[31m"), "\"red \\u{1b}[31m\"");
    }

    #[test]
    fn a_limit_that_is_used_up_says_until_when() {
        let headers = |left: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-ratelimit-remaining", left.parse().unwrap());
            headers.insert("x-ratelimit-reset", "1790000000".parse().unwrap());
            headers
        };
        let told = limited(403, &headers("0")).unwrap();
        assert!(told.contains("until 2026-09-21 "), "{told}");
        assert_eq!(limited(403, &headers("1")), None);
        assert_eq!(limited(404, &headers("0")), None);
        assert_eq!(limited(403, &HeaderMap::new()), None);
    }
}

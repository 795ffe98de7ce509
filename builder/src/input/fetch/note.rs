//! What a server says of its refusal, and what a person can do about it.
//!
//! Registries answer with `{"errors": [{"message": …}]}`
//! ([distribution](https://distribution.github.io/distribution/spec/api/#errors)), GitHub and
//! others with `{"message": …}`.

use std::time::Duration;

use nodeimg_values::date::Date;
use reqwest::header::HeaderMap;
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
    if let Some(said) = said(response, login).await {
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

/// The server's own words in quotes.
pub(super) async fn said(response: &mut Response, login: Option<&Login>) -> Option<String> {
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
    let mut words = words(&body)?;
    if let Some(login) = login {
        // A server may repeat what it was given.
        for secret in login.pair().splitn(2, ':').filter(|part| part.len() > 3) {
            words = words.replace(secret, "***");
        }
    }
    let short: String = words.chars().take(MAX_WORDS).collect();
    let end = if short.len() < words.len() { "…" } else { "" };
    Some(format!("\"{}{end}\"", short.escape_debug()))
}

/// Of JSON alone: a page is for people with a browser.
fn words(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let first = |value: &Value| {
        let text = ["message", "detail", "error_description", "error", "code"]
            .iter()
            .find_map(|key| value.get(key)?.as_str());
        text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let errors = value.get("errors").and_then(Value::as_array);
    let many: Vec<String> = errors.into_iter().flatten().filter_map(first).collect();
    let all = match many.is_empty() {
        true => first(&value)?,
        false => many.join("; "),
    };
    (!all.is_empty()).then_some(all)
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
            (r#"{"errors":{"message":"x"}}"#, None),
            ("<html><title>no</title></html>", None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(words(body.as_bytes()).as_deref(), wanted, "{body}");
        }
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

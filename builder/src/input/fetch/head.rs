//! The head of an answer.

use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Response, StatusCode};

use super::failure::Failure;
use super::note::Note;

/// The part of an answer's head that matters here.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) code: StatusCode,
    /// Of the body.
    pub(super) length: Option<u64>,
    pub(super) range: Option<ContentRange>,
    /// For a later If-Range.
    pub(super) validator: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// How the body is packed on its way, though nobody asked for that.
    pub(super) encoding: Option<String>,
    /// Whether the end of the body can be told from a cut.
    pub(super) is_framed: bool,
    /// Whether it says that it is a web page.
    pub(super) is_page: bool,
    /// Of a refusal: what the server says of it.
    pub(super) note: Option<Note>,
}

/// `Content-Range: bytes FIRST-LAST/TOTAL`, or `bytes */TOTAL`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ContentRange {
    pub(super) part: Option<(u64, u64)>,
    pub(super) total: Option<u64>,
}

impl Head {
    pub(super) fn of(response: &Response) -> Head {
        let headers = response.headers();
        let encoding = text(headers, &header::CONTENT_ENCODING).map(str::trim);
        let encoding = encoding.filter(|name| !matches!(*name, "" | "identity"));
        let is_http1 = response.version() <= reqwest::Version::HTTP_11;
        let has_end = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING]
            .iter()
            .any(|name| headers.contains_key(name));
        let number = |name| text(headers, &name).and_then(|v: &str| v.trim().parse().ok());
        let length = number(header::CONTENT_LENGTH);
        Head {
            code: response.status(),
            length,
            range: text(headers, &header::CONTENT_RANGE).and_then(content_range),
            validator: validator(headers),
            // A date instead of seconds is rare: then our own waiting time holds.
            retry_after: number(header::RETRY_AFTER).map(Duration::from_secs),
            encoding: encoding.map(str::to_owned),
            is_framed: !is_http1 || has_end,
            is_page: is_page(headers),
            note: None,
        }
    }
}

impl Head {
    /// That the body's bytes are the file's.
    pub(super) fn check_packing(&self) -> Result<(), Failure> {
        match &self.encoding {
            None => Ok(()),
            Some(encoding) => Err(Failure::Refused(format!(
                "the server sends the file packed (Content-Encoding: {}), though it was asked not \
                 to: these bytes are not the file's",
                encoding.escape_debug()
            ))),
        }
    }
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A strong entity tag, else a date of change: what If-Range may be given.
pub(super) fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, &header::ETAG).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(headers, &header::LAST_MODIFIED))
        .map(str::to_owned)
}

pub(super) fn content_range(value: &str) -> Option<ContentRange> {
    let (part, total) = value.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let part = match part {
        "*" => None,
        _ => {
            let (first, last) = part.split_once('-')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        }
    };
    let total = match total {
        "*" => None,
        _ => Some(total.parse().ok()?),
    };
    Some(ContentRange { part, total })
}

/// Whether the body says that it is a web page.
pub(super) fn is_page(headers: &HeaderMap) -> bool {
    let kind = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/html")
}

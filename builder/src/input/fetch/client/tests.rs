use super::*;
use crate::input::fetch::head::{ContentRange, content_range, validator};

#[test]
fn content_ranges() {
    let range = |part, total| Some(ContentRange { part, total });
    for (text, wanted) in [
        ("bytes 5-9/10", range(Some((5, 9)), Some(10))),
        ("bytes 5-9/*", range(Some((5, 9)), None)),
        ("bytes */10", range(None, Some(10))),
        ("bytes 5-/10", None),
        ("lines 5-9/10", None),
        ("bytes 5-9", None),
        ("", None),
    ] {
        assert_eq!(content_range(text), wanted, "{text}");
    }
}

#[test]
fn only_a_strong_tag_or_a_date_is_a_validator() {
    for (tag, date, wanted) in [
        (Some("\"a\""), Some("Thu"), Some("\"a\"")),
        (Some("W/\"a\""), Some("Thu"), Some("Thu")),
        (Some("W/\"a\""), None, None),
        (None, None, None),
    ] {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::ETAG, tag), (header::LAST_MODIFIED, date)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        assert_eq!(validator(&headers).as_deref(), wanted);
    }
}
#[test]
fn a_plain_server_may_send_to_itself_alone() {
    let mirrors = Mirrors::default();
    let to = |from: &str, location: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_static(location));
        let from = Url::parse(from).ok()?;
        let to = redirect(&mirrors, &from, &headers).ok()?;
        Some(to.to_string())
    };
    let here = "http://127.0.0.1:5000/v2/x/blobs/1";
    assert_eq!(
        to(here, "/blob").as_deref(),
        Some("http://127.0.0.1:5000/blob")
    );
    assert_eq!(to(here, "http://127.0.0.1:5001/blob"), None);
    assert_eq!(to(here, "http://other.example/"), None);
    assert_eq!(to("https://a.example/", "http://a.example/x"), None);
    assert!(to(here, "https://other.example/").is_some());
}

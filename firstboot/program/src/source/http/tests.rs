#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::time::{Duration, Instant};

use super::{Trouble, Url, ask, read};

#[test]
fn urls() {
    for (text, expected) in [
        ("http://10.0.2.2:8000/a/", Ok("http://10.0.2.2:8000/a/x")),
        ("http://10.0.2.2", Ok("http://10.0.2.2/x")),
        ("http://[fd00::1]:80/seed", Ok("http://[fd00::1]:80/seed/x")),
        ("http://[fd00::1]/", Ok("http://[fd00::1]/x")),
        ("https://10.0.2.2/", Err("https")),
        ("ftp://10.0.2.2/", Err("does not begin")),
        (
            "http://seed.example/",
            Err("`seed.example`; first boot only connects to IP addresses"),
        ),
        ("http://10.0.2.2/a b", Err("spaces")),
    ] {
        let url = Url::parse(text).map(|url| url.join("x").to_string());
        match (url, expected) {
            (Ok(url), Ok(expected)) => assert_eq!(url, expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
}

fn answer(text: &str) -> String {
    match read(&mut text.as_bytes()) {
        Ok(Some(body)) => format!("body {}", String::from_utf8_lossy(&body)),
        Ok(None) => "nothing".to_owned(),
        Err(Trouble::Unreachable(reason)) => format!("later: {reason}"),
        Err(Trouble::Wrong(reason)) => format!("wrong: {reason}"),
    }
}

#[test]
fn answers() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000));
    let large = format!("HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(5 << 20));
    for (text, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", "body ab"),
        ("HTTP/1.0 200 OK\r\n\r\nabc", "body abc"),
        ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", "body "),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
            "body abc",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            "later: the response was cut off",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab",
            "wrong: the response is larger than 4 MiB",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n",
            "wrong: the response is not HTTP",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n",
            "wrong: the response is encoded in an unknown way",
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
            "body abc",
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nabc",
            "wrong: the response does not say how long it is, so one that was cut off would look \
             whole",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\nabc",
            "wrong: the response is larger than 4 MiB",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
            "wrong: the response has a length that is not a number",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
            "wrong: the response has a length that is not a number",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 2\r\n\r\nabc",
            "wrong: the response has two lengths",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "wrong: the response is not HTTP",
        ),
        ("HTTP/1.1 404 Not Found\r\n\r\n", "nothing"),
        ("HTTP/1.1 503 Busy\r\n\r\n", "later: the server answers 503"),
        ("HTTP/1.1 401 No\r\n\r\n", "wrong: the server answers 401"),
        (
            "HTTP/1.1 302 There\r\nLocation: http://x/\r\n\r\n",
            "wrong: the server answers 302, a redirect, which first boot does not follow",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "later: the response was cut off",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nabc",
            "wrong: the response is larger than 4 MiB",
        ),
        ("HTTP/1.1 200 OK\r\n", "later: the response was cut off"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "wrong: the response is not HTTP"),
        (endless.as_str(), "wrong: the response header does not end"),
        (large.as_str(), "wrong: the response is larger than 4 MiB"),
    ] {
        let found = answer(text);
        assert_eq!(found, expected, "{}", &text[..text.len().min(90)]);
    }
}

#[test]
fn a_host_that_says_nothing_ends_at_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let began = Instant::now();
    let wait = Duration::from_millis(200);
    let answer = ask("GET", &url, &[], began + wait);
    assert!(matches!(answer, Err(Trouble::Unreachable(_))));
    assert!(began.elapsed() >= wait && began.elapsed() < Duration::from_secs(60));
    drop(listener);
    let answer = ask("GET", &url, &[], Instant::now() + Duration::from_secs(60));
    assert!(matches!(answer, Err(Trouble::Unreachable(_))));
}

/// What came, and then a server that keeps the connection open and says no more.
struct Open<'a>(&'a [u8]);

impl std::io::Read for Open<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(std::io::ErrorKind::TimedOut.into()),
            length => Ok(length),
        }
    }
}

#[test]
fn the_last_chunk_ends_the_response() {
    let long = "x".repeat(20_000);
    let text = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n{long}\r\n1\r\ny\r\n0\r\n\r\n"
    );
    let body = read(&mut Open(text.as_bytes())).unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&body), format!("{long}y"));
    let cut = text.strip_suffix("0\r\n\r\n").unwrap();
    let answer = read(&mut Open(cut.as_bytes()));
    assert!(matches!(answer, Err(Trouble::Unreachable(_))));
}

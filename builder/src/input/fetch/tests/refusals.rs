//! Who refuses, and in which words.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::tls::child;
use super::*;

/// Answers every request alike; its port, and how many there were.
fn raw(answer: String) -> (u16, Arc<AtomicUsize>) {
    raw_with(move |mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(answer.as_bytes());
    })
}

fn raw_with(talk: impl Fn(TcpStream) + Send + 'static) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            talk(stream);
        }
    });
    (port, count)
}

fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
}

fn answer(status: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n{body}"
    )
}

#[test]
fn a_proxy_that_refuses_is_named_with_its_answer() {
    for (status, most) in [
        ("403 Forbidden", 2),
        ("407 Proxy Authentication Required", 1),
        ("503 Service Unavailable", 9),
        ("302 Found", 2),
    ] {
        let (port, count) = raw(answer(status, "", ""));
        let proxy = format!("http://me:s3cret@127.0.0.1:{port}");
        let error = child(&[
            ("TEST_URL", "https://up.example/x"),
            ("https_proxy", &proxy),
        ]);
        let wanted = format!(
            "the proxy 127.0.0.1:{port} answers {status} and does not connect to up.example:443"
        );
        assert!(error.contains(&wanted), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
        let count = count.load(Ordering::SeqCst);
        assert!((1..=most).contains(&count), "{status}: {count}");
    }
    // Of a plain one it may be the server's answer.
    let (port, _) = raw(answer("403 Forbidden", "", ""));
    let proxy = format!("http://127.0.0.1:{port}");
    let rule = ("TEST_MIRROR", "https://up.example/=http://m.example/");
    let url = ("TEST_URL", "https://up.example/x");
    let error = child(&[url, rule, ("http_proxy", &proxy)]);
    assert!(
        error.contains(&format!("through the proxy 127.0.0.1:{port}")),
        "{error}"
    );
    // A port that nobody is given by chance, as another test might be.
    let address = "127.0.0.1:9";
    let error = child(&[url, ("https_proxy", &format!("http://{address}"))]);
    assert!(
        error.contains(&format!(
            "cannot connect: the proxy {address} (for up.example:443)"
        )),
        "{error}"
    );
}

#[test]
fn a_socks_proxy_is_used() {
    let (port, _) = raw_with(|mut stream| {
        let mut bytes = [0; 3];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&[5, 0]).unwrap();
        // Version, command, reserved, a name of this length.
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        let mut name = vec![0; usize::from(bytes[4]) + 2];
        stream.read_exact(&mut name).unwrap();
        assert_eq!(&name[..9], b"m.example");
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        read_head(&mut stream);
        stream
            .write_all(answer("200 OK", "", "hello").as_bytes())
            .unwrap();
    });
    let rule = ("TEST_MIRROR", "https://up.example/=http://m.example/");
    let url = ("TEST_URL", "https://up.example/x");
    let proxy = format!("socks5h://127.0.0.1:{port}");
    assert_eq!(child(&[url, rule, ("ALL_PROXY", &proxy)]), "fetched");
}

#[test]
fn a_server_says_why_in_its_own_words() {
    let place = place();
    let fetch = |status: &str, more: &str, body: &str, accept: Option<&'static str>| {
        let (port, _) = raw(answer(status, more, body));
        let rule = format!("https://up.example/=http://me:s3cret@127.0.0.1:{port}/k8s/");
        let options = Options {
            mirrors: mirror(&rule),
            ..Options::default()
        };
        let path = "/v2/pause/manifests/1";
        let asked = Request {
            accept,
            ..request(path, b"x")
        };
        let error = format!("{:#}", place.fetch(options, &[asked]).unwrap_err());
        assert!(!error.contains("s3cret"), "{error}");
        (error, port)
    };
    let denied = r#"{"errors":[{"code":"DENIED","message":"no access for s3cret"}]}"#;
    let (error, _) = fetch("403 Forbidden", "", denied, None);
    assert!(
        error.contains(r#"403 Forbidden, it says: "no access for ***""#),
        "{error}"
    );
    let (error, _) = fetch("403 Forbidden", "", denied, Some("*/*"));
    assert!(error.contains("it says: \"no access for ***\""), "{error}");
    let limit = "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1790000000\r\n";
    let (error, _) = fetch("403 Forbidden", limit, "{\"message\":\"slow\"}", None);
    assert!(
        error.contains("used up until 2026-09-21 14:13:20 UTC"),
        "{error}"
    );
    let page = "Content-Type: text/html; charset=utf-8\r\n";
    let (error, port) = fetch("200 OK", page, "<html>", Some("*/*"));
    assert!(error.contains("a web page (HTML)"), "{error}");
    assert!(
        error.contains(&format!(
            "through the mirror http://***@127.0.0.1:{port}/k8s/v2"
        )),
        "{error}"
    );
    let (error, _) = fetch("200 OK", "", "\n<!doctype html>", Some("x.manifest.y"));
    assert!(error.contains("a web page (HTML)"), "{error}");
    let (error, port) = fetch("404 Not Found", "", "", Some("*/*"));
    let wanted = format!("--mirror https://up.example/v2/=http://***@127.0.0.1:{port}/v2/k8s/");
    assert!(error.contains(&wanted), "{error}");
    let odd = "Location: http://me:s3cret@[/x?s3cret\r\n";
    let (error, _) = fetch("302 Found", odd, "", None);
    assert!(
        error.contains("redirects to nowhere (Location: `http://***@[/x?...`)"),
        "{error}"
    );
}

#[test]
fn a_token_service_is_told_from_its_registry() {
    let place = place();
    for (status, body, wanted) in [
        (
            "401 Unauthorized",
            r#"{"details":"no such user s3cret"}"#,
            "answers 401 Unauthorized, it says: \"no such user ***\"",
        ),
        ("404 Not Found", "", "answers 404 Not Found"),
        ("302 Found", "", "answers 302 Found"),
        (
            "503 Service Unavailable",
            "db down",
            "the server answers 503 Service Unavailable, as the token service 127.0.0.1:",
        ),
        (
            "200 OK",
            r#"{"error":"invalid_scope"}"#,
            "answers without a token, it says: \"invalid_scope\"",
        ),
    ] {
        let (service, _) = raw(answer(status, "", body));
        let challenge =
            format!("WWW-Authenticate: Bearer realm=\"http://127.0.0.1:{service}/t\"\r\n");
        let (port, _) = raw(answer("401 Unauthorized", &challenge, ""));
        let rule = format!("https://up.example/=http://me:s3cret@127.0.0.1:{port}/");
        let options = Options {
            mirrors: mirror(&rule),
            ..Options::default()
        };
        let asked = Request {
            accept: Some("*/*"),
            ..request("/v2/pause/manifests/1", b"x")
        };
        let error = format!("{:#}", place.fetch(options, &[asked]).unwrap_err());
        for wanted in [
            wanted,
            &format!("the token service 127.0.0.1:{service} of the registry 127.0.0.1:{port}"),
        ] {
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
        assert!(!error.contains("s3cret"), "{error}");
        // The image itself was not looked for.
        assert!(
            status.starts_with("401") || !error.contains("stands behind"),
            "{error}"
        );
    }
}

#[test]
fn whoever_a_redirect_leads_to_is_named() {
    let place = place();
    let silent = TcpListener::bind("127.0.0.2:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let to = format!("Location: https://{silent}/x\r\n");
    let (port, _) = raw(answer("302 Found", &to, ""));
    let options = Options {
        mirrors: mirror(&format!("https://up.example/=http://127.0.0.1:{port}/")),
        ..Options::default()
    };
    let error = place.fetch(options, &[request("/x", b"x")]).unwrap_err();
    let error = format!("{error:#}");
    let wanted = "cannot connect: 127.0.0.2, after a redirect: Connection refused";
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn every_mirror_is_told_with_its_answer() {
    let (one, two, place) = (Server::start(), Server::start_at("127.0.0.2"), place());
    let archives = [one.url("/debian"), two.url("")].to_vec();
    let mirrors = Mirrors::new(&["https://=file:///nonexistent/".to_owned()], None, &[]).unwrap();
    let options = Options {
        mirrors: mirrors
            .with_archives([("debian".to_owned(), archives)].into())
            .unwrap(),
        ..Options::default()
    };
    let url = Mirrors::snapshot("debian", "20260912T075541Z", "dists/trixie/InRelease");
    let fetcher = Fetcher::new(&place.store, options, &place.progress);
    let error = fetcher.first_text(&url, "the index", Ok).unwrap_err();
    assert!(error.is::<Gone>());
    let error = format!("{error:#}");
    for wanted in [
        format!(
            "{}: the server answers 404",
            one.url("/debian/dists/trixie/InRelease")
        ),
        format!(
            "{}: the server answers 404",
            two.url("/dists/trixie/InRelease")
        ),
        format!("is {} meant?", two.url("/debian")),
        "file:///nonexistent/snapshot.debian.org/".to_owned(),
    ] {
        assert!(error.contains(&wanted), "{wanted}: {error}");
    }
    assert_eq!(error.matches("meant?").count(), 1, "{error}");
}

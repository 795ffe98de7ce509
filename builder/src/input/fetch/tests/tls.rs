//! Trust and proxies. What the environment decides is tried in a child process,
//! since a test must not change the environment of its neighbours.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use super::*;
use nodeimg_test_support::tls_server::{tls_server, tls_server_of};

fn direct(url: String) -> Request {
    Request {
        url,
        ..request("/x", b"hello")
    }
}

#[test]
fn an_unknown_ca_is_refused_at_once_with_a_remedy() {
    let (port, _) = tls_server(&["127.0.0.1"]);
    let place = place();
    let options = Options::default();
    let begun = Instant::now();
    let error = place.fetch(options, &[direct(format!("https://127.0.0.1:{port}/x"))]);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("a CA that this machine does not know"),
        "{error}"
    );
    assert!(error.contains("SSL_CERT_FILE"), "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "it was tried again"
    );
    assert!(place.blobs().is_empty() && place.partials().is_empty());
}

#[test]
fn a_port_without_tls_is_told() {
    let (server, place) = (Server::start(), place());
    let url = format!("https://{}/x", server.address());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = format!("https://{}/x", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0; 5];
            let _ = stream.read(&mut hello);
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    for url in [url, other] {
        let mut options = options(&server);
        options.mirrors = Mirrors::default();
        let error = place
            .fetch(options, &[direct(url)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("TLS") || error.contains("cannot connect"),
            "{error}"
        );
        assert!(place.blobs().is_empty() && place.partials().is_empty());
    }
}

/// Only for [`child`]: fetches `$TEST_URL`, prints the error if there is one.
#[test]
#[ignore = "runs as a child of other tests"]
fn fetch_in_a_child() {
    let place = place();
    let url = std::env::var("TEST_URL").unwrap();
    let mut options = Options::default();
    if let Ok(rule) = std::env::var("TEST_MIRROR") {
        options.mirrors = Mirrors::new(&[], Some(&rule), &[]).unwrap();
    }
    match place.fetch(options, &[direct(url)]) {
        Ok(_) => println!("CHILD: fetched"),
        Err(error) => println!("CHILD: {error:#}"),
    }
}

pub(super) fn child(environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--ignored",
        "--exact",
        "--nocapture",
        "input::fetch::tests::tls::fetch_in_a_child",
    ]);
    for name in [
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "NETRC",
    ] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("CHILD: "));
    line.unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

#[test]
fn ssl_cert_file_is_trusted_and_the_name_is_still_checked() {
    let (port, pem) = tls_server(&["127.0.0.1"]);
    let (other, other_pem) = tls_server(&["other.example"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    fs::write(&file, pem + &other_pem).unwrap();
    let file = file.to_str().unwrap();
    let url = format!("https://127.0.0.1:{port}/x");
    assert_eq!(
        child(&[("TEST_URL", &url), ("SSL_CERT_FILE", file)]),
        "fetched"
    );
    let url = format!("https://127.0.0.1:{other}/x");
    let error = child(&[("TEST_URL", &url), ("SSL_CERT_FILE", file)]);
    assert!(
        error.contains("the server's certificate is rejected"),
        "{error}"
    );
}

#[test]
fn without_any_ca_plain_mirrors_work_and_https_says_why_not() {
    let server = Server::start();
    server.serve("/x", b"hello");
    let rule = format!("https://up.example/={}", server.url("/"));
    let nothing = ("SSL_CERT_FILE", "/dev/null");
    let none = ("SSL_CERT_DIR", "/nonexistent");
    let url = ("TEST_URL", "https://up.example/x");
    assert_eq!(
        child(&[url, nothing, none, ("TEST_MIRROR", &rule)]),
        "fetched"
    );
    let (port, _) = tls_server(&["127.0.0.1"]);
    let url = format!("https://127.0.0.1:{port}/x");
    let error = child(&[("TEST_URL", &url), nothing, none]);
    assert!(error.contains("install ca-certificates"), "{error}");
}

#[test]
fn the_proxy_of_the_environment_is_asked() {
    let proxy = Server::start();
    proxy.serve("/x", b"hello");
    let rule = "https://up.example/=http://mirror.example/";
    let said = child(&[
        ("TEST_URL", "https://up.example/x"),
        ("TEST_MIRROR", rule),
        ("http_proxy", &proxy.url("")),
    ]);
    assert_eq!(said, "fetched");
    assert_eq!(proxy.seen()[0].target, "http://mirror.example/x");
}

#[test]
fn a_wrong_clock_is_told_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    for (years, date, wanted) in [
        (
            [2019, 2020],
            "Tue, 01 Jan 2019 00:00:01 GMT",
            [
                "has expired 2020-01-01 00:00:00 UTC",
                "the server says that it is 2019-01-01",
            ],
        ),
        (
            [2901, 2902],
            "Sat, 01 Jan 2901 00:00:01 GMT",
            [
                "is not valid before 2901-01-01",
                "clock is most likely wrong",
            ],
        ),
    ] {
        let (port, pem) = tls_server_of("127.0.0.1", years, date);
        fs::write(&file, pem).unwrap();
        let url = format!("https://127.0.0.1:{port}/x");
        let error = child(&[
            ("TEST_URL", &url),
            ("SSL_CERT_FILE", file.to_str().unwrap()),
        ]);
        for wanted in wanted {
            assert!(error.contains(wanted), "{error}");
        }
    }
}

//! Whom a login is sent to. The environment is that of a child, as in `tls`.

use super::tls::child;
use super::*;

/// `Basic` of `me:pw`.
const ME: &str = "Basic bWU6cHc=";

fn logins(server: &Server) -> Vec<Option<String>> {
    let seen = server.seen();
    let login = |s: &nodeimg_test_support::http_server::Request| {
        s.header("authorization").map(str::to_owned)
    };
    seen.iter().map(login).collect()
}

/// `/x` of the first leads to `/y`, and that to the other.
fn two() -> (Server, Server) {
    let (server, other) = (Server::start(), Server::start_at("127.0.0.2"));
    let to = |url: String| vec![faulty(b"", Fault::Redirect(url))];
    server.script("/x", to(server.url("/y")));
    server.script("/y", to(other.url("/z")));
    other.serve("/z", b"hello");
    (server, other)
}

#[test]
fn a_login_of_netrc_stays_with_its_server() {
    let (server, other) = two();
    let dir = tempfile::tempdir().unwrap();
    let netrc = dir.path().join(".netrc");
    let text = "machine 127.0.0.1 login me password pw\nmachine 127.0.0.2 login you password pw\n";
    fs::write(&netrc, text).unwrap();
    let rules = format!("https://up.example/={}", server.url("/"));
    let allow = format!("https://other.example/={}", other.url("/"));
    let url = ("TEST_URL", "https://up.example/x");
    let mirror = ("TEST_MIRROR", format!("{rules} {allow}"));
    let dir = dir.path().to_str().unwrap();
    for place in [("HOME", dir), ("NETRC", netrc.to_str().unwrap())] {
        assert_eq!(child(&[url, (mirror.0, &mirror.1), place]), "fetched");
    }
    let me = || Some(ME.to_owned());
    assert_eq!(logins(&server), [me(), me(), me(), me()]);
    assert_eq!(logins(&other), [None, None]);
}

#[test]
fn a_login_of_the_mirrors_url_stays_with_it_too() {
    let (server, other, place) = {
        let (server, other) = two();
        (server, other, place())
    };
    let own = server.url("/").replace("//", "//me:pw@");
    let rules = [
        format!("https://up.example/={own}"),
        format!("https://other.example/={}", other.url("/")),
    ];
    let options = Options {
        mirrors: Mirrors::new(&rules, None, &[]).unwrap(),
        ..options(&server)
    };
    place.fetch(options, &[request("/x", b"hello")]).unwrap();
    assert_eq!(logins(&server), [Some(ME.to_owned()), Some(ME.to_owned())]);
    assert_eq!(logins(&other), [None]);
}

#[test]
fn the_entry_for_every_server_is_for_those_that_ask() {
    let server = Server::start();
    server.script("/x", vec![faulty(b"", Fault::Status(401)), good(b"hello")]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".netrc"), "default login me password pw\n").unwrap();
    let rule = format!("https://up.example/={}", server.url("/"));
    let home = ("HOME", dir.path().to_str().unwrap());
    let url = ("TEST_URL", "https://up.example/x");
    assert_eq!(child(&[url, ("TEST_MIRROR", &rule), home]), "fetched");
    assert_eq!(logins(&server), [None, Some(ME.to_owned())]);
    server.script("/x", vec![faulty(b"", Fault::Status(401))]);
    let error = child(&[url, ("TEST_MIRROR", &rule), ("HOME", "/nonexistent")]);
    assert!(error.contains("machine 127.0.0.1 login USER"), "{error}");
    fs::write(
        dir.path().join(".netrc"),
        "machine 127.0.0.1 login me password s3cret",
    )
    .unwrap();
    let error = child(&[url, ("TEST_MIRROR", &rule), home]);
    assert!(error.contains(".netrc: check its user name"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

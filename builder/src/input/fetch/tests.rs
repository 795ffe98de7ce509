//! Downloads against a server with faults. No test leaves this machine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod arrivals;
mod faults;
mod lock;
mod logins;
mod mirrors;
mod refusals;
mod tls;

use std::path::Path;
use std::time::Instant;
use std::{fs, thread};

use nodeimg_test_support::faulty_server::{Answer, Fault, Server, faulty, good};
use nodeimg_values::progress::Mode;

use super::*;

/// Longer than a write and than the progress that sets the count back.
fn body() -> Vec<u8> {
    (0..3_000_000u32)
        .map(|i| (i / 7).wrapping_add(i.wrapping_mul(i)) as u8)
        .collect()
}

fn expected(bytes: &[u8]) -> Expected {
    Expected {
        sha256: Some(Digest::sha256(bytes)),
        ..Expected::default()
    }
}

fn request(path: &str, bytes: &[u8]) -> Request {
    Request {
        what: format!("thing {path}"),
        url: format!("https://up.example{path}"),
        want: expected(bytes),
        max_size: 10_000_000,
        accept: None,
    }
}

fn options(server: &Server) -> Options {
    Options {
        mirrors: mirror(&format!("https://up.example/={}", server.url("/"))),
        idle_timeout: Duration::from_millis(400),
        retry: Retry {
            attempts: 3,
            first_wait: Duration::from_millis(10),
            longest_wait: Duration::from_millis(40),
        },
        ..Options::default()
    }
}

fn mirror(rule: &str) -> Mirrors {
    Mirrors::new(&[rule.to_owned()], None, &[]).unwrap()
}

struct Place {
    dir: tempfile::TempDir,
    store: Store,
    progress: Progress,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    Place {
        store: Store::open(dir.path()).unwrap(),
        progress: Progress::new(Mode::Quiet),
        dir,
    }
}

impl Place {
    fn fetch(&self, options: Options, requests: &[Request]) -> Result<Vec<VerifiedBlob>> {
        Fetcher::new(&self.store, options, &self.progress).fetch(requests)
    }

    fn blobs(&self) -> Vec<String> {
        files(&self.dir.path().join("blobs"))
    }

    /// Names without the lock files, which stay.
    fn partials(&self) -> Vec<String> {
        let mut names = files(&self.dir.path().join("partial"));
        names.retain(|name| !name.ends_with(".lock"));
        names
    }
}

fn files(dir: &Path) -> Vec<String> {
    walkdir::WalkDir::new(dir)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.file_name().to_str().unwrap().to_owned())
        .collect()
}

/// What the server was asked, as ranges ("-" for the whole).
fn ranges(server: &Server) -> Vec<String> {
    let seen = server.seen();
    seen.iter()
        .map(|s| s.header("range").unwrap_or("-").to_owned())
        .collect()
}

/// A registry that says neither tag nor date: the name of a blob is its digest.
#[test]
fn a_killed_download_of_a_blob_goes_on_without_a_validator() {
    let all = body();
    let (server, place) = (Server::start(), place());
    let mut fails = options(&server);
    fails.retry.attempts = 1;
    let blob = format!("/v2/x/blobs/{}", Digest::sha256(&all));
    let bare = |fault| Answer {
        etag: None,
        ..faulty(&all, fault)
    };
    server.script(&blob, vec![bare(Fault::Cut(2_000_000)), bare(Fault::None)]);
    assert!(place.fetch(fails, &[request(&blob, &all)]).is_err());
    place
        .fetch(options(&server), &[request(&blob, &all)])
        .unwrap();
    assert_eq!(ranges(&server), ["-", "bytes=2000000-"]);
    assert_eq!(server.seen()[1].header("if-range"), None);
    // What was put together and is not the blob is fetched again, once.
    let (server, place) = (Server::start(), self::place());
    let mut old = bare(Fault::Cut(2_000_000));
    old.body = std::sync::Arc::new(all.iter().map(|byte| !byte).collect());
    server.script(&blob, vec![old, bare(Fault::None), bare(Fault::None)]);
    place
        .fetch(options(&server), &[request(&blob, &all)])
        .unwrap();
    assert_eq!(ranges(&server), ["-", "bytes=2000000-", "-"]);
}

#[test]
fn a_killed_download_goes_on_in_the_next_run() {
    let all = body();
    let (server, place) = (Server::start(), place());
    let mut fails = options(&server);
    fails.retry.attempts = 1;
    server.script("/x", vec![faulty(&all, Fault::Cut(2_000_000)), good(&all)]);
    assert!(place.fetch(fails, &[request("/x", &all)]).is_err());
    assert_eq!(place.partials().len(), 2);
    place
        .fetch(options(&server), &[request("/x", &all)])
        .unwrap();
    assert_eq!(ranges(&server), ["-", "bytes=2000000-"]);
    let resumed = &server.seen()[1];
    assert_eq!(resumed.header("if-range"), Some("\"one\""));
    assert_eq!(resumed.header("accept-encoding"), Some("identity"));
    assert!(
        resumed
            .header("user-agent")
            .unwrap()
            .starts_with("nodeimg/")
    );
    assert!(place.partials().is_empty());
    // Warm: no more requests, and the same blob.
    place
        .fetch(options(&server), &[request("/x", &all)])
        .unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_download_that_lacks_only_its_end_asks_nobody() {
    let all = body();
    let (server, place) = (Server::start(), place());
    let mut fails = options(&server);
    fails.retry.attempts = 1;
    server.script("/x", vec![faulty(&all, Fault::Length(3_000_100))]);
    let mut request = request("/x", &all);
    assert!(place.fetch(fails, std::slice::from_ref(&request)).is_err());
    request.want.size = Some(3_000_000);
    place.fetch(options(&server), &[request]).unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn all_failures_are_in_one_error_and_the_good_ones_stay() {
    let (server, place) = (Server::start(), place());
    server.serve("/good", b"good");
    let requests = [
        request("/a", b"a"),
        request("/good", b"good"),
        request("/b", b"b"),
    ];
    let error = format!(
        "{:#}",
        place.fetch(options(&server), &requests).unwrap_err()
    );
    assert!(
        error.starts_with("2 downloads failed:\n  thing /a: "),
        "{error}"
    );
    assert!(error.contains("\n  thing /b: "), "{error}");
    assert_eq!(place.blobs(), [Digest::sha256(b"good").hex()]);
}

#[test]
fn results_are_in_the_order_of_the_requests() {
    let (server, place) = (Server::start(), place());
    let texts: Vec<String> = (0..20).map(|i| format!("body {i}")).collect();
    let mut requests = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let path = format!("/{i}");
        server.serve(&path, text.as_bytes());
        requests.push(request(&path, text.as_bytes()));
    }
    // Some are there before, one is asked for twice.
    place.fetch(options(&server), &requests[3..7]).unwrap();
    requests.push(request("/5", b"body 5"));
    requests.push(request("/19", b"body 19"));
    let blobs = place.fetch(options(&server), &requests).unwrap();
    for (blob, request) in blobs.iter().zip(&requests) {
        assert_eq!(Some(blob.sha256()), request.want.sha256.as_ref());
    }
    assert_eq!(blobs.len(), 22);
    assert_eq!(server.seen().len(), 20);
}

#[test]
fn a_damaged_blob_is_named_and_fetched_again() {
    let (server, place) = (Server::start(), place());
    server.serve("/x", b"hello");
    let path = place
        .fetch(options(&server), &[request("/x", b"hello")])
        .unwrap()[0]
        .path()
        .to_owned();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"hellO").unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let progress = Progress::to(Mode::Plain, Box::new(log.reopen().unwrap()));
    let blobs = Fetcher::new(&place.store, options(&server), &progress)
        .fetch(&[request("/x", b"hello")])
        .unwrap();
    assert_eq!(fs::read(blobs[0].path()).unwrap(), b"hello");
    let log = fs::read_to_string(log.path()).unwrap();
    let warning = format!(
        "warning: thing /x: the stored file {} was damaged",
        path.display()
    );
    assert!(log.contains(&warning), "{log}");
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn offline_names_everything_that_is_missing_and_asks_nobody() {
    let (server, place) = (Server::start(), place());
    server.serve("/x", b"x");
    place
        .fetch(options(&server), &[request("/x", b"x")])
        .unwrap();
    let offline = Options {
        offline: true,
        warm_command: "nodeimg fetch --arch arm64".to_owned(),
        ..options(&server)
    };
    place
        .fetch(offline.clone(), &[request("/x", b"x")])
        .unwrap();
    let requests = [
        request("/a", b"a"),
        request("/x", b"x"),
        request("/b", b"b"),
    ];
    let error = place
        .fetch(offline.clone(), &requests)
        .unwrap_err()
        .to_string();
    for text in [
        "lacks 2 of 3 artifacts",
        "thing /a  https://up.example/a",
        "thing /b  https://up.example/b",
        "`nodeimg fetch --arch arm64`",
        "--bundle FILE",
    ] {
        assert!(error.contains(text), "{error}");
    }
    let error =
        Fetcher::new(&place.store, offline, &place.progress).text("https://up.example/s", "sums");
    assert!(error.unwrap_err().to_string().contains("--offline"));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn two_fetchers_on_one_store_download_once() {
    let all = body();
    let (server, place) = (Server::start(), place());
    server.script(
        "/x",
        vec![faulty(
            &all,
            Fault::Slow(300_000, Duration::from_millis(20)),
        )],
    );
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // A second Store on the directory is what another process has.
                let store = Store::open(place.dir.path()).unwrap();
                let blobs = Fetcher::new(&store, options(&server), &place.progress)
                    .fetch(&[request("/x", &all)])
                    .unwrap();
                assert_eq!(fs::read(blobs[0].path()).unwrap(), all);
            });
        }
    });
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn limits_of_concurrency_hold() {
    for (jobs, per_host, most) in [(8, 2, 2), (3, 8, 3), (1, 1, 1)] {
        let (server, place) = (Server::start(), place());
        let mut requests = Vec::new();
        for i in 0..8 {
            let (path, body) = (format!("/{i}"), format!("body {i}"));
            let fault = Fault::Slow(3, Duration::from_millis(50));
            server.script(&path, vec![faulty(body.as_bytes(), fault)]);
            requests.push(request(&path, body.as_bytes()));
        }
        let options = Options {
            jobs,
            per_host,
            ..options(&server)
        };
        place.fetch(options, &requests).unwrap();
        assert_eq!(server.most_busy(), most, "jobs {jobs}, per host {per_host}");
    }
}

#[test]
fn a_refused_connection_says_what_to_check() {
    let (server, place) = (Server::start(), place());
    let mut options = options(&server);
    // A port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    options.mirrors = mirror(&format!(
        "https://up.example/=http://user:secret@127.0.0.1:{port}/"
    ));
    let error = place
        .fetch(options, &[request("/x", b"x")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot connect") && error.contains("refused"),
        "{error}"
    );
    assert!(error.contains("HTTPS_PROXY"), "{error}");
    assert!(
        error.contains("//***@") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn a_store_that_cannot_be_written_is_no_network_failure() {
    let (server, place) = (Server::start(), place());
    server.serve("/x", b"x");
    fs::remove_dir(place.dir.path().join("partial")).unwrap();
    fs::write(place.dir.path().join("partial"), b"").unwrap();
    let error = place
        .fetch(options(&server), &[request("/x", b"x")])
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.starts_with("thing /x: preparing the download file "),
        "{error}"
    );
    assert_eq!(server.seen().len(), 0, "{error}");
}

#[test]
fn a_server_without_end_does_not_hold_us() {
    let (server, place) = (Server::start(), place());
    server.script("/x", vec![faulty(b"x", Fault::Stall(0))]);
    let begun = Instant::now();
    assert!(
        place
            .fetch(options(&server), &[request("/x", b"x")])
            .is_err()
    );
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

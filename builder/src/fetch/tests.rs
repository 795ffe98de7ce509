//! Downloads against a server with faults. No test leaves this machine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../tests/support/faulty_server.rs"]
mod faulty_server;
mod tls;

use std::fs;
use std::path::Path;
use std::time::Instant;

use faulty_server::{Answer, Fault, Server, faulty, good};

use super::*;
use crate::progress::Mode;

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

#[test]
fn faults_that_pass() {
    let all = body();
    let dated = |fault| Answer {
        etag: Some("W/\"weak\"".to_owned()),
        last_modified: Some("Sat, 01 Jan 2022 00:00:00 GMT".to_owned()),
        ..faulty(&all, fault)
    };
    let bare = |fault| Answer {
        etag: None,
        ..faulty(&all, fault)
    };
    let changed = Answer {
        etag: Some("\"two\"".to_owned()),
        ..good(&all)
    };
    let old: Vec<u8> = all.iter().map(|b| !b).collect();
    let f = |fault| faulty(&all, fault);
    const HALF: &str = "bytes=1500000-";
    let table: Vec<(&str, Vec<Answer>, &[&str])> = vec![
        ("good", vec![good(&all)], &["-"]),
        ("chunked", vec![f(Fault::Chunked)], &["-"]),
        ("unframed", vec![f(Fault::Unframed)], &["-"]),
        (
            "slow",
            vec![f(Fault::Slow(700_000, Duration::from_millis(150)))],
            &["-"],
        ),
        ("cut at 0", vec![f(Fault::Cut(0)), good(&all)], &["-", "-"]),
        (
            "cut at half",
            vec![f(Fault::Cut(1_500_000)), good(&all)],
            &["-", HALF],
        ),
        (
            "cut at 99 %",
            vec![f(Fault::Cut(2_970_000)), good(&all)],
            &["-", "bytes=2970000-"],
        ),
        (
            "cut, by date",
            vec![dated(Fault::Cut(1_500_000)), dated(Fault::None)],
            &["-", HALF],
        ),
        (
            "cut, no validator",
            vec![bare(Fault::Cut(1_500_000)), bare(Fault::None)],
            &["-", "-"],
        ),
        (
            "stall",
            vec![f(Fault::Stall(1_500_000)), good(&all)],
            &["-", HALF],
        ),
        (
            "no range",
            vec![f(Fault::Cut(1_500_000)), f(Fault::IgnoreRange)],
            &["-", HALF],
        ),
        (
            "changed tag",
            vec![faulty(&old, Fault::Cut(1_500_000)), changed],
            &["-", HALF],
        ),
        (
            "changed, same tag",
            vec![faulty(&old, Fault::Cut(1_500_000)), good(&all)],
            &["-", HALF, "-"],
        ),
        (
            "wrong range",
            vec![
                f(Fault::Cut(1_500_000)),
                f(Fault::ContentRange("bytes 0-1499999/3000000".to_owned())),
                good(&all),
            ],
            &["-", HALF, "-"],
        ),
        (
            "less than the range",
            vec![
                f(Fault::Cut(1_500_000)),
                f(Fault::ShortRange(500_000)),
                good(&all),
            ],
            &["-", HALF, "bytes=2000000-"],
        ),
        (
            "long length",
            vec![f(Fault::Length(3_000_100)), good(&all)],
            &["-", "bytes=3000000-"],
        ),
        (
            "unframed cut",
            vec![f(Fault::UnframedCut(1_500_000)), good(&all)],
            &["-", "-"],
        ),
        (
            "500 twice",
            vec![f(Fault::Status(500)), f(Fault::Status(503)), good(&all)],
            &["-"; 3],
        ),
        (
            "429",
            vec![f(Fault::RetryAfter(3600)), good(&all)],
            &["-", "-"],
        ),
        ("no http", vec![f(Fault::Garbage), good(&all)], &["-", "-"]),
    ];
    for (name, answers, asked) in table {
        let (server, place) = (Server::start(), place());
        server.script("/x", answers);
        let blobs = place.fetch(options(&server), &[request("/x", &all)]);
        let blobs = blobs.unwrap_or_else(|e| panic!("{name}: {e:#}"));
        assert_eq!(blobs[0].sha256(), &Digest::sha256(&all), "{name}");
        assert_eq!(fs::read(blobs[0].path()).unwrap(), all, "{name}");
        assert_eq!(ranges(&server), asked, "{name}");
        assert_eq!(place.blobs().len(), 1, "{name}");
        assert!(
            place.partials().is_empty(),
            "{name}: {:?}",
            place.partials()
        );
    }
}

#[test]
fn faults_that_last() {
    let all = body();
    let f = |fault| vec![faulty(&all, fault)];
    // Name, script, how many requests, what the error says, whether a partial stays.
    let table: Vec<(&str, Vec<Answer>, usize, &[&str], bool)> = vec![
        (
            "404",
            f(Fault::Status(404)),
            1,
            &["answers 404 Not Found", "check the version"],
            false,
        ),
        (
            "403",
            f(Fault::Status(403)),
            1,
            &["answers 403 Forbidden", "login"],
            false,
        ),
        (
            "500",
            f(Fault::Status(500)),
            3,
            &["answers 500", "try again later"],
            false,
        ),
        ("429", f(Fault::RetryAfter(9)), 3, &["answers 429"], false),
        (
            "204",
            f(Fault::Status(204)),
            1,
            &["which is no file"],
            false,
        ),
        (
            "cut at 0",
            f(Fault::Cut(0)),
            3,
            &["cut after 0 of 3000000 bytes"],
            false,
        ),
        (
            "stall",
            f(Fault::Stall(0)),
            3,
            &["no answer in time"],
            false,
        ),
        (
            "cut",
            f(Fault::Cut(100)),
            3,
            &["cut after 300 of", "what came is kept"],
            true,
        ),
        (
            "no http",
            f(Fault::Garbage),
            3,
            &["cut after 0 bytes"],
            false,
        ),
        (
            "mismatch",
            vec![good(b"other")],
            1,
            &["expected sha256:", "got sha256:", "dropped"],
            false,
        ),
        ("part", f(Fault::UnaskedRange), 1, &["not asked for"], false),
        (
            "too long",
            vec![good(&[0; 10_000_001])],
            1,
            &["longer than 10000000 bytes"],
            false,
        ),
        (
            "too long, chunked",
            vec![faulty(&[0; 10_000_001], Fault::Chunked)],
            1,
            &["longer than 10000000 bytes"],
            false,
        ),
        (
            "to http",
            f(Fault::Redirect(
                "http://elsewhere.example/x?sig=1".to_owned(),
            )),
            1,
            &[
                "redirects to http://elsewhere.example/x?...",
                "not https",
                "--mirror",
            ],
            false,
        ),
        (
            "to file",
            f(Fault::Redirect("file:///etc/passwd".to_owned())),
            1,
            &["not https"],
            false,
        ),
        (
            "to nowhere",
            f(Fault::Redirect(String::new())),
            1,
            &["redirects to nowhere"],
            false,
        ),
        (
            "in a loop",
            f(Fault::Redirect("/x".to_owned())),
            11,
            &["more than 10 redirects"],
            false,
        ),
    ];
    for (name, answers, requests, texts, kept) in table {
        let (server, place) = (Server::start(), place());
        server.script("/x", answers);
        let error = place
            .fetch(options(&server), &[request("/x", &all)])
            .unwrap_err();
        let error = format!("{error:#}");
        let by = format!(
            "thing /x: https://up.example/x by the mirror {}",
            server.url("/x")
        );
        assert!(error.starts_with(&by), "{name}: {error}");
        for text in texts {
            assert!(error.contains(text), "{name}: {error}");
        }
        assert_eq!(server.seen().len(), requests, "{name}");
        assert!(place.blobs().is_empty(), "{name}");
        assert_eq!(
            !place.partials().is_empty(),
            kept,
            "{name}: {:?}",
            place.partials()
        );
    }
}

#[test]
fn a_known_size_is_held_against_the_server() {
    let all = body();
    for (answer, text) in [
        (good(&all[1..]), "has 2999999 bytes, the lock says 3000000"),
        (
            faulty(&all, Fault::Length(10)),
            "has 10 bytes, the lock says",
        ),
        (
            faulty(&[0; 3_000_001], Fault::Chunked),
            "more than the 3000000 bytes",
        ),
        (faulty(&all, Fault::UnframedCut(9)), "cut after "),
    ] {
        let (server, place) = (Server::start(), place());
        server.script("/x", vec![answer]);
        let mut request = request("/x", &all);
        request.want.size = Some(3_000_000);
        let error = place.fetch(options(&server), &[request]).unwrap_err();
        assert!(format!("{error:#}").contains(text), "{error:#}");
        assert!(place.blobs().is_empty());
    }
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
fn a_directory_is_a_mirror_too_even_offline() {
    let place = place();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("up.example/a b")).unwrap();
    fs::write(dir.path().join("up.example/a b/x"), b"hello").unwrap();
    let options = Options {
        mirrors: mirror(&format!("https://=file://{}/", dir.path().display())),
        offline: true,
        ..Options::default()
    };
    place
        .fetch(options.clone(), &[request("/a%20b/x", b"hello")])
        .unwrap();
    for (path, bytes, text) in [
        ("/a%20b/x", &b"other"[..], "expected sha256:"),
        ("/nope", b"nope", "No such file"),
        ("/a%20b", b"dir", "is no file"),
    ] {
        let error = place
            .fetch(options.clone(), &[request(path, bytes)])
            .unwrap_err();
        assert!(format!("{error:#}").contains(text), "{error:#}");
    }
    let fetcher = Fetcher::new(&place.store, options, &place.progress);
    let text = fetcher.text("https://up.example/a%20b/x", "sums").unwrap();
    assert_eq!(text.as_deref(), Some("hello"));
    assert_eq!(fetcher.text("https://up.example/no", "sums").unwrap(), None);
    assert!(place.partials().is_empty());
}

#[test]
fn plain_http_and_other_schemes_are_for_mirrors_only() {
    let (server, place) = (Server::start(), place());
    server.serve("/x", b"x");
    for url in [
        server.url("/x"),
        "ftp://up.example/x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "x".to_owned(),
    ] {
        let mut request = request("/x", b"x");
        request.url = url;
        let error = place
            .fetch(Options::default(), &[request])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("only") || error.contains("no URL"),
            "{error}"
        );
    }
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn a_redirect_within_the_mirror_is_followed_with_its_range() {
    let all = body();
    let (server, place) = (Server::start(), place());
    server.script(
        "/x",
        vec![faulty(&all, Fault::Redirect("/deep/y".to_owned()))],
    );
    server.script(
        "/deep/y",
        vec![faulty(&all, Fault::Cut(1_000_000)), good(&all)],
    );
    place
        .fetch(options(&server), &[request("/x", &all)])
        .unwrap();
    assert_eq!(
        ranges(&server),
        ["-", "-", "bytes=1000000-", "bytes=1000000-"]
    );
}

#[test]
fn a_recipe_mirror_that_fails_is_followed_by_the_next() {
    let (bad, other, place) = (Server::start(), Server::start_at("127.0.0.2"), place());
    bad.serve("/x", b"evil");
    other.serve("/x", b"x");
    let rules = [bad.url("/"), other.url("/")].map(|to| format!("https://up.example/={to}"));
    let options = Options {
        mirrors: Mirrors::new(&[], None, &rules).unwrap(),
        ..options(&bad)
    };
    place.fetch(options, &[request("/x", b"x")]).unwrap();
    assert_eq!((bad.seen().len(), other.seen().len()), (1, 1));
    assert_eq!(place.blobs(), [Digest::sha256(b"x").hex()]);
}

#[test]
fn a_lock_gets_both_digests_of_what_came() {
    let all = body();
    let (server, place) = (Server::start(), place());
    // Bytes of an earlier run prove nothing where no digest is known.
    let mut request = request("/x", b"");
    request.want = Expected::default();
    let old: Vec<u8> = all.iter().map(|b| !b).collect();
    server.script("/x", vec![faulty(&old, Fault::Cut(2_000_000)), good(&all)]);
    let mut fails = options(&server);
    fails.retry.attempts = 1;
    assert!(
        Fetcher::new(&place.store, fails, &place.progress)
            .download(&request)
            .is_err()
    );
    let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
    let (blob, got) = fetcher.download(&request).unwrap();
    let wanted = Hasher::measure(all.as_slice(), &[Algorithm::Sha512]).unwrap();
    assert_eq!(got, wanted);
    assert_eq!(blob.sha256(), &wanted.sha256);
    assert_eq!(ranges(&server), ["-", "-"]);
    // The publisher's digest is known: checked, and both measured.
    request.want.sha256 = Some(wanted.sha256.clone());
    assert_eq!(fetcher.download(&request).unwrap().1, wanted);
    assert_eq!(server.seen().len(), 2);
    let by_sha512 = Expected {
        sha512: wanted.sha512,
        ..Expected::default()
    };
    assert!(matches!(
        place.store.find(&by_sha512).unwrap(),
        Lookup::Found(_)
    ));
    request.want = Expected::default();
    let error = fetcher.fetch(&[request]).unwrap_err().to_string();
    assert!(error.contains("no digest is known"), "{error}");
}

#[test]
fn small_texts() {
    let (server, place) = (Server::start(), place());
    server.script(
        "/sums",
        vec![faulty(b"", Fault::Status(503)), good(b"abc  x\n")],
    );
    server.script("/gone", vec![faulty(b"", Fault::Status(410))]);
    server.script("/denied", vec![faulty(b"", Fault::Status(403))]);
    server.serve("/binary", &[0xff, 0xfe]);
    server.serve("/long", &vec![b'x'; MAX_TEXT + 1]);
    let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
    let text = |path: &str| fetcher.text(&format!("https://up.example{path}"), "its sums");
    assert_eq!(text("/sums").unwrap().as_deref(), Some("abc  x\n"));
    assert_eq!(text("/none").unwrap(), None);
    assert_eq!(text("/gone").unwrap(), None);
    for (path, wanted) in [
        ("/denied", "403"),
        ("/binary", "is no text"),
        ("/long", "longer than"),
    ] {
        let error = text(path).unwrap_err().to_string();
        assert!(
            error.starts_with("its sums: ") && error.contains(wanted),
            "{error}"
        );
    }
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
            let fault = Fault::Slow(3, Duration::from_millis(20));
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
        error.contains("user:***@") && !error.contains("secret"),
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

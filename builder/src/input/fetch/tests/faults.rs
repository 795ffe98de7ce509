//! One fault after the other: those that pass, and those that last.

use super::*;

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
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

/// Name, script, how many requests, what the error says, whether a partial stays.
type Lasting<'a> = (&'a str, Vec<Answer>, usize, &'a [&'a str], bool);

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn faults_that_last() {
    let all = body();
    let f = |fault| vec![faulty(&all, fault)];
    let table: Vec<Lasting<'_>> = vec![
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
        ("204", f(Fault::Status(204)), 1, &["not with a file"], false),
        (
            "cut at 0",
            f(Fault::Cut(0)),
            3,
            &["cut after 0 of 3000000 bytes", "(try again later, or"],
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
            &["cut after 300 of", "the partial download is kept"],
            true,
        ),
        (
            "no http",
            f(Fault::Garbage),
            3,
            &[
                "the server's answer cannot be read: ",
                "address of a web server",
            ],
            false,
        ),
        (
            "mismatch",
            vec![good(b"other")],
            1,
            &["expected sha256:", "got sha256:", "dropped"],
            false,
        ),
        ("part", f(Fault::UnaskedRange), 1, &["not requested"], false),
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
            "thing /x: https://up.example/x through the mirror {}",
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
        (
            good(&all[1..]),
            "has 2999999 bytes, but the lock says 3000000",
        ),
        (
            faulty(&all, Fault::Length(10)),
            "has 10 bytes, but the lock says",
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
fn progress_sets_the_count_of_tries_back_and_only_progress() {
    let all = body();
    let (server, place) = (Server::start(), place());
    let mut twice = options(&server);
    twice.retry.attempts = 2;
    server.script("/x", vec![faulty(&all, Fault::Cut(1_100_000))]);
    place.fetch(twice, &[request("/x", &all)]).unwrap();
    assert_eq!(ranges(&server), ["-", "bytes=1100000-", "bytes=2200000-"]);
    // Always the same two thirds: that would never end.
    let server = Server::start();
    let other: Vec<u8> = all.iter().rev().copied().collect();
    let bare = Answer {
        etag: None,
        ..faulty(&other, Fault::Cut(2_000_000))
    };
    server.script("/x", vec![bare]);
    let error = place
        .fetch(options(&server), &[request("/x", &other)])
        .unwrap_err();
    assert!(
        error.to_string().contains("cut after 2000000 of 3000000"),
        "{error}"
    );
    assert_eq!(server.seen().len(), 3);
}

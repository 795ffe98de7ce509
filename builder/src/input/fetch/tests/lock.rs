//! What `lock` asks for: bytes without a digest, and checksum files.

use super::*;
use crate::input::fetch::text::MAX_TEXT;

#[test]
fn a_lock_gets_both_digests_of_what_came() {
    let all = body();
    let (server, place) = (Server::start(), place());
    // Bytes of an earlier run prove nothing if no digest is known.
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
    assert!(error.contains("there is no digest"), "{error}");
}

/// With a digest, all of that shows.
#[test]
fn without_a_digest_the_bytes_must_be_the_files_own_and_all_of_them() {
    let all = body();
    for (fault, wanted) in [
        (Fault::Unframed, "does not say where the file ends"),
        (Fault::UnframedCut(1000), "does not say where the file ends"),
        (Fault::Encoded("gzip"), "Content-Encoding: gzip"),
    ] {
        let (server, place) = (Server::start(), place());
        server.script("/x", vec![faulty(&all, fault.clone())]);
        let mut request = request("/x", &all);
        let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
        if !matches!(fault, Fault::UnframedCut(_)) {
            assert!(fetcher.download(&request).is_ok(), "{fault:?}");
        }
        let place = self::place();
        let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
        request.want = Expected::default();
        let error = format!("{:#}", fetcher.download(&request).unwrap_err());
        assert!(error.contains(wanted), "{error}");
    }
    // An archive that a server takes for a packed page is the archive.
    let (server, place) = (Server::start(), place());
    for (path, fault) in [
        ("/x.tar.gz", Fault::Encoded("x-gzip")),
        ("/y", Fault::Encoded("identity")),
        ("/z", Fault::Chunked),
    ] {
        server.script(path, vec![faulty(&all, fault)]);
        let mut request = request(path, b"");
        request.want = Expected::default();
        let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
        assert!(fetcher.download(&request).is_ok(), "{path}");
    }
}

#[test]
fn a_plus_is_sent_as_object_stores_read_it() {
    let (server, place) = (Server::start(), place());
    server.serve("/a-1.0%2Bk3s1/b%2B", b"x");
    let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
    let blob = fetcher.fetch(&[request("/a-1.0+k3s1/b+", b"x")]);
    assert!(blob.is_ok(), "{blob:?}");
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
    server.serve("/binary", &[0xff, 0xfd]);
    server.serve("/page", b"\n <!doctype html><title>sign in");
    server.serve("/long", &vec![b'x'; MAX_TEXT + 1]);
    let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
    let text = |path: &str| fetcher.text(&format!("https://up.example{path}"), "its sums");
    assert_eq!(text("/sums").unwrap().as_deref(), Some("abc  x\n"));
    assert_eq!(text("/none").unwrap(), None);
    assert_eq!(text("/gone").unwrap(), None);
    for (path, wanted) in [
        ("/denied", "403"),
        ("/binary", "is not text"),
        ("/long", "longer than"),
        ("/page", "a web page came in its place"),
    ] {
        let error = text(path).unwrap_err().to_string();
        assert!(
            error.starts_with("its sums: ") && error.contains(wanted),
            "{error}"
        );
    }
}

#[test]
fn a_date_is_not_enough_to_go_on_without_a_digest() {
    let all = body();
    let dated = |fault| Answer {
        etag: None,
        last_modified: Some("Sat, 01 Jan 2022 00:00:00 GMT".to_owned()),
        ..faulty(&all, fault)
    };
    for (answers, asked) in [
        (
            [dated(Fault::Cut(2_000_000)), dated(Fault::None)],
            ["-", "-"],
        ),
        (
            [faulty(&all, Fault::Cut(2_000_000)), good(&all)],
            ["-", "bytes=2000000-"],
        ),
    ] {
        let (server, place) = (Server::start(), place());
        server.script("/x", answers.to_vec());
        let mut request = request("/x", b"");
        request.want = Expected::default();
        let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
        assert_eq!(
            fetcher.download(&request).unwrap().1.sha256,
            Digest::sha256(&all)
        );
        assert_eq!(ranges(&server), asked);
    }
}

/// Nothing but the length tells a cut file from a whole one if no digest is known.
#[test]
fn without_a_digest_the_end_must_be_told() {
    let all = body();
    for (fault, is_good) in [
        (Fault::UnframedCut(1000), false),
        (Fault::Unframed, false),
        (Fault::Chunked, true),
        (Fault::None, true),
    ] {
        let (server, place) = (Server::start(), place());
        server.script("/x", vec![faulty(&all, fault); 5]);
        let mut request = request("/x", b"");
        request.want = Expected::default();
        let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
        match fetcher.download(&request) {
            Ok((_, got)) => assert!(is_good && got.size == all.len() as u64),
            Err(error) => {
                let error = format!("{error:#}");
                assert!(
                    !is_good && error.contains("does not say where the file ends"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn what_is_packed_on_its_way_is_not_the_file() {
    let (server, place) = (Server::start(), place());
    let packed = Answer {
        encoding: Some("gzip".to_owned()),
        ..good(b"\x1f\x8b packed")
    };
    server.script("/x", vec![packed.clone(); 3]);
    server.script("/sums", vec![packed; 3]);
    let mut request = request("/x", b"");
    request.want = Expected::default();
    let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
    let error = format!("{:#}", fetcher.download(&request).unwrap_err());
    assert!(error.contains("Content-Encoding: gzip"), "{error}");
    let error = fetcher
        .text("https://up.example/sums", "its sums")
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("Content-Encoding: gzip"),
        "{error:#}"
    );
    assert_eq!(place.blobs(), [""; 0]);
}

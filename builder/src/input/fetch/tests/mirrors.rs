//! Where the bytes may come from.

use super::*;

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
        ("/a%20b", b"dir", "it is a directory, not a file"),
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
            error.contains("only") || error.contains("not a URL"),
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
fn a_silent_mirror_is_left_for_the_next() {
    let (silent, good, place) = (Server::start(), Server::start_at("127.0.0.2"), place());
    for path in ["/x", "/sums"] {
        silent.script(path, vec![faulty(b"x", Fault::Stall(0)); 9]);
        good.serve(path, b"x");
    }
    let rules = [silent.url("/"), good.url("/")].map(|to| format!("https://up.example/={to}"));
    let options = Options {
        mirrors: Mirrors::new(&rules, None, &[]).unwrap(),
        ..options(&silent)
    };
    let fetcher = Fetcher::new(&place.store, options.clone(), &place.progress);
    let text = fetcher.text("https://up.example/sums", "its sums").unwrap();
    assert_eq!(text.as_deref(), Some("x"));
    place.fetch(options, &[request("/x", b"x")]).unwrap();
    assert_eq!((silent.seen().len(), good.seen().len()), (2, 2));
}

/// A server that never is silent, and never done.
#[test]
fn a_mirror_that_drips_is_left_for_the_next() {
    let all = body();
    let (drip, quick, place) = (Server::start(), Server::start(), place());
    let pause = Duration::from_millis(20);
    let answers = vec![faulty(&all, Fault::Slow(1, pause)); 9];
    drip.script("/x", answers);
    quick.serve("/x", &all);
    let slow = |rules: &[String]| Options {
        mirrors: Mirrors::new(rules, None, &[]).unwrap(),
        least: Least {
            bytes: 10_000,
            window: Duration::from_millis(300),
        },
        ..options(&drip)
    };
    let rule = |server: &Server| format!("https://up.example/={}", server.url("/"));
    let begun = Instant::now();
    let blobs = place.fetch(slow(&[rule(&drip), rule(&quick)]), &[request("/x", &all)]);
    assert_eq!(blobs.unwrap()[0].size(), all.len() as u64);
    assert_eq!((drip.seen().len(), quick.seen().len()), (1, 1));
    assert!(begun.elapsed() < Duration::from_secs(10));
    // With nobody else to ask it is tried again, but not for ever.
    let other = place.fetch(slow(&[rule(&drip)]), &[request("/x", b"other")]);
    let error = format!("{:#}", other.unwrap_err());
    assert!(error.contains("too slow: "), "{error}");
    assert_eq!(drip.seen().len(), 4);
}

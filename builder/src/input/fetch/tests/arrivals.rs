//! Work on downloads that have arrived, while others are under way.

use std::sync::Mutex;

use super::*;

/// The server sends the second only after the first was worked on.
#[test]
fn what_has_arrived_is_worked_on_while_others_are_under_way() {
    let (server, place) = (Server::start(), place());
    server.serve("/first", b"first");
    server.script("/second", vec![faulty(b"second", Fault::Status(503))]);
    let options = Options {
        retry: Retry {
            attempts: 300,
            ..options(&server).retry
        },
        ..options(&server)
    };
    let seen = Mutex::new(Vec::new());
    let arrived = |request: &Request, blob: &VerifiedBlob| {
        assert_eq!(Some(blob.sha256()), request.want.sha256.as_ref());
        server.serve("/second", b"second");
        seen.lock().unwrap().push(request.what.clone());
    };
    let fetcher = Fetcher::new(&place.store, options, &place.progress);
    let items = vec![request("/first", b"first"), request("/second", b"second")];
    let brought = fetcher
        .bring_with(items.clone(), |item| Ok(item.clone()), &arrived)
        .unwrap();
    assert_eq!(brought.len(), 2);
    // All had their turn when it ended.
    assert_eq!(*seen.lock().unwrap(), ["thing /first", "thing /second"]);
    // Bytes that were in the store before do not arrive.
    fetcher
        .bring_with(items, |item| Ok(item.clone()), &arrived)
        .unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[test]
fn what_fails_has_not_arrived() {
    let (server, place) = (Server::start(), place());
    server.serve("/good", b"good");
    let count = Mutex::new(0);
    let arrived = |_: &Request, _: &VerifiedBlob| *count.lock().unwrap() += 1;
    let fetcher = Fetcher::new(&place.store, options(&server), &place.progress);
    let items = vec![request("/bad", b"bad"), request("/good", b"good")];
    let failed = fetcher.bring_with(items, |item| Ok(item.clone()), &arrived);
    assert!(failed.is_err());
    assert_eq!(*count.lock().unwrap(), 1);
}

//! `nodeimg trust update`: from a TUF root that is known to the trusted root that signatures
//! are verified with, over every rotation of keys in between.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nodeimg_test_support::run::Ran;
use nodeimg_test_support::tuf::{Release, Repository};

use super::Trust;

/// A world whose trusted root is in a repository and nowhere else.
struct Updates {
    trust: Trust,
    repository: Repository,
    root: String,
}

impl Updates {
    fn new() -> Updates {
        let mut trust = Trust::new();
        let root = trust.sigstore.trusted_root();
        fs::remove_file(trust.world.path("root.json")).unwrap();
        trust.world.edit("\"root.json\"", "\"roots/private.json\"");
        let repository = Repository::new();
        fs::write(trust.world.path("tuf-root.json"), repository.first()).unwrap();
        Updates {
            trust,
            repository,
            root,
        }
    }

    fn serve(&self, release: &Release<'_>) {
        for (name, bytes) in self.repository.files(release) {
            self.serve_file(&name, &bytes);
        }
    }

    fn serve_file(&self, name: &str, bytes: &[u8]) {
        self.trust
            .world
            .server
            .serve(&format!("/up.test/tuf/{name}"), bytes);
    }

    fn update(&self) -> Command {
        let mut update = self.trust.world.bare("trust");
        let url = "https://up.test/tuf";
        update.args([
            "update",
            "roots",
            "--tuf-root",
            "tuf-root.json",
            "--repository",
            url,
        ]);
        update
    }

    fn written(&self) -> PathBuf {
        self.trust.world.path("roots/private.json")
    }

    /// The update says `fault` and leaves everything as it was.
    fn refused(&self, case: &str, fault: &str) {
        let before = fs::read(self.written()).ok();
        let ran = Ran::of(&mut self.update()).refused(1, &["the trusted root of private", "/tuf"]);
        assert!(
            ran.err.contains(fault),
            "{case}: no {fault:?} in {}",
            ran.err
        );
        assert_eq!(fs::read(self.written()).ok(), before, "{case}");
    }
}

#[test]
fn an_update_follows_two_rotations_and_a_lock_is_judged_by_what_it_wrote() {
    let mut updates = Updates::new();
    updates.repository.rotate(2, 2);
    updates.repository.rotate(2, 2);
    updates.serve(&Release::of(&updates.root, 4));
    let early = Ran::of(&mut updates.trust.lock(&[])).refused(1, &["roots/private.json"]);
    assert!(!early.err.contains("panicked"));
    let ran = Ran::of(&mut updates.update()).good();
    assert!(ran.err.contains("roots/private.json"), "{}", ran.err);
    assert_eq!(fs::read_to_string(updates.written()).unwrap(), updates.root);

    Ran::of(&mut updates.trust.lock(&[])).good();
    let pin = updates.trust.entry("runc", "amd64");
    assert_eq!(pin["verified"].as_str(), Some("sigstore"));
    // Nothing new, and the next release.
    Ran::of(&mut updates.update()).good();
    let next = updates.root.replace("\"tlogs\"", " \"tlogs\"");
    updates.repository.rotate(2, 2);
    updates.serve(&Release::of(&next, 5));
    Ran::of(&mut updates.update()).good();
    assert_eq!(fs::read_to_string(updates.written()).unwrap(), next);
}

#[test]
fn what_a_repository_serves_wrongly_is_refused_and_nothing_is_written() {
    let updates = Updates::new();
    updates.refused("nothing is there", "timestamp.json not found");

    let expired = Release {
        timestamp_expires: "2025-01-01T00:00:00Z",
        ..Release::of(&updates.root, 1)
    };
    updates.serve(&expired);
    updates.refused("expired", "expired");

    let single = Release {
        signers: 1,
        ..Release::of(&updates.root, 1)
    };
    updates.serve(&single);
    updates.refused(
        "one of two signers",
        "threshold not met for role targets: 1/2",
    );

    // Keys of somebody else's.
    let others = Repository::new().files(&Release::of(&updates.root, 1));
    updates.serve(&Release::of(&updates.root, 1));
    updates.serve_file("timestamp.json", &others["timestamp.json"]);
    updates.refused("foreign keys", "threshold not met for role timestamp: 0/1");

    let files = updates.repository.files(&Release::of(&updates.root, 1));
    updates.serve(&Release::of(&updates.root, 1));
    let changed = String::from_utf8(files["1.targets.json"].clone()).unwrap();
    let changed = changed.replace("\"version\":1", "\"version\":1 ");
    updates.serve_file("1.targets.json", changed.as_bytes());
    updates.refused("other bytes than the snapshot pins", "targets.json");

    updates.serve(&Release::of(&updates.root, 1));
    let target = files
        .keys()
        .find(|name| name.starts_with("targets/"))
        .unwrap();
    updates.serve_file(
        target,
        updates.root.replace("log.test", "bad.test").as_bytes(),
    );
    updates.refused("another trusted root", "trusted_root.json");
    updates.serve(&Release::of("{}", 2));
    updates.refused("not a trusted root", "trusted_root.json");
    assert!(!updates.written().exists());
}

#[test]
fn a_rotation_needs_the_old_holders_and_the_new_ones() {
    for (old, new) in [(1, 2), (2, 1), (0, 3)] {
        let mut updates = Updates::new();
        updates.repository.rotate(old, new);
        updates.serve(&Release::of(&updates.root, 1));
        updates.refused(
            &format!("{old} old, {new} new"),
            "threshold not met for role root",
        );
    }
}

#[test]
fn what_is_older_than_an_update_saw_before_is_refused() {
    let updates = Updates::new();
    let old = updates.repository.files(&Release::of(&updates.root, 6));
    let next = updates.root.replace("\"tlogs\"", " \"tlogs\"");
    updates.serve(&Release::of(&next, 7));
    Ran::of(&mut updates.update()).good();
    for (name, bytes) in &old {
        updates.serve_file(name, bytes);
    }
    updates.refused("rollback", "rollback");
    // A damaged record vouches for nothing.
    let seen = updates.trust.world.path("roots/private.tuf.json");
    fs::write(&seen, "{").unwrap();
    let ran = Ran::of(&mut updates.update()).refused(1, &["private.tuf.json", "delete it"]);
    assert_eq!(
        fs::read_to_string(updates.written()).unwrap(),
        next,
        "{}",
        ran.err
    );
}

//! GitHub's attestations of immutable releases, by GitHub's interface: with a real one, whose
//! file is known by its digest only.

use std::fs;

use nodeimg_test_support::faulty_server::{Fault, faulty};
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;
use serde_json::{Value, json};

const REPOSITORY: &str = "bdehamer/delme";
const TAG: &str = "v6";
const DIGEST: &str = "e15b593c6ab8d7725a3cc82226ef816cac6bf9c70eed383bd459295cc65f5ec3";
/// Of the object that the tag is, for GitHub's interface.
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const BUNDLE: &str =
    include_str!("../../builder/trust/tests/vectors/attestations/github-release.json");

/// A world whose runc is that file, and which GitHub attests if `served`.
fn world(tag: &str, served: bool) -> World {
    let mut world = World::new();
    let files = "files = [{ to = \"/usr/local/bin/runc\" }]\n";
    let verify = format!(
        "{files}verify = {{ release = {{ repository = \"{REPOSITORY}\", tag = \"{tag}\" }} }}\n"
    );
    world.edit(files, &verify);
    let urls =
        ["amd64", "arm64"].map(|arch| format!("{DIGEST}  https://up.test/runc/1.4.3/{arch}\n"));
    fs::write(world.path("digests"), urls.concat()).unwrap();
    let mut lock = world.nodeimg("lock");
    Ran::of(lock.args(["--digests", "digests"])).good();
    let api = format!("/api/repos/{REPOSITORY}");
    let git = format!("{api}/git/ref/tags/{tag}");
    let attested = format!("{api}/attestations/sha1:{SHA}?predicate_type=release");
    if !served {
        world
            .server
            .script(&git, vec![faulty(b"", Fault::Status(404))]);
        return world;
    }
    let object = json!({ "ref": "x", "object": { "sha": SHA, "type": "commit" } });
    world.server.serve(&git, object.to_string().as_bytes());
    let bundle: Value = serde_json::from_str(BUNDLE).unwrap();
    let answer = json!({ "attestations": [{ "bundle": bundle, "repository_id": 1 }] });
    world.server.serve(&attested, answer.to_string().as_bytes());
    world
}

fn proofs(world: &World) -> Ran {
    let mirror = format!("https://api.github.com/={}", world.server.url("/api/"));
    let mut lock = world.nodeimg("lock");
    Ran::of(lock.args(["--proofs", "--mirror", &mirror]))
}

#[test]
fn a_release_that_github_attests_vouches_for_its_files() {
    let world = world(TAG, true);
    proofs(&world).good();
    let text = world.lock_text();
    assert!(text.contains("verified = \"release\""), "{text}");
    assert!(
        text.contains("signer = \"https://dotcom.releases.github.com\""),
        "{text}"
    );
    let checked = Ran::of(world.nodeimg("lock").arg("--check")).good();
    assert!(
        checked.err.contains("2 by GitHub's release"),
        "{}",
        checked.err
    );
}

#[test]
fn a_release_that_is_not_attested_is_told_and_another_ones_is_refused() {
    let told = proofs(&world(TAG, false)).good();
    assert!(
        told.err.contains("runc 1.4.3 (amd64): there is no"),
        "{}",
        told.err
    );
    let other = world("v0.0.0", true);
    proofs(&other).refused(1, &["runc 1.4.3 (amd64)", "v0.0.0"]);
    assert!(!other.lock_text().contains("verified = \"release\""));
}

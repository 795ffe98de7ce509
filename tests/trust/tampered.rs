//! Proofs that are not the lock's any more.

use std::fs;

use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;
use serde_json::Value;

use super::Trust;

/// A build that has to refuse, with this in its message; it writes nothing.
#[track_caller]
fn refused(trust: &Trust, says: &[&str]) {
    let ran = Ran::of(trust.world.build().args(["--offline", "--store", "other"])).refused(1, &[]);
    for text in says {
        assert!(ran.err.contains(text), "no {text:?} in {}", ran.err);
    }
    trust.world.is_clean().unwrap();
}

/// Everything is in a store that has no proof.
fn fetched() -> Trust {
    let trust = Trust::locked();
    let kept = fs::read_to_string(trust.proofs()).unwrap();
    let mut fetch = trust.world.nodeimg("fetch");
    Ran::of(fetch.args(["--arch", "amd64", "--store", "other"])).good();
    // The store has the proofs as blobs, too: without them the file alone counts.
    let digests: Vec<String> = kept.lines().map(|line| sha256(line.as_bytes())).collect();
    for entry in walk(&trust.world) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if digests.iter().any(|digest| name.contains(digest.as_str())) {
            fs::remove_file(entry).unwrap();
        }
    }
    trust
}

fn walk(world: &World) -> Vec<std::path::PathBuf> {
    let root = world.path("other");
    nodeimg_test_support::run::listing(&root)
        .into_iter()
        .map(|path| root.join(path))
        .filter(|path| path.is_file())
        .collect()
}

#[test]
fn a_missing_file_of_proofs_is_one_clear_error() {
    let trust = fetched();
    fs::remove_file(trust.proofs()).unwrap();
    refused(
        &trust,
        &[
            "runc 1.4.3 (amd64): its proof sha256:",
            "is not in ./recipe.proofs",
            "--proofs",
        ],
    );
}

#[test]
fn a_changed_cut_or_foreign_proof_is_one_clear_error() {
    let trust = fetched();
    let good = fs::read_to_string(trust.proofs()).unwrap();
    let other = fs::read_to_string(Trust::locked().proofs()).unwrap();
    let half = &good[..good.len() - 40];
    for bad in [
        good.replacen('a', "b", 1),
        half.to_owned(),
        other,
        format!("{good}{{}}\n"),
    ] {
        fs::write(trust.proofs(), bad).unwrap();
        refused(
            &trust,
            &[
                "recipe.proofs:",
                "not a proof that the lock names",
                "--proofs",
            ],
        );
    }
    // Line ends and a last one that an editor changes mean nothing.
    for same in [
        good.replace('\n', "\r\n"),
        good.trim_end().to_owned(),
        format!("\u{feff}{good}"),
    ] {
        fs::write(trust.proofs(), same).unwrap();
        let mut build = trust.world.build();
        Ran::of(build.args(["--offline", "--store", "other", "--out", "again", "--force"])).good();
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let trust = fetched();
    fs::write(trust.proofs(), [0xff, 0xfe, 0]).unwrap();
    refused(&trust, &["recipe.proofs is damaged"]);
}

/// A recipe that trusts another root, or none, refuses what this one vouches for.
#[test]
fn another_trusted_root_does_not_vouch() {
    let trust = fetched();
    let other = nodeimg_test_support::sigstore::Sigstore::new();
    fs::write(trust.world.path("root.json"), other.trusted_root()).unwrap();
    refused(&trust, &["runc 1.4.3 (amd64)", "--trusted-root"]);
    fs::write(trust.world.path("root.json"), "{}").unwrap();
    refused(&trust, &["root.json"]);
    fs::remove_file(trust.world.path("root.json")).unwrap();
    refused(&trust, &["root.json", "[trust] roots.private"]);
}

#[test]
fn a_damaged_file_is_written_again_on_request() {
    let trust = fetched();
    let good = fs::read_to_string(trust.proofs()).unwrap();
    fs::write(trust.proofs(), &good[..100]).unwrap();
    Ran::of(&mut trust.lock(&["--proofs"])).good();
    assert_eq!(fs::read_to_string(trust.proofs()).unwrap(), good);
}

/// A lock that pins `to` in the place of the proof `from`, with a digest that matches.
fn pinned_instead(lock: &str, from: &str, to: &str) -> String {
    let [from, to] = [from, to].map(|line| sha256(line.as_bytes()));
    let lock = lock.replace(&from, &to);
    let seal = lock.lines().find(|line| line.starts_with("digest = "));
    let seal = seal.unwrap();
    let (_, body) = lock.split_once('\n').unwrap();
    let body = body.replacen(&format!("{seal}\n"), "", 1);
    let sealed = format!("digest = \"sha256:{}\"", sha256(body.as_bytes()));
    lock.replacen(seal, &sealed, 1)
}

/// Whoever can change the lock can pin another proof: it is judged, and not believed.
#[test]
fn a_bad_proof_that_the_lock_names_is_one_clear_error() {
    let trust = fetched();
    let lock = trust.world.lock_text();
    let entry = trust.entry("runc", "amd64");
    let pin = entry["proof"].as_str().unwrap().to_owned();
    let proofs = fs::read_to_string(trust.proofs()).unwrap();
    let is_pinned = |line: &&str| pin.ends_with(&sha256(line.as_bytes()));
    let good = proofs.lines().find(is_pinned).unwrap();
    let arm64 = proofs.lines().find(|line| !is_pinned(line)).unwrap();
    let other = fs::read_to_string(Trust::locked().proofs()).unwrap();
    let whole: Value = serde_json::from_str(good).unwrap();
    let mut bad = vec![
        ("of another architecture".to_owned(), arm64.to_owned()),
        (
            "of another lock".to_owned(),
            other.lines().next().unwrap().to_owned(),
        ),
        ("its half".to_owned(), good[..good.len() / 2].to_owned()),
        ("an empty object".to_owned(), "{}".to_owned()),
        ("null".to_owned(), "null".to_owned()),
        ("a number".to_owned(), "9".repeat(400)),
        ("lists".to_owned(), "[".repeat(5_000)),
    ];
    for key in whole.as_object().unwrap().keys() {
        for value in [
            Value::Null,
            u64::MAX.into(),
            "x".into(),
            Value::Array(vec![]),
        ] {
            let mut copy = whole.clone();
            copy[key] = value;
            bad.push((key.clone(), copy.to_string()));
        }
        let twice = good.replacen('{', &format!("{{\"{key}\":\"x\","), 1);
        bad.push((format!("{key} twice"), twice));
    }
    for (name, line) in bad {
        fs::write(trust.proofs(), proofs.replacen(good, &line, 1)).unwrap();
        let changed = pinned_instead(&lock, good, &line);
        fs::write(trust.world.path("recipe.lock"), changed).unwrap();
        let mut build = trust.world.build();
        let ran = Ran::of(build.args(["--offline", "--store", "other"]));
        let ran = ran.refused(1, &[]);
        let remedy = ["help: ", "nodeimg lock"];
        let helped = remedy.iter().any(|text| ran.err.contains(text));
        let named = ran.err.contains("runc 1.4.3 (amd64)") || ran.err.contains("recipe.proofs");
        assert!(named && helped, "{name}: {}", ran.err);
        trust.world.is_clean().unwrap();
    }
}

//! Who signed: others, former ones, and the next.

use std::fs;

use nodeimg_test_support::archive::program;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::body;

use super::{ARCHS, SIGNER, Trust, verify};

const OTHER: &str = "https://forge.test/runc/release.yml@refs/tags/v1.4.3";

#[test]
fn anothers_signature_is_refused_under_every_policy() {
    let trust = Trust::new();
    trust.publish("amd64", &trust.sigstore.sign(OTHER, &body("runc", "amd64")));
    let ran = Ran::of(&mut trust.lock(&[])).refused(1, &[]);
    for says in ["runc 1.4.3 (amd64)", OTHER, SIGNER] {
        assert!(ran.err.contains(says), "no {says} in {}", ran.err);
    }
    assert!(!trust.world.path("recipe.lock").exists());
}

#[test]
fn a_signature_of_other_bytes_is_refused() {
    let trust = Trust::new();
    trust.publish("amd64", &trust.sigstore.sign(SIGNER, b"something else"));
    let ran = Ran::of(&mut trust.lock(&[])).refused(1, &[]);
    assert!(ran.err.contains("runc 1.4.3 (amd64)"), "{}", ran.err);
    assert!(!trust.world.path("recipe.lock").exists());
}

#[test]
fn a_page_in_the_place_of_a_signature_is_refused() {
    let trust = Trust::new();
    let target = nodeimg_test_support::synthetic::World::target("runc", "1.4.3", "amd64");
    trust
        .world
        .server
        .serve(&format!("{target}.sig"), b"<html>log in</html>");
    let ran = Ran::of(&mut trust.lock(&[])).refused(1, &[]);
    assert!(ran.err.contains("runc 1.4.3 (amd64)"), "{}", ran.err);
}

/// New bytes by a new signer, whom the recipe names from now on.
fn moved(trust: &mut Trust, identities: &[&str]) {
    for arch in ARCHS {
        let bytes = program(arch, "runc again");
        trust.world.serve("runc", "1.4.3", arch, &bytes);
        trust.publish_of(arch, &bytes, &trust.sigstore.sign(OTHER, &bytes));
    }
    trust.world.edit(&verify(&[SIGNER]), &verify(identities));
}

#[test]
fn another_signer_on_update_needs_the_users_word() {
    let mut trust = Trust::locked();
    moved(&mut trust, &[OTHER]);
    let before = trust.world.lock_text();
    let ran = Ran::of(&mut trust.lock(&["--update", "runc"])).refused(1, &[]);
    for says in [
        "runc 1.4.3 (amd64): another signer than in the lock",
        &format!("was: {SIGNER}"),
        "now: https://forge.test/runc/release.yml",
        "--accept-signer runc",
    ] {
        assert!(ran.err.contains(says), "no {says} in {}", ran.err);
    }
    assert_eq!(trust.world.lock_text(), before, "a refusal changes nothing");
    fs::write(trust.world.path("old.lock"), &before).unwrap();
    Ran::of(&mut trust.lock(&["--update", "runc", "--accept-signer", "runc"])).good();
    assert_eq!(trust.entry("runc", "arm64")["signer"].as_str(), Some(OTHER));

    let ran = Ran::of(&mut trust.lock(&["--check", "--against", "old.lock", "--json"])).good();
    let event: serde_json::Value = serde_json::from_str(ran.out.trim()).unwrap();
    let signers = event["signers"].as_array().unwrap();
    assert_eq!(signers.len(), 2, "{event}");
    assert_eq!(signers[0]["name"], "runc");
    assert_eq!(signers[0]["was"]["signer"], SIGNER);
    assert_eq!(signers[0]["now"]["verified"], "sigstore");
    assert_eq!(event["trust"]["weakest"]["verified"], "none");
}

/// Two signers at once: the old one is still trusted while the new one takes over.
#[test]
fn a_signer_that_the_recipe_names_beside_the_old_one_is_no_surprise() {
    let mut trust = Trust::locked();
    moved(&mut trust, &[SIGNER, OTHER]);
    Ran::of(&mut trust.lock(&["--update", "runc"])).good();
    assert_eq!(trust.entry("runc", "amd64")["signer"].as_str(), Some(OTHER));
}

#[test]
fn a_recipe_that_trusts_the_old_signer_no_more_refuses_its_proof() {
    let mut trust = Trust::locked();
    trust.world.edit(&verify(&[SIGNER]), &verify(&[OTHER]));
    let ran = Ran::of(&mut trust.world.build()).refused(1, &[]);
    for says in ["runc 1.4.3 (amd64)", SIGNER, OTHER] {
        assert!(ran.err.contains(says), "no {says} in {}", ran.err);
    }
    trust.world.is_clean().unwrap();
}

#[test]
fn a_signature_that_is_gone_on_update_is_another_signer() {
    let trust = Trust::locked();
    for arch in ARCHS {
        trust
            .world
            .serve("runc", "1.4.3", arch, &program(arch, "runc again"));
    }
    trust.withdraw();
    let ran = Ran::of(&mut trust.lock(&["--update", "runc"])).refused(1, &[]);
    assert!(ran.err.contains("now: nobody"), "{}", ran.err);
    assert!(ran.err.contains("--accept-signer runc"), "{}", ran.err);
}

#[test]
fn the_same_bytes_keep_their_proof_when_nobody_can_be_asked() {
    let trust = Trust::locked();
    let before = trust.world.lock_text();
    trust.withdraw();
    Ran::of(&mut trust.lock(&["--update", "runc"])).good();
    assert_eq!(trust.world.lock_text(), before);
}

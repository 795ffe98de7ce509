//! Who vouches for what a lock pins, the whole way: signatures of a Sigstore of the tests'
//! own, fetched by `lock`, kept as proofs, verified again by every build, and refused when
//! anything about them is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod images;
mod judged;
mod keys;
mod mutated;
mod policy;
mod release;
mod roots;
mod signers;
mod sums;
mod tampered;
mod verified;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::sigstore::{ISSUER, Signed, Sigstore};
use nodeimg_test_support::synthetic::{World, body};
use nodeimg_trust::{Proof, collect};
use nodeimg_values::digest::Digest;
use serde_json::Value;

/// Who signs runc here.
const SIGNER: &str = "release@runc.test";
const LOG: &str = "/up.test/log/api/v1/log/entries/retrieve";
const ARCHS: [&str; 2] = ["amd64", "arm64"];

/// A world whose runc is signed.
struct Trust {
    world: World,
    sigstore: Sigstore,
}

impl Trust {
    /// Nothing is locked yet, everything is served.
    fn new() -> Trust {
        let mut world = World::new();
        let sigstore = Sigstore::new();
        fs::write(world.path("root.json"), sigstore.trusted_root()).unwrap();
        let files = "files = [{ to = \"/usr/local/bin/runc\" }]\n";
        world.edit(files, &format!("{files}{}\n", verify(&[SIGNER])));
        let text = format!(
            "{}\n[trust]\nroots = {{ private = \"root.json\" }}\n",
            world.recipe
        );
        world.write_recipe(&text);
        let trust = Trust { world, sigstore };
        for arch in ARCHS {
            trust.publish(arch, &trust.sigstore.sign(SIGNER, &body("runc", arch)));
        }
        trust
    }

    fn locked() -> Trust {
        let trust = Trust::new();
        Ran::of(&mut trust.lock(&[])).good();
        trust
    }

    /// Serves a signature of runc, and the log's answer about it.
    fn publish(&self, arch: &str, signed: &Signed) {
        self.publish_of(arch, &body("runc", arch), signed);
    }

    fn publish_of(&self, arch: &str, bytes: &[u8], signed: &Signed) {
        let target = World::target("runc", "1.4.3", arch);
        let server = &self.world.server;
        server.serve(&format!("{target}.sig"), signed.signature.as_bytes());
        server.serve(&format!("{target}.cert"), signed.certificate.as_bytes());
        server.serve_post(LOG, &sha256(bytes), signed.answer.as_bytes());
    }

    /// Serves neither signature nor certificate.
    fn withdraw(&self) {
        use nodeimg_test_support::faulty_server::{Fault, faulty};
        for arch in ARCHS {
            let target = World::target("runc", "1.4.3", arch);
            for end in ["sig", "cert"] {
                let gone = faulty(b"", Fault::Status(404));
                self.world
                    .server
                    .script(&format!("{target}.{end}"), vec![gone]);
            }
        }
    }

    fn lock(&self, more: &[&str]) -> Command {
        let mut lock = self.world.nodeimg("lock");
        lock.args(more);
        lock
    }

    fn proofs(&self) -> PathBuf {
        self.world.path("recipe.proofs")
    }

    fn entry(&self, name: &str, arch: &str) -> toml::Table {
        let lock: toml::Table = self.world.lock_text().parse().unwrap();
        let mut all = lock["artifact"].as_array().unwrap().iter();
        let found = all.find(|entry| {
            entry["name"].as_str() == Some(name) && entry["arch"].as_str() == Some(arch)
        });
        found.unwrap().as_table().unwrap().clone()
    }
}

/// A signature and its certificate with the log's answer, as `lock` makes a bundle of them.
fn bundle_of(sigstore: &Sigstore, identity: &str, content: &[u8]) -> String {
    let signed = sigstore.sign(identity, content);
    let (signature, certificate) = (signed.signature.as_bytes(), signed.certificate.as_bytes());
    let sha256 = Digest::sha256(content);
    let answer = signed.answer.as_bytes();
    let made = collect::from_rekor(signature, certificate, answer, &sha256).unwrap();
    match &made[0] {
        Proof::Sigstore { bundle } => bundle.clone(),
        other => panic!("{}", other.kind()),
    }
}

/// The recipe's `verify` of a detached signature by any of these.
fn verify(identities: &[&str]) -> String {
    format!(
        "verify = {{ sigstore = {{ identity = {identities:?}, issuer = \"{ISSUER}\", signature = \
         \"{{url}}.sig\", certificate = \"{{url}}.cert\", log = \"https://up.test/log\", instance \
         = \"private\" }} }}"
    )
}

#[test]
fn a_lock_says_who_vouches_and_an_offline_build_verifies_it_again() {
    let trust = Trust::locked();
    let world = &trust.world;
    for arch in ARCHS {
        let entry = trust.entry("runc", arch);
        assert_eq!(entry["verified"].as_str(), Some("sigstore"));
        assert_eq!(entry["signer"].as_str(), Some(SIGNER));
        assert_eq!(entry["issuer"].as_str(), Some(ISSUER));
        assert_eq!(entry["signed_at"].as_integer(), Some(1_789_990_000));
        assert!(entry["root"].as_str().unwrap().starts_with("sha256:"));
        let proofs = fs::read_to_string(trust.proofs()).unwrap();
        let named = entry["proof"].as_str().unwrap();
        let has = |line: &str| format!("sha256:{}", sha256(line.as_bytes())) == named;
        assert!(proofs.lines().any(has), "{named} is not in {proofs}");
        assert_eq!(trust.entry("crictl", arch).get("verified"), None);
    }
    Ran::of(&mut world.nodeimg("fetch")).good();
    Ran::of(world.build().arg("--offline")).good();
    let manifest = fs::read_to_string(world.image("amd64").join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let mut artifacts = manifest["artifacts"].as_array().unwrap().iter();
    let runc = artifacts
        .find(|artifact| artifact["name"] == "runc")
        .unwrap();
    assert_eq!(runc["signer"], SIGNER);
    assert_eq!(runc["signed_at"], 1_789_990_000);
    assert_eq!(runc["verified"], "sigstore");
    assert_eq!(runc["log_index"], 1_007);
    told_of(&trust);
    let checked = Ran::of(&mut trust.lock(&["--check"])).good();
    let says = "verified the proofs of 2 inputs in 0.";
    assert!(checked.err.contains(says), "{}", checked.err);
    let json = Ran::of(&mut trust.lock(&["--check", "--json"])).good().out;
    let event: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(event["proofs"]["verified"], 2);
}

/// The provenance and both bills of materials say who vouches for runc.
fn told_of(trust: &Trust) {
    let image = trust.world.image("amd64");
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(image.join(name)).unwrap()).unwrap()
    };
    let proof = trust.entry("runc", "amd64")["proof"]
        .as_str()
        .unwrap()
        .to_owned();
    let named = |all: &Value, name: &str| -> Value {
        let mut all = all.as_array().unwrap().iter();
        all.find(|one| one["name"] == name).unwrap().clone()
    };
    let provenance = read("provenance.json");
    let inputs = &provenance["predicate"]["buildDefinition"]["resolvedDependencies"];
    let want = serde_json::json!({
        "verified": "sigstore", "signer": SIGNER, "issuer": ISSUER, "proof": proof,
        "signedAt": "2026-09-21T11:26:40Z", "logIndex": "1007",
    });
    assert_eq!(named(inputs, "artifact/runc")["annotations"], want);
    assert!(
        named(inputs, "artifact/crictl")
            .get("annotations")
            .is_none()
    );
    let spdx = image.join("sbom.spdx.json");
    let package = named(&read("sbom.spdx.json")["packages"], "runc");
    let references = package["externalRefs"].as_array().unwrap();
    assert!(
        references
            .iter()
            .any(|one| one["referenceLocator"] == *proof)
    );
    let says = package["sourceInfo"].as_str().unwrap();
    assert!(
        says.contains(SIGNER) && says.contains("2026-09-21"),
        "{says}"
    );
    let component = named(&read("sbom.cdx.json")["components"], "runc");
    let signer = named(&component["properties"], "nodeimg:signer");
    assert_eq!(signer["value"], SIGNER);
    if let Some(judges) = nodeimg_test_support::judge::sbom() {
        let mut judge = nodeimg_test_support::judge::python(&judges);
        judge
            .arg(judges.join("bin/pyspdxtools"))
            .arg("-i")
            .arg(spdx);
        let ran = Ran::of(&mut judge).good();
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    }
}

#[test]
fn a_lock_that_fits_asks_nobody() {
    let trust = Trust::locked();
    let asked = trust.world.server.seen().len();
    let before = trust.world.lock_text();
    Ran::of(&mut trust.lock(&[])).good();
    assert_eq!(trust.world.server.seen().len(), asked);
    assert_eq!(trust.world.lock_text(), before);
}

/// As the maintainer's command does for the shipped locks.
#[test]
fn proofs_of_an_older_lock_are_fetched_without_pinning_anything_again() {
    let trust = Trust::new();
    let unsigned = World::new();
    unsigned.lock();
    fs::write(trust.world.path("recipe.lock"), unsigned.lock_text()).unwrap();
    let ran = Ran::of(&mut trust.lock(&["--check"])).good();
    assert!(ran.err.contains("nobody vouches for"), "{}", ran.err);
    let before = trust.entry("runc", "amd64");
    let mut proofs = trust.lock(&["--proofs"]);
    Ran::of(proofs.env("SOURCE_DATE_EPOCH", "1800000000")).good();
    let text = trust.world.lock_text();
    assert!(
        text.contains("\nepoch = 1790000000\n"),
        "the image stays the same: {text}"
    );
    let after = trust.entry("runc", "amd64");
    assert_eq!(before["sha256"], after["sha256"]);
    assert_eq!(after["signer"].as_str(), Some(SIGNER));
    assert_eq!(before.get("signer"), None);
}

#[test]
fn what_nobody_vouches_for_now_stays_as_it_was_locked() {
    let trust = Trust::new();
    let unsigned = World::new();
    unsigned.lock();
    let before = unsigned.lock_text();
    fs::write(trust.world.path("recipe.lock"), &before).unwrap();
    trust.withdraw();
    let ran = Ran::of(&mut trust.lock(&["--proofs"])).good();
    assert!(
        ran.err.contains("runc 1.4.3 (amd64): there is no"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("nothing to change in"), "{}", ran.err);
    assert_eq!(trust.world.lock_text(), before);
}

#[test]
fn a_name_that_is_not_in_the_recipe_has_no_signer() {
    let trust = Trust::new();
    let mut lock = trust.lock(&["--accept-signer", "rund"]);
    Ran::of(&mut lock).refused(1, &["--accept-signer rund", "crictl, kubernetes"]);
}

#[test]
fn the_roots_are_shown_and_not_updated_from_a_server_without_them() {
    let trust = Trust::new();
    let world = &trust.world;
    let shown = Ran::of(
        world
            .bare("trust")
            .args(["show", "--trusted-root", "root.json"]),
    )
    .good();
    for says in ["public-good  sha256:", "github       sha256:", "root.json"] {
        assert!(shown.out.contains(says), "no {says} in {}", shown.out);
    }
    let mut update = world.bare("trust");
    update.args(["update", "roots", "--mirror"]);
    update.arg(format!("https://={}", world.server.url("/")));
    Ran::of(&mut update).refused(1, &["the trusted root of public-good"]);
    assert!(!world.path("roots").exists());
}

#[test]
fn a_bundle_takes_the_proofs_along() {
    let trust = Trust::locked();
    let world = &trust.world;
    Ran::of(
        world
            .nodeimg("fetch")
            .args(["--arch", "amd64", "--bundle", "b.tar"]),
    )
    .good();
    fs::remove_file(trust.proofs()).unwrap();
    let mut build = world.build();
    build.args(["--store", "empty", "--bundle", "b.tar"]);
    Ran::of(&mut build).good();
}

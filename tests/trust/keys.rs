//! OpenPGP signatures of an upstream with several keys.

use std::fs;
use std::io::Write;
use std::time::{Duration, SystemTime};

use nodeimg_test_support::archive::program;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::{World, body};
use sequoia_openpgp::Cert;
use sequoia_openpgp::armor::Kind;
use sequoia_openpgp::cert::{CertBuilder, CertRevocationBuilder};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto;
use sequoia_openpgp::serialize::stream::{Armorer, Message, Signer};
use sequoia_openpgp::types::ReasonForRevocation;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn key(valid_for: Option<Duration>) -> Cert {
    let builder = CertBuilder::new()
        .add_userid("maintainer")
        .add_signing_subkey()
        .set_creation_time(at(0))
        .set_validity_period(valid_for);
    builder.generate().unwrap().0
}

fn revoked(cert: &Cert) -> Cert {
    let key = cert.primary_key().key().clone();
    let mut signer = key.parts_into_secret().unwrap().into_keypair().unwrap();
    let revocation = CertRevocationBuilder::new()
        .set_signature_creation_time(at(50))
        .unwrap()
        .set_reason_for_revocation(ReasonForRevocation::KeyCompromised, b"")
        .unwrap()
        .build(&mut signer, cert, None)
        .unwrap();
    cert.clone().insert_packets(vec![revocation]).unwrap().0
}

fn sign(cert: &Cert, bytes: &[u8]) -> Vec<u8> {
    let policy = StandardPolicy::new();
    let keys = cert.keys().secret().with_policy(&policy, at(100));
    let key = keys.for_signing().next().unwrap().key().clone();
    let mut armored = Vec::new();
    let message = Armorer::new(Message::new(&mut armored)).kind(Kind::Signature);
    let signer = Signer::new(message.build().unwrap(), key.into_keypair().unwrap());
    let signer = signer.unwrap().detached().creation_time(at(100));
    let mut signer = signer.build().unwrap();
    signer.write_all(bytes).unwrap();
    signer.finalize().unwrap();
    armored
}

fn fingerprint(cert: &Cert) -> String {
    cert.fingerprint().to_hex()
}

/// A world whose runc is signed by `signer`; the recipe has `keys` and more of the table.
fn world(signer: &Cert, ring: &[&Cert], keys: &[&Cert], more: &str) -> World {
    let mut world = World::new();
    let ring: Vec<u8> = ring
        .iter()
        .flat_map(|cert| cert.armored().to_vec().unwrap())
        .collect();
    fs::write(world.path("keys.asc"), ring).unwrap();
    let keys: Vec<String> = keys.iter().map(|cert| fingerprint(cert)).collect();
    let files = "files = [{ to = \"/usr/local/bin/runc\" }]\n";
    let verify = format!(
        "{files}verify = {{ openpgp = {{ keys = {keys:?}, signature = \"{{url}}.asc\", keyring = \
         \"keys.asc\"{more} }} }}\n"
    );
    world.edit(files, &verify);
    for arch in ["amd64", "arm64"] {
        let target = World::target("runc", "1.4.3", arch);
        world
            .server
            .serve(&format!("{target}.asc"), &sign(signer, &body("runc", arch)));
    }
    world
}

#[test]
fn either_of_two_keys_may_sign_and_offline_builds_verify_it_again() {
    let keys = [key(None), key(None)];
    for signer in &keys {
        let world = world(signer, &[&keys[0], &keys[1]], &[&keys[0], &keys[1]], "");
        world.lock();
        let text = world.lock_text();
        assert!(text.contains("verified = \"openpgp\""), "{text}");
        assert!(text.to_uppercase().contains(&fingerprint(signer)), "{text}");
        Ran::of(world.nodeimg("fetch").args(["--arch", "amd64"])).good();
        Ran::of(world.build().arg("--offline")).good();
        // Bytes of another architecture need not be here to look at the lock.
        Ran::of(world.nodeimg("lock").args(["--check", "--store", "none"])).good();
    }
}

#[test]
fn a_key_that_is_not_named_is_refused_though_it_is_in_the_keyring() {
    let keys = [key(None), key(None)];
    let world = world(&keys[1], &[&keys[0], &keys[1]], &[&keys[0]], "");
    let ran = Ran::of(&mut world.nodeimg("lock")).refused(1, &["runc 1.4.3 (amd64)"]);
    assert!(ran.err.contains(&fingerprint(&keys[0])), "{}", ran.err);
}

#[test]
fn a_revoked_key_is_refused_by_the_ring_and_by_the_recipe() {
    let keys = [key(None), key(None)];
    let by_ring = revoked(&keys[0]);
    let in_ring = world(&keys[0], &[&by_ring, &keys[1]], &[&keys[0], &keys[1]], "");
    Ran::of(&mut in_ring.nodeimg("lock")).refused(1, &["runc 1.4.3 (amd64)"]);

    let more = format!(", revoked = [\"{}\"]", fingerprint(&keys[0]));
    let by_recipe = world(
        &keys[0],
        &[&keys[0], &keys[1]],
        &[&keys[0], &keys[1]],
        &more,
    );
    Ran::of(&mut by_recipe.nodeimg("lock")).refused(1, &["runc 1.4.3 (amd64)"]);
}

/// What was locked while it was good is refused by a build once the recipe revokes the key.
#[test]
fn a_key_that_the_recipe_revokes_later_stops_builds() {
    let keys = [key(None), key(None)];
    let mut world = world(&keys[0], &[&keys[0], &keys[1]], &[&keys[0], &keys[1]], "");
    world.lock();
    let more = format!("\"keys.asc\", revoked = [\"{}\"]", fingerprint(&keys[0]));
    world.edit("\"keys.asc\"", &more);
    Ran::of(&mut world.build()).refused(1, &["runc 1.4.3 (amd64)", &fingerprint(&keys[1])]);
    world.is_clean().unwrap();
}

#[test]
fn an_expired_key_is_refused_without_another_source() {
    let expired = key(Some(Duration::from_secs(1_000_000)));
    let world = world(&expired, &[&expired], &[&expired], "");
    Ran::of(&mut world.nodeimg("lock")).refused(1, &["runc 1.4.3 (amd64)", "expired"]);
}

#[test]
fn a_signature_of_other_bytes_is_refused() {
    let maintainer = key(None);
    let world = world(&maintainer, &[&maintainer], &[&maintainer], "");
    world.serve(
        "runc",
        "1.4.3",
        "amd64",
        &program("amd64", "something else"),
    );
    Ran::of(&mut world.nodeimg("lock")).refused(1, &["runc 1.4.3 (amd64)"]);
    assert!(!world.path("recipe.lock").exists());
}

#[test]
fn a_signed_list_of_sums_vouches_for_the_files_that_it_names() {
    let maintainer = key(None);
    let more = ", sums = \"https://up.test/runc/{version}/SUMS\"";
    let mut world = world(&maintainer, &[&maintainer], &[&maintainer], more);
    world.edit("{url}.asc", "https://up.test/runc/{version}/SUMS.asc");
    let publish = |list: &str| {
        let target = World::target("runc", "1.4.3", "SUMS");
        world.server.serve(&target, list.as_bytes());
        let signature = sign(&maintainer, list.as_bytes());
        world.server.serve(&format!("{target}.asc"), &signature);
    };
    let line = |arch: &str| {
        let sum = nodeimg_test_support::archive::sha256(&body("runc", arch));
        format!("{sum}  {arch}\n")
    };
    publish(&line("amd64"));
    let ran = Ran::of(&mut world.nodeimg("lock")).refused(1, &["runc 1.4.3 (arm64)"]);
    assert!(ran.err.contains("does not name arm64"), "{}", ran.err);
    publish(&(line("amd64") + &line("arm64")));
    world.lock();
    assert!(world.lock_text().contains("verified = \"openpgp\""));
    let proofs = fs::read_to_string(world.path("recipe.proofs")).unwrap();
    assert_eq!(proofs.lines().count(), 1, "one list is kept once: {proofs}");
    Ran::of(world.nodeimg("fetch").args(["--arch", "amd64"])).good();
    Ran::of(world.build().arg("--offline")).good();
}

#[test]
fn an_expired_key_counts_with_anothers_word_and_the_lock_says_whose() {
    let expired = key(Some(Duration::from_secs(1_000_000)));
    let mut world = world(&expired, &[&expired], &[&expired], "");
    let sources = "\"keys.asc\" }, sources = 2, stated_by = [\"https://up.test/other/sums\", \
                   \"https://up.test/more/sums\"";
    world.edit("\"keys.asc\" }", &format!("{sources}]"));
    let sums = ["amd64", "arm64"].map(|arch| {
        let sum = nodeimg_test_support::archive::sha256(&body("runc", arch));
        format!("{sum}  runc-1.4.3 {arch}\n")
    });
    // The same host as the file's: not another party.
    for name in ["other", "more"] {
        let place = format!("/up.test/{name}/sums");
        world.server.serve(&place, sums.concat().as_bytes());
    }
    Ran::of(&mut world.nodeimg("lock")).refused(1, &["runc 1.4.3 (amd64)", "expired"]);
    world.edit("https://up.test/other/sums", "https://other.test/sums");
    world
        .server
        .serve("/up.test/elsewhere/sums", sums.concat().as_bytes());
    let mut lock = world.nodeimg("lock");
    let mirror = format!(
        "https://other.test/={}",
        world.server.url("/up.test/elsewhere/")
    );
    Ran::of(lock.args(["--mirror", &mirror])).good();
    let text = world.lock_text();
    assert!(text.contains("backed_by = [\"other.test\"]"), "{text}");
    let mut check = world.nodeimg("lock");
    let told = Ran::of(check.args(["--check", "--json"])).good().out;
    assert!(told.contains("\"backed_by\":[\"other.test\"]"), "{told}");
}

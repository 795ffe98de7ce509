//! `nodeimg verify` of what its publisher signed.

use std::fs;

use super::events;
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::faulty_server::{Fault, Server, faulty};
use nodeimg_test_support::published::{IDENTITY, Published, failed, verdicts};
use nodeimg_test_support::run::Ran;
use serde_json::{Value, json};

const PASSED: [&str; 4] = ["policy", "signature", "files", "statement"];

fn report(out: &str) -> Value {
    let mut all = events(out).into_iter();
    all.find(|event| event["event"] == "verified").unwrap()
}

#[track_caller]
fn first_four_pass(out: &str) {
    let verdicts = verdicts(out);
    assert_eq!(verdicts.len(), 10);
    for (step, verdict) in &verdicts[..4] {
        assert_eq!(verdict, "passed", "{step}: {out}");
    }
    assert_eq!(failed(out), Vec::<String>::new());
}

#[test]
fn a_key_vouches_for_every_file() {
    let Some(published) = Published::signed() else {
        return;
    };
    let ran = Ran::of(published.verify_by_key().arg("--json")).good();
    first_four_pass(&ran.out);
    let report = report(&ran.out);
    assert_eq!(report["result"], "passed");
    let names: Vec<&str> = report["steps"].as_array().unwrap()[..4]
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(names, PASSED);
    // For people, with what it rests on.
    let ran = Ran::of(&mut published.verify_by_key()).good();
    for said in [
        "SHA256SUMS is signed by the key",
        "the weakest link: ",
        "--rebuild",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    assert_eq!(
        Ran::of(published.verify_by_key().arg("--quiet")).good().out,
        ""
    );
}

#[test]
fn keys_of_every_kind_and_certificates_vouch() {
    let Some(published) = Published::unsigned() else {
        return;
    };
    let keys = &published.keys;
    let p256 = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key";
    if keys.openssl(p256).is_none() {
        return;
    }
    keys.openssl("pkey -in p256.key -pubout -out p256.pub");
    for (sign, public) in [
        ("db.key", "db.pem"),
        ("p256.key", "p256.pub"),
        ("release.key", "release.pub"),
    ] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(keys.path(sign), fs::Permissions::from_mode(0o600)).unwrap();
        for name in ["SHA256SUMS.sig", "provenance.intoto.jsonl"] {
            let _ = fs::remove_file(published.path(name));
        }
        let file = keys.file("kind.toml", &format!("[checksums]\nkey = \"{sign}\"\n"));
        let mut command = nodeimg_test_support::run::nodeimg();
        command.args(["sign", "--quiet"]).arg(&published.image);
        Ran::of(command.arg("--keys").arg(file)).good();
        let mut verify = published.verify(&published.image);
        // Whoever moves from one key to the next names both.
        verify.arg("--key").arg(keys.path("other.pem"));
        let ran = Ran::of(verify.arg("--key").arg(keys.path(public)).arg("--json")).good();
        first_four_pass(&ran.out);
    }
}

#[test]
fn an_identity_vouches_by_its_bundle_or_by_the_statement() {
    let Some(published) = Published::unsigned() else {
        return;
    };
    published.sign_in_ci();
    let ran = Ran::of(published.verify_by_identity(IDENTITY).arg("--json")).good();
    first_four_pass(&ran.out);
    let by = report(&ran.out)["steps"][1]["proves"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(by.contains(IDENTITY) && by.contains("2026-09-"), "{by}");
    // Only the statement is signed: its subjects are what the files must be.
    fs::remove_file(published.path("SHA256SUMS.sigstore.json")).unwrap();
    let statement = fs::read(published.path("provenance.json")).unwrap();
    let bundle = published.sigstore.attest(IDENTITY, &statement);
    fs::write(published.path("provenance.intoto.jsonl"), bundle + "\n").unwrap();
    let ran = Ran::of(published.verify_by_identity(IDENTITY).arg("--json")).good();
    first_four_pass(&ran.out);
    let sums = fs::read_to_string(published.path("SHA256SUMS")).unwrap();
    fs::write(
        published.path("SHA256SUMS"),
        sums.replace("manifest", "manifesto"),
    )
    .unwrap();
    let ran = Ran::of(published.verify_by_identity(IDENTITY).arg("--json"));
    assert_eq!(ran.code, Some(1));
    assert_eq!(failed(&ran.out), ["signature"]);
}

#[test]
fn the_lock_says_what_went_in() {
    let Some(published) = Published::signed() else {
        return;
    };
    let lock = published.world.path("recipe.lock");
    let mut verify = published.verify_by_key();
    let ran = Ran::of(verify.arg("--lock").arg(&lock).arg("--json")).good();
    first_four_pass(&ran.out);
    let steps = report(&ran.out)["steps"].clone();
    let proves = steps[3]["proves"].as_str().unwrap();
    assert!(
        proves.contains("inputs of") && proves.contains("recipe.lock"),
        "{proves}"
    );
    // The recipe is beside the lock.
    assert_eq!(steps[8]["verdict"], "passed", "{steps:#}");
    let proves = steps[8]["proves"].as_str().unwrap();
    assert!(proves.contains("the weakest link"), "{proves}");
    // A lock alone vouches for no file, and that is said.
    let mut verify = published.verify(&published.image);
    let ran = Ran::of(verify.arg("--lock").arg(&lock)).good();
    assert!(
        ran.out
            .contains("the weakest link: nobody vouches for these files"),
        "{}",
        ran.out
    );
}

#[test]
fn integrity_is_not_trust_and_says_so() {
    let Some(published) = Published::unsigned() else {
        return;
    };
    let mut verify = published.verify(&published.image);
    let ran = Ran::of(verify.arg("--integrity-only")).good();
    for said in [
        "nobody is trusted",
        "the weakest link: nobody vouches for these files",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
}

#[test]
fn one_file_beside_its_sums_is_verified_by_them() {
    let Some(published) = Published::signed() else {
        return;
    };
    let extension = published.path("tiny-1.0.0-amd64-sysext.raw");
    fs::remove_file(published.path("overlay.tar.zst")).unwrap();
    let mut verify = published.verify(&extension);
    verify.arg("--key").arg(published.keys.path("release.pub"));
    verify.arg("--json");
    let ran = Ran::of(&mut verify).good();
    first_four_pass(&ran.out);
    let mut bytes = fs::read(&extension).unwrap();
    bytes[5000] ^= 1;
    fs::remove_file(&extension).unwrap();
    fs::write(&extension, bytes).unwrap();
    let ran = Ran::of(&mut verify);
    assert_eq!(failed(&ran.out), ["files"]);
}

#[test]
fn a_build_again_gives_the_same_bytes() {
    let Some(published) = Published::signed() else {
        return;
    };
    let recipe = published.world.path("recipe.toml");
    let mut verify = published.verify_by_key();
    verify.arg("--recipe").arg(&recipe);
    verify.args(["--rebuild", "--offline", "--json"]);
    let ran = Ran::of(&mut verify).good();
    let report = report(&ran.out);
    assert_eq!(report["steps"][9]["verdict"], "passed", "{report:#}");
    assert!(
        !report["weakest"].to_string().contains("--rebuild"),
        "{report:#}"
    );
    // The same files in other bytes, which their builder has signed.
    let overlay = fs::read(published.path("overlay.tar.zst")).unwrap();
    let tar = zstd::decode_all(overlay.as_slice()).unwrap();
    let other = zstd::encode_all(tar.as_slice(), 1).unwrap();
    assert!(other != overlay);
    published.lie("overlay.tar.zst", &other);
    let ran = Ran::of(&mut verify);
    assert_eq!(failed(&ran.out), ["rebuild"], "{}", ran.err);
    assert!(ran.err.contains("overlay.tar.zst"), "{}", ran.err);
}

#[test]
fn a_url_is_verified_by_what_it_lists() {
    let Some(published) = Published::signed() else {
        return;
    };
    let server = &published.world.server;
    for entry in fs::read_dir(&published.image).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        server.serve(
            &format!("/images/tiny/{name}"),
            &fs::read(entry.path()).unwrap(),
        );
    }
    server.serve("/images/tiny/evil.raw", b"evil");
    let url = server.url("/images/tiny");
    for url in [url.clone(), format!("{url}/"), format!("{url}/SHA256SUMS")] {
        let mut verify = published.verify(std::path::Path::new(&url));
        verify.arg("--key").arg(published.keys.path("release.pub"));
        let ran = Ran::of(verify.arg("--json")).good();
        first_four_pass(&ran.out);
    }
    assert!(
        server
            .seen()
            .iter()
            .all(|request| !request.target.contains("evil"))
    );
    // Another server may have the bytes; it is named.
    let other = Server::start_at("127.0.0.2");
    let name = "overlay.tar.zst";
    other.serve("/x", &fs::read(published.path(name)).unwrap());
    let away = faulty(b"", Fault::Redirect(other.url("/x")));
    server.script(&format!("/images/tiny/{name}"), vec![away]);
    let mut verify = published.verify(std::path::Path::new(&url));
    verify.arg("--key").arg(published.keys.path("release.pub"));
    verify
        .arg("--mirror")
        .arg(format!("https://unused.test/={}", other.url("/")));
    let ran = Ran::of(verify.arg("--json")).good();
    let notes = report(&ran.out)["steps"][2]["notes"].to_string();
    let said = format!("{} redirects to {}", server.url(""), other.url(""));
    assert!(notes.contains(&said), "{notes}");
    server.serve(
        &format!("/images/tiny/{name}"),
        &fs::read(published.path(name)).unwrap(),
    );
    // The same bytes again from recipe and lock.
    let mut verify = published.verify(std::path::Path::new(&url));
    verify.arg("--key").arg(published.keys.path("release.pub"));
    verify
        .arg("--recipe")
        .arg(published.world.path("recipe.toml"));
    Ran::of(verify.args(["--rebuild", "--json"])).good();
}

#[test]
fn the_summary_is_the_same_for_the_same_files() {
    let Some(published) = Published::signed() else {
        return;
    };
    let texts = ["one.json", "two.json"].map(|name| {
        let file = published.world.path(name);
        let mut verify = published.verify_by_key();
        Ran::of(verify.arg("--quiet").arg("--vsa").arg(&file)).good();
        fs::read_to_string(file).unwrap()
    });
    assert_eq!(texts[0], texts[1]);
    let vsa: Value = serde_json::from_str(&texts[0]).unwrap();
    assert_eq!(
        vsa["predicateType"],
        "https://slsa.dev/verification_summary/v1"
    );
    let predicate = &vsa["predicate"];
    assert_eq!(predicate["verificationResult"], "PASSED");
    assert_eq!(predicate["verifiedLevels"], json!(["SLSA_BUILD_LEVEL_1"]));
    let statement = sha256(&fs::read(published.path("provenance.json")).unwrap());
    assert_eq!(
        predicate["inputAttestations"][0]["digest"]["sha256"],
        statement
    );
    let subjects = vsa["subject"].as_array().unwrap();
    assert_eq!(subjects.len(), published.listed().len());
    for (name, hex) in published.listed() {
        let wanted = json!({ "name": name, "digest": { "sha256": hex } });
        assert!(subjects.contains(&wanted), "{name}");
    }
    // What failed is said, too.
    published.write("overlay.tar.zst", b"other");
    let file = published.world.path("failed.json");
    let ran = Ran::of(
        published
            .verify_by_key()
            .arg("--quiet")
            .arg("--vsa")
            .arg(&file),
    );
    assert_eq!(ran.code, Some(1));
    let vsa: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(vsa["predicate"]["verificationResult"], "FAILED");
    assert_eq!(vsa["predicate"]["verifiedLevels"], json!(["FAILED"]));
}

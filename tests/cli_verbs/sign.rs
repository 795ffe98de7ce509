//! `nodeimg sign`, and `build --signatures-from`: the same bytes with and without the key.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{events, identity};
use nodeimg_test_support::image::{manifest, sums_hold};
use nodeimg_test_support::judge;
use nodeimg_test_support::keys::Keys;
use nodeimg_test_support::run::{Ran, host_program, nodeimg, tool};
use nodeimg_test_support::synthetic::World;

const BOTH: &str = "[root_hash]\nkey = \"db.key\"\ncertificate = \"db.pem\"\n\
                    [checksums]\nkey = \"release.key\"\n";

/// A built image with an extension, and keys.
fn world() -> Option<(World, Keys)> {
    let mut world = World::warm();
    world.edit(
        "profile =",
        "outputs = [\"overlay\", \"sysext\"]\nprofile =",
    );
    let keys = Keys::make(&world.path("keys"), &["db"])?;
    Ran::of(world.build().arg("--quiet")).good();
    Some((world, keys))
}

fn sign(directory: &Path, keys: &Path) -> Command {
    let mut command = nodeimg();
    command.arg("sign").arg(directory).arg("--keys").arg(keys);
    command
}

/// Every file of a directory.
fn bytes(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| {
        let name = entry.file_name().to_str().unwrap().to_owned();
        (name, fs::read(entry.path()).unwrap())
    });
    named.collect()
}

fn extension(image: &Path) -> PathBuf {
    image.join("tiny-1.0.0-amd64-sysext.raw")
}

#[test]
fn a_signed_directory_is_consistent_and_judged_by_others() {
    let Some((world, keys)) = world() else { return };
    let image = world.image("amd64");
    let before = bytes(&image);
    let file = keys.file("keys.toml", BOTH);
    let ran = Ran::of(sign(&image, &file).arg("--json")).good();
    let told = events(&ran.out);
    let signed = told
        .iter()
        .find(|event| event["event"] == "signed")
        .unwrap();
    let names = [
        "tiny-1.0.0-amd64-sysext.raw",
        "tiny-1.0.0-amd64-sysext.roothash.p7s",
    ];
    let [image_file, signature] = names;
    assert_eq!(
        signed["files"],
        serde_json::json!([
            image_file,
            signature,
            "sbom.cdx.json",
            "sbom.spdx.json",
            "manifest.json",
            "provenance.json"
        ])
    );
    sums_hold(&image);
    let after = bytes(&image);
    for (name, old) in &before {
        let written = [
            "manifest.json",
            "SHA256SUMS",
            "sbom.cdx.json",
            "sbom.spdx.json",
            "provenance.json",
            names[0],
        ];
        let is_same = !written.contains(&name.as_str());
        assert_eq!(after[name] == *old, is_same, "{name}");
    }
    let manifest = manifest(&image);
    for name in names {
        let outputs = manifest["outputs"].as_array().unwrap();
        let entry = outputs
            .iter()
            .find(|output| output["file"] == name)
            .unwrap();
        assert_eq!(entry["size"], after[name].len());
    }
    let verify = format!(
        "pkeyutl -verify -rawin -pubin -inkey release.pub -sigfile {0}.sig -in {0}",
        image.join("SHA256SUMS").display()
    );
    keys.openssl(&verify).unwrap();
    // Its partition has what systemd reads.
    let mut sfdisk = host_program("sfdisk");
    let Some(told) = tool(sfdisk.arg("--json").arg(extension(&image))) else {
        return;
    };
    let told: serde_json::Value = serde_json::from_str(&told.good().out).unwrap();
    let part = &told["partitiontable"]["partitions"][2];
    assert_eq!(part["type"], "41092B05-9FC8-4523-994F-2DEF0408B176");
    let start = part["start"].as_u64().unwrap() as usize * 512;
    let text = after[names[0]][start..]
        .split(|byte| *byte == 0)
        .next()
        .unwrap();
    let text: serde_json::Value = serde_json::from_slice(text).unwrap();
    let hash = String::from_utf8(after["tiny-1.0.0-amd64-sysext.roothash"].clone()).unwrap();
    assert_eq!(text["rootHash"], hash.trim_end());
    let print = keys
        .openssl("x509 -in db.pem -noout -fingerprint -sha256")
        .unwrap();
    let print = String::from_utf8(print)
        .unwrap()
        .replace(':', "")
        .to_lowercase();
    assert!(print.contains(text["certificateFingerprint"].as_str().unwrap()));
    keys.file("hash", hash.trim_end());
    keys.openssl(&format!(
        "smime -verify -binary -inform DER -in {} -content hash -certfile db.pem -nointern -noverify -out out",
        image.join(names[1]).display()
    ))
    .unwrap();
    validated(&image, &before[image_file]);
}

/// systemd takes the signed extension where it wants a signature, and no other.
fn validated(image: &Path, unsigned: &[u8]) {
    if !judge::is_root() {
        return judge::missing("root, for systemd-dissect");
    }
    let validate = |file: &Path| {
        let mut dissect = judge::dissect()?;
        dissect.args(["--validate", "--image-policy=root=signed"]);
        Some(Ran::of(dissect.arg(file)))
    };
    let Some(ran) = validate(&extension(image)) else {
        return;
    };
    ran.good();
    let without = image.with_file_name("unsigned.raw");
    fs::write(&without, unsigned).unwrap();
    let refused = validate(&without).unwrap();
    assert_ne!(refused.code, Some(0), "{}{}", refused.out, refused.err);
    fs::remove_file(without).unwrap();
}

#[test]
fn what_is_signed_already_is_left_alone() {
    let Some((world, keys)) = world() else { return };
    let image = world.image("amd64");
    let file = keys.file("keys.toml", BOTH);
    Ran::of(&mut sign(&image, &file)).good();
    let (first, was) = (bytes(&image), identity(&extension(&image)));
    let ran = Ran::of(&mut sign(&image, &file)).good();
    assert!(ran.err.contains("is signed already"), "{}", ran.err);
    assert_eq!(identity(&extension(&image)), was);
    assert!(first == bytes(&image));
    // By another key: other signatures, nothing else.
    Keys::make(&keys.folder, &["db"]).unwrap();
    Ran::of(&mut sign(&image, &file)).good();
    let second = bytes(&image);
    assert!(first.keys().eq(second.keys()));
    assert_ne!(first["SHA256SUMS.sig"], second["SHA256SUMS.sig"]);
    sums_hold(&image);
    // A build replaces it: no signature is left that is of other bytes.
    Ran::of(world.build().args(["--force", "--quiet"])).good();
    assert!(
        !bytes(&image)
            .keys()
            .any(|name| name.contains(".sig") || name.contains(".p7s"))
    );
}

#[test]
fn signed_without_checksums_no_stale_signature_stays() {
    let Some((world, keys)) = world() else { return };
    let image = world.image("amd64");
    let sums = keys.file("sums.toml", "[checksums]\nkey = \"release.key\"\n");
    Ran::of(&mut sign(&image, &sums)).good();
    assert!(image.join("SHA256SUMS.sig").exists());
    let hashes = keys.file("hash.toml", BOTH.split("[checksums]").next().unwrap());
    Ran::of(&mut sign(&image, &hashes)).good();
    assert!(!image.join("SHA256SUMS.sig").exists());
    sums_hold(&image);
}

/// Firmware asks no clock, but whoever signs should know.
#[test]
fn a_certificate_that_is_not_valid_now_is_named() {
    let Some((world, keys)) = world() else { return };
    let image = world.image("amd64");
    let late = rcgen::KeyPair::generate().unwrap();
    keys.file("late.key", &late.serialize_pem());
    fs::set_permissions(keys.path("late.key"), fs::Permissions::from_mode(0o600)).unwrap();
    for (from, until, expected) in [
        (2020, 2021, Some("was valid until 2021-01-01")),
        (2020, 2200, None),
        (2200, 2201, Some("is not valid before 2200-01-01")),
    ] {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = parameters.self_signed(&late).unwrap();
        keys.file("late.pem", &certificate.pem());
        let text = "[checksums]\nkey = \"late.key\"\ncertificate = \"late.pem\"\n";
        let said = Ran::of(&mut sign(&image, &keys.file("late.toml", text))).good();
        assert_eq!(
            said.err.contains("warning"),
            expected.is_some(),
            "{}",
            said.err
        );
        assert!(said.err.contains(expected.unwrap_or("")), "{}", said.err);
    }
}

/// A variable that is not signed any more must not be left for firmware to take.
#[test]
fn what_was_revoked_once_and_is_not_now_leaves_nothing() {
    let Some((world, _)) = world() else { return };
    let keys = Keys::make(&world.path("more"), &["pk", "db"]).unwrap();
    let image = world.image("amd64");
    let enroll = |dbx: &str| {
        let text = format!(
            "[[secure_boot]]\nkey = \"db.key\"\ncertificate = \"db.pem\"\n[checksums]\nkey = \
             \"release.key\"\n[enroll]\npk = {{ key = \"pk.key\", certificate = \
             \"pk.pem\" }}\nkek = {{ key = \"pk.key\", certificate = \"pk.pem\" }}\ndb = \
             [\"db.pem\"]\ndbx = [{dbx}]\n"
        );
        keys.file("enroll.toml", &text)
    };
    Ran::of(&mut sign(&image, &enroll(""))).good();
    let without = bytes(&image);
    let revoked = format!("\"sha256:{}\"", "a1".repeat(32));
    Ran::of(&mut sign(&image, &enroll(&revoked))).good();
    let with = bytes(&image);
    assert!(with.contains_key("dbx.auth"));
    assert!(String::from_utf8_lossy(&with["provenance.json"]).contains("dbx.auth"));
    Ran::of(&mut sign(&image, &enroll(""))).good();
    sums_hold(&image);
    assert!(bytes(&image) == without);
}

#[test]
fn whoever_has_no_key_builds_the_same_bytes() {
    let Some((world, keys)) = world() else { return };
    let image = world.image("amd64");
    let file = keys.file("keys.toml", BOTH);
    Ran::of(&mut sign(&image, &file)).good();
    let published = world.path("published");
    fs::rename(&image, &published).unwrap();
    fs::remove_dir_all(&keys.folder).unwrap();
    let again = |from: &Path| {
        Ran::of(
            world
                .build()
                .arg("--quiet")
                .arg("--signatures-from")
                .arg(from),
        )
    };
    again(&published).good();
    assert!(bytes(&image) == bytes(&published));
    // One byte of what was published is another one.
    let path = extension(&published);
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    let last = bad.len() / 2;
    bad[last] ^= 1;
    fs::write(&path, &bad).unwrap();
    again(&published).refused(
        1,
        &[
            "is not what this recipe and lock build",
            "sysext.raw differ",
        ],
    );
    fs::write(&path, good).unwrap();
    // Another version of the image.
    let sums = published.join("SHA256SUMS");
    let text = fs::read_to_string(&sums).unwrap();
    fs::write(&sums, text.replace("  overlay", "  overlap")).unwrap();
    again(&published).refused(1, &["is not what this recipe and lock build", "overlap"]);
}

#[test]
fn keys_on_another_machine_sign_what_is_carried_there() {
    let Some((world, keys)) = world() else { return };
    let image = world.image("amd64");
    let before = bytes(&image);
    let file = keys.file(
        "keys.toml",
        &BOTH.replace(
            "\"release.key\"",
            "\"release.key\"\ncertificate = \"release.pub\"",
        ),
    );
    let usb = world.path("usb");
    let away = world.path("away");
    fs::create_dir(&away).unwrap();
    let secret = ["db.key", "release.key"];
    for name in secret {
        fs::rename(keys.path(name), away.join(name)).unwrap();
    }
    let requests = || Ran::of(sign(&image, &file).arg("--requests").arg(&usb));
    let attach = || Ran::of(sign(&image, &file).arg("--attach").arg(&usb));
    let answer = |ending: &str, words: &str| {
        for entry in fs::read_dir(&usb).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().unwrap() == "message" && path.to_str().unwrap().contains(ending) {
                let answer = path.with_extension("sig");
                let words = words.replace("IN", path.to_str().unwrap());
                keys.openssl(&words.replace("OUT", answer.to_str().unwrap()))
                    .unwrap();
            }
        }
    };
    let ran = requests().good();
    assert!(
        ran.err.contains("sysext.roothash-") && ran.err.contains("(root_hash)"),
        "{}",
        ran.err
    );
    attach().refused(1, &["nothing was signed", "roothash-"]);
    answer(
        "roothash",
        &format!("dgst -sha256 -sign {}/db.key -out OUT IN", away.display()),
    );
    attach().refused(1, &["nothing was signed", "SHA256SUMS-", "(checksums)"]);
    assert!(before == bytes(&image));
    for what in ["SHA256SUMS", "provenance"] {
        answer(
            what,
            &format!(
                "pkeyutl -sign -rawin -inkey {}/release.key -in IN -out OUT",
                away.display()
            ),
        );
    }
    attach().good();
    let carried = bytes(&image);
    for name in secret {
        fs::rename(away.join(name), keys.path(name)).unwrap();
    }
    // The keys here would have made the same.
    Ran::of(world.build().args(["--force", "--quiet"])).good();
    Ran::of(&mut sign(&image, &file)).good();
    assert!(carried == bytes(&image));
}

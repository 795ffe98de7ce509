//! `nodeimg verify` of what its publisher has not signed, and of what cannot be verified: which
//! step refuses it, what is wrong, and what to do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::faulty_server::{Fault, faulty, good};
use nodeimg_test_support::published::{IDENTITY, Published, failed};
use nodeimg_test_support::run::Ran;
use serde_json::json;

const EXTENSION: &str = "tiny-1.0.0-amd64-sysext.raw";

/// What somebody has done to a good directory.
struct Case {
    name: &'static str,
    given: fn(&Published) -> Command,
    /// The step that fails, and no other.
    step: &'static str,
    says: &'static [&'static str],
}

#[track_caller]
fn try_all(cases: &[Case]) {
    let Some(mut published) = Published::signed() else {
        return;
    };
    published.sign_in_ci();
    let whole = published.image.clone();
    let mut problems = Vec::new();
    for case in cases {
        published.copied(&whole, case.name);
        let mut command = (case.given)(&published);
        let ran = Ran::of(command.arg("--json"));
        if let Err(problem) = ran.is_refused(1, case.says) {
            problems.push(format!("=== {}: {problem}", case.name));
        } else if failed(&ran.out) != [case.step] {
            problems.push(format!(
                "=== {}: failed {:?}\n{}",
                case.name,
                failed(&ran.out),
                ran.err
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn by_key(published: &Published) -> Command {
    published.verify_by_key()
}

fn by_identity(published: &Published) -> Command {
    published.verify_by_identity(IDENTITY)
}

fn replace(published: &Published, name: &str, content: &[u8]) {
    let _ = fs::remove_file(published.path(name));
    fs::write(published.path(name), content).unwrap();
}

/// One bit of a file.
fn flip(published: &Published, name: &str, at: usize) {
    let mut bytes = fs::read(published.path(name)).unwrap();
    bytes[at] ^= 1;
    replace(published, name, &bytes);
}

#[test]
fn whom_nobody_trusts_is_refused() {
    try_all(&[
        Case {
            name: "no-anchor",
            given: |published| published.verify(&published.image),
            step: "policy",
            says: &[
                "there is no anchor",
                "--key FILE",
                "--identity",
                "--integrity-only",
            ],
        },
        Case {
            name: "only-secure-boot",
            given: |published| {
                let mut verify = published.verify(&published.image);
                verify
                    .arg("--secure-boot")
                    .arg(published.keys.path("db.pem"));
                verify
            },
            step: "policy",
            says: &["vouches for a disk, not for the files"],
        },
        Case {
            name: "other-key",
            given: |published| {
                let mut verify = published.verify(&published.image);
                verify.arg("--key").arg(published.keys.path("other.pem"));
                verify
            },
            step: "signature",
            says: &[
                "nothing here is signed by the key",
                "other.pem",
                "another key signed",
                "help:",
            ],
        },
        Case {
            name: "other-identity",
            given: |published| {
                published.verify_by_identity(&IDENTITY.replace("refs/tags/v1", "refs/heads/main"))
            },
            step: "signature",
            says: &["somebody else signed it", IDENTITY, "refs/heads/main"],
        },
        Case {
            name: "other-issuer",
            given: |published| {
                let mut verify = published.verify(&published.image);
                verify.args(["--identity", IDENTITY, "--issuer", "https://elsewhere.test"]);
                verify.arg("--trusted-root").arg(published.root());
                verify
            },
            step: "signature",
            says: &["another issuer vouches", "https://elsewhere.test"],
        },
        Case {
            name: "other-sigstore",
            given: |published| {
                let mut verify = published.verify(&published.image);
                verify.args(["--identity", IDENTITY, "--issuer", "https://issuer.test"]);
                verify
            },
            step: "signature",
            says: &["SHA256SUMS.sigstore.json", "sigstore.dev"],
        },
        Case {
            name: "expired",
            given: |published| {
                let sums = fs::read(published.path("SHA256SUMS")).unwrap();
                let bundle = published.sigstore.late_bundle(IDENTITY, &sums);
                replace(published, "SHA256SUMS.sigstore.json", bundle.as_bytes());
                by_identity(published)
            },
            step: "signature",
            says: &["SHA256SUMS.sigstore.json", "expired"],
        },
    ]);
}

#[test]
fn damaged_signatures_are_refused() {
    try_all(&[
        Case {
            name: "no-signature",
            given: |published| {
                fs::remove_file(published.path("SHA256SUMS.sig")).unwrap();
                fs::remove_file(published.path("provenance.intoto.jsonl")).unwrap();
                by_key(published)
            },
            step: "signature",
            says: &["SHA256SUMS.sig: it is not there"],
        },
        Case {
            name: "empty-signature",
            given: |published| {
                replace(published, "SHA256SUMS.sig", b"");
                replace(published, "provenance.intoto.jsonl", b"");
                by_key(published)
            },
            step: "signature",
            says: &["SHA256SUMS.sig: it is empty"],
        },
        Case {
            name: "changed-sums",
            given: |published| {
                let text = fs::read_to_string(published.path("SHA256SUMS")).unwrap();
                replace(published, "SHA256SUMS", (text + "\n").as_bytes());
                fs::remove_file(published.path("provenance.intoto.jsonl")).unwrap();
                by_key(published)
            },
            step: "signature",
            says: &["either file was changed"],
        },
        Case {
            name: "cut-bundle",
            given: |published| {
                let text = fs::read(published.path("SHA256SUMS.sigstore.json")).unwrap();
                replace(
                    published,
                    "SHA256SUMS.sigstore.json",
                    &text[..text.len() / 2],
                );
                by_identity(published)
            },
            step: "signature",
            says: &["SHA256SUMS.sigstore.json", "is not a Sigstore bundle"],
        },
        Case {
            name: "huge-bundle",
            given: |published| {
                replace(
                    published,
                    "SHA256SUMS.sigstore.json",
                    &vec![b' '; (1 << 20) + 1],
                );
                by_identity(published)
            },
            step: "signature",
            says: &["SHA256SUMS.sigstore.json", "1048576 bytes"],
        },
        Case {
            name: "others-statement",
            given: |published| {
                let text = fs::read_to_string(published.path("provenance.intoto.jsonl")).unwrap();
                let text = text.replace("\"sig\":\"", "\"sig\":\"AAAA");
                replace(published, "provenance.intoto.jsonl", text.as_bytes());
                by_key(published)
            },
            step: "signature",
            says: &[
                "no signature in it is by the key",
                "provenance.intoto.jsonl",
            ],
        },
        Case {
            name: "linked-sums",
            given: |published| {
                let sums = published.path("SHA256SUMS");
                let elsewhere = published.world.path("elsewhere");
                fs::rename(&sums, &elsewhere).unwrap();
                symlink(elsewhere, sums).unwrap();
                by_key(published)
            },
            step: "signature",
            says: &["SHA256SUMS", "it is a link to"],
        },
        Case {
            name: "parent",
            given: |published| {
                let mut verify = published.verify(&published.world.path("out"));
                verify.arg("--key").arg(published.keys.path("release.pub"));
                verify
            },
            step: "signature",
            says: &["there is no SHA256SUMS", "out/tiny-1.0.0-amd64"],
        },
    ]);
}

#[test]
fn files_that_were_not_signed_are_refused() {
    try_all(&[
        Case {
            name: "changed",
            given: |published| {
                flip(published, EXTENSION, 5000);
                by_key(published)
            },
            step: "files",
            says: &[EXTENSION, "its SHA-256 is"],
        },
        Case {
            name: "missing",
            given: |published| {
                fs::remove_file(published.path("overlay.tar.zst")).unwrap();
                by_key(published)
            },
            step: "files",
            says: &["overlay.tar.zst: it is listed, but it is not there"],
        },
        Case {
            name: "added",
            given: |published| {
                replace(published, "notes.txt", b"read me");
                by_identity(published)
            },
            step: "files",
            says: &["notes.txt: it is not listed in SHA256SUMS"],
        },
        Case {
            name: "added-hidden",
            given: |published| {
                replace(published, ".hidden", b"");
                replace(published, "evil.sig", b"");
                by_key(published)
            },
            step: "files",
            says: &[".hidden: it is not listed", "evil.sig: it is not listed"],
        },
        Case {
            name: "folder",
            given: |published| {
                fs::create_dir(published.path("more")).unwrap();
                by_key(published)
            },
            step: "files",
            says: &["more: it is not listed"],
        },
        Case {
            name: "link-out",
            given: |published| {
                let elsewhere = published.world.path("elsewhere.raw");
                fs::rename(published.path(EXTENSION), &elsewhere).unwrap();
                symlink(elsewhere, published.path(EXTENSION)).unwrap();
                by_key(published)
            },
            step: "files",
            says: &[EXTENSION, "it is a link to", "elsewhere.raw"],
        },
        Case {
            name: "pipe",
            given: |published| {
                fs::remove_file(published.path(EXTENSION)).unwrap();
                let made = Command::new("mkfifo")
                    .arg(published.path(EXTENSION))
                    .status();
                assert!(made.unwrap().success());
                by_key(published)
            },
            step: "files",
            says: &[EXTENSION, "it is not a file"],
        },
        Case {
            name: "folder-for-file",
            given: |published| {
                fs::remove_file(published.path(EXTENSION)).unwrap();
                fs::create_dir(published.path(EXTENSION)).unwrap();
                by_key(published)
            },
            step: "files",
            says: &[EXTENSION, "it is not a file"],
        },
    ]);
}

#[test]
fn statements_of_other_builds_are_refused() {
    try_all(&[
        Case {
            name: "parameter",
            given: |published| {
                published.lie_in("provenance.json", |value| {
                    value["predicate"]["buildDefinition"]["externalParameters"]["debug"] =
                        json!(true);
                });
                by_key(published)
            },
            step: "statement",
            says: &["the build was told `debug`", "provenance.json"],
        },
        Case {
            name: "type",
            given: |published| {
                published.lie_in("provenance.json", |value| {
                    value["predicate"]["buildDefinition"]["buildType"] = json!("https://x.test/v2");
                });
                by_key(published)
            },
            step: "statement",
            says: &["its buildType is `https://x.test/v2`"],
        },
        Case {
            name: "subject-less",
            given: |published| {
                published.lie_in("provenance.json", |value| {
                    let subjects = value["subject"].as_array_mut().unwrap();
                    subjects.retain(|one| one["name"] != EXTENSION);
                });
                by_key(published)
            },
            step: "statement",
            says: &[EXTENSION, "is not among them"],
        },
        Case {
            name: "subject-more",
            given: |published| {
                published.lie_in("provenance.json", |value| {
                    let digest = json!({ "sha256": "0".repeat(64) });
                    let more = json!({ "name": "more.raw", "digest": digest });
                    value["subject"].as_array_mut().unwrap().push(more);
                });
                by_key(published)
            },
            step: "statement",
            says: &["more.raw, which is not listed"],
        },
        Case {
            name: "other-image",
            given: |published| {
                published.lie_in("manifest.json", |value| {
                    value["image"]["version"] = json!("2.0.0")
                });
                by_key(published)
            },
            step: "statement",
            says: &["manifest.json", "of version `2.0.0`", "`1.0.0`"],
        },
        Case {
            name: "not-json",
            given: |published| {
                published.lie("provenance.json", b"{");
                by_key(published)
            },
            step: "statement",
            says: &["provenance.json", "it is not JSON"],
        },
    ]);
}

#[test]
fn other_locks_are_refused() {
    try_all(&[
        Case {
            name: "other-lock",
            given: |published| {
                published.lie_in("provenance.json", |value| {
                    let all = value["predicate"]["buildDefinition"]["resolvedDependencies"]
                        .as_array_mut()
                        .unwrap();
                    let runc = all
                        .iter_mut()
                        .find(|one| one["name"] == "artifact/runc")
                        .unwrap();
                    runc["digest"]["sha256"] = json!("0".repeat(64));
                });
                let mut verify = by_key(published);
                verify
                    .arg("--lock")
                    .arg(published.world.path("recipe.lock"));
                verify
            },
            step: "statement",
            says: &[
                "what went in is not what",
                "artifact/runc has another digest",
            ],
        },
        Case {
            name: "signers-of-nobody",
            given: |published| {
                published.lie_in("manifest.json", |value| {
                    value["artifacts"][0]["verified"] = json!("sigstore");
                    value["artifacts"][0]["signer"] = json!("me@test");
                });
                let mut verify = by_key(published);
                verify
                    .arg("--lock")
                    .arg(published.world.path("recipe.lock"));
                verify
            },
            step: "upstream",
            says: &["the manifest says other things than", "of who vouches for"],
        },
    ]);
}

/// Refused before anything is verified.
#[test]
fn what_cannot_be_verified_is_one_error() {
    let Some(published) = Published::signed() else {
        return;
    };
    let key = published.keys.path("release.pub");
    let private = published.keys.path("release.key");
    let text = published.keys.file("text", "hello\n");
    let pgp = published
        .keys
        .file("pgp", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n");
    let [key, private, text, pgp] =
        [&key, &private, &text, &pgp].map(|path| path.to_str().unwrap());
    let image = published.image.to_str().unwrap();
    let server = published.world.server.url("/x");
    let with_query = format!("{server}?a=b");
    let cases: Vec<(Vec<&str>, i32, Vec<&str>)> = vec![
        (
            vec!["nowhere", "--key", key],
            1,
            vec!["opening nowhere", "No such file"],
        ),
        (
            vec!["/dev/null", "--key", key],
            1,
            vec!["neither a directory, a disk nor"],
        ),
        (vec!["", "--key", key], 1, vec!["opening"]),
        (
            vec![image, "--key", "none.pem"],
            1,
            vec!["--key", "none.pem"],
        ),
        (
            vec![image, "--key", private],
            1,
            vec!["holds a private key", "-pubout"],
        ),
        (vec![image, "--key", text], 1, vec!["--key", "text"]),
        (vec![image, "--key", pgp], 1, vec!["is an OpenPGP key"]),
        (
            vec![image, "--lock", "none.lock"],
            1,
            vec!["none.lock is not there"],
        ),
        (
            vec![image, "--key", key, "--rebuild"],
            1,
            vec!["--rebuild needs the recipe"],
        ),
        (vec![image, "--identity", "a@b"], 2, vec!["--issuer"]),
        (
            vec![image, "--identity", "*", "--issuer", "https://x.test"],
            1,
            vec!["is a pattern"],
        ),
        (
            vec![image, "--identity", "a@b", "--issuer", "x"],
            1,
            vec!["is not a URL"],
        ),
        (
            vec![image, "--key", key, "--integrity-only"],
            2,
            vec!["--integrity-only"],
        ),
        (
            vec![image, "--root-hash", "12"],
            2,
            vec!["is not a root hash"],
        ),
        (
            vec!["ftp://x.test/a", "--key", key],
            1,
            vec!["only http:// and https://"],
        ),
        (vec!["file:///tmp", "--key", key], 1, vec!["by its path"]),
        (
            vec!["https://u:p@x.test/a", "--key", key],
            1,
            vec!["~/.netrc"],
        ),
        (
            vec![&with_query, "--key", key],
            1,
            vec!["has a `?` or `#` part"],
        ),
        (
            vec![&server, "--key", key, "--offline"],
            1,
            vec!["--offline"],
        ),
    ];
    for (words, code, says) in cases {
        let mut verify = published.world.bare("verify");
        let ran = Ran::of(verify.args(&words));
        if let Err(problem) = ran.is_refused(code, &says) {
            panic!("{problem}");
        }
        assert!(!ran.err.contains("u:p"), "{}", ran.err);
    }
}

#[test]
fn a_disk_by_itself_and_a_summary_have_their_places() {
    let Some(published) = Published::signed() else {
        return;
    };
    let key = published.keys.path("release.pub");
    let key = key.to_str().unwrap();
    let inside = published.path("vsa.json");
    let mut verify = published.verify_by_key();
    Ran::of(verify.arg("--vsa").arg(&inside)).refused(1, &["nobody listed"]);
    assert!(!inside.exists());
    // A disk that lies alone needs another anchor than the key of its sums.
    let alone = published.world.path("alone.raw");
    fs::copy(published.path(EXTENSION), &alone).unwrap();
    let mut verify = published.verify(&alone);
    Ran::of(verify.args(["--key", key])).refused(1, &["not beside this disk", "--secure-boot"]);
    Ran::of(&mut published.verify(&alone)).refused(1, &["no anchor for a disk", "--root-hash"]);
}

/// Serves what was published at /up, with what `change` does to one file.
fn served(published: &Published, name: &str, fault: Option<Fault>) {
    let server = &published.world.server;
    for entry in fs::read_dir(&published.image).unwrap() {
        let entry = entry.unwrap();
        let file = entry.file_name().into_string().unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        let path = format!("/up/{file}");
        server.script(&path, vec![good(&bytes)]);
        if file == name
            && let Some(fault) = &fault
        {
            server.script(&path, vec![faulty(&bytes, fault.clone())]);
        }
    }
}

#[test]
fn a_server_that_lies_is_refused() {
    let Some(published) = Published::signed() else {
        return;
    };
    let url = published.world.server.url("/up");
    let verify = || {
        let mut verify = published.verify(Path::new(&url));
        verify.arg("--key").arg(published.keys.path("release.pub"));
        verify.args(["--retries", "0", "--json"]);
        Ran::of(&mut verify)
    };
    let status = |code| Some(Fault::Status(code));
    for (name, fault, step, says) in [
        (EXTENSION, status(404), "files", "404"),
        (EXTENSION, Some(Fault::Cut(100)), "files", EXTENSION),
        (
            EXTENSION,
            Some(Fault::Redirect("file:///etc/passwd".to_owned())),
            "files",
            "file:///etc/passwd",
        ),
        (
            EXTENSION,
            Some(Fault::Redirect("http://127.0.0.2:9/x".to_owned())),
            "files",
            "not https",
        ),
        ("SHA256SUMS", status(404), "signature", "127.0.0.1"),
        ("SHA256SUMS", status(500), "signature", "500"),
        ("SHA256SUMS.sig", status(403), "signature", "403"),
    ] {
        served(&published, name, fault.clone());
        if name.starts_with("SHA256SUMS") {
            let gone = faulty(b"", Fault::Status(404));
            published
                .world
                .server
                .script("/up/provenance.intoto.jsonl", vec![gone]);
        }
        let ran = verify();
        assert_eq!(ran.code, Some(1), "{name} {fault:?}: {}", ran.err);
        assert_eq!(failed(&ran.out), [step], "{name} {fault:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{name} {fault:?}: {}", ran.err);
    }
    // Other bytes under a listed name.
    served(&published, "", None);
    published
        .world
        .server
        .serve(&format!("/up/{EXTENSION}"), b"something else");
    let ran = verify();
    assert_eq!(failed(&ran.out), ["files"], "{}", ran.err);
    assert!(ran.err.contains(EXTENSION), "{}", ran.err);
    // Nobody is there.
    let mut verify = published.verify(Path::new("http://127.0.0.1:9/x"));
    verify.arg("--key").arg(published.keys.path("release.pub"));
    Ran::of(verify.args(["--retries", "0"])).refused(1, &["127.0.0.1:9", "refused"]);
}

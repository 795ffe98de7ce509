//! Proofs of upstreams that publish the parts of a bundle: Kubernetes' `.sig` and `.cert`
//! with an entry of Rekor's. The parts are taken from a real bundle, written as the log's API
//! and cosign write them.

use std::collections::BTreeMap;

use crate::common::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nodeimg_trust::{Artifact, Proof, Roots, collect, first, proof};
use nodeimg_values::digest::Digest;
use serde_json::{Value, json};

struct Parts {
    sig: Vec<u8>,
    cert: Vec<u8>,
    /// The log's entry as its API answers.
    entry: Value,
    digest: Digest,
}

fn hex(base64: &Value) -> String {
    let bytes = BASE64.decode(base64.as_str().unwrap()).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(value: &Value) -> i64 {
    value.as_str().unwrap().parse().unwrap()
}

fn parts() -> Parts {
    let bundle = text("conformance/happy-path-v0.3/bundle.sigstore.json");
    let bundle: Value = serde_json::from_str(&bundle).unwrap();
    let material = &bundle["verificationMaterial"];
    let entry = &material["tlogEntries"][0];
    let proof = &entry["inclusionProof"];
    let body = BASE64
        .decode(entry["canonicalizedBody"].as_str().unwrap())
        .unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let hashes: Vec<String> = proof["hashes"]
        .as_array()
        .unwrap()
        .iter()
        .map(hex)
        .collect();
    Parts {
        sig: bundle["messageSignature"]["signature"]
            .as_str()
            .unwrap()
            .into(),
        // A `.cert` is base64 of PEM, as the log's body has it.
        cert: body["spec"]["signature"]["publicKey"]["content"]
            .as_str()
            .unwrap()
            .into(),
        entry: json!({
            "body": entry["canonicalizedBody"],
            "integratedTime": number(&entry["integratedTime"]),
            "logID": hex(&entry["logId"]["keyId"]),
            "logIndex": number(&entry["logIndex"]),
            "verification": {
                "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "inclusionProof": {
                    "checkpoint": proof["checkpoint"]["envelope"],
                    "hashes": hashes,
                    "logIndex": number(&proof["logIndex"]),
                    "rootHash": hex(&proof["rootHash"]),
                    "treeSize": number(&proof["treeSize"]),
                },
            },
        }),
        digest: Digest::sha256(&bytes("conformance/a.txt")),
    }
}

fn rekor(parts: &Parts, entries: &[&Value]) -> Vec<Proof> {
    let answer: Vec<Value> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| json!({ format!("uuid{index}"): entry }))
        .collect();
    let answer = Value::from(answer).to_string();
    collect::from_rekor(&parts.sig, &parts.cert, answer.as_bytes(), &parts.digest).unwrap()
}

#[test]
fn a_signature_a_certificate_and_the_logs_entry_make_a_bundle() {
    let parts = parts();
    let demand = blob(BEACON, GITHUB);
    let proofs = rekor(&parts, &[&parts.entry]);
    let good = judge(&parts.digest, &demand, &proofs[0]).unwrap();
    assert_eq!(good.signer, BEACON);
    assert!(good.signed_at.is_some());
    // The same with a PEM certificate, and to the byte each time.
    let pem = Parts {
        cert: BASE64.decode(&parts.cert).unwrap(),
        digest: parts.digest.clone(),
        sig: parts.sig.clone(),
        entry: parts.entry.clone(),
    };
    assert_eq!(rekor(&pem, &[&parts.entry]), proofs);
    let line = proofs[0].line().unwrap();
    assert_eq!(Proof::parse(&line).unwrap(), proofs[0]);
}

#[test]
fn of_several_entries_the_first_that_verifies_counts() {
    let parts = parts();
    let mut wrong = parts.entry.clone();
    wrong["integratedTime"] = json!(number(&json!("1700000000")));
    let mut hash = parts.entry.clone();
    hash["verification"]["inclusionProof"]["rootHash"] = json!("00".repeat(32));
    // Without a proof of inclusion the log's promise must do.
    let mut promise = parts.entry.clone();
    promise["verification"]["inclusionProof"] = Value::Null;
    let artifact = Artifact {
        name: "kubelet",
        sha256: &parts.digest,
        url: None,
        content: None,
    };
    let roots = Roots::built_in().unwrap();
    let demand = blob(BEACON, GITHUB);
    let proofs = rekor(&parts, &[&wrong, &promise, &parts.entry]);
    let (chosen, _) = first(&artifact, &demand, &proofs, &roots, AT).unwrap();
    assert!(std::ptr::eq(chosen, &proofs[1]));
    for entries in [vec![&wrong], vec![]] {
        let proofs = rekor(&parts, &entries);
        assert!(first(&artifact, &demand, &proofs, &roots, AT).is_err());
    }
    let answer = json!([{ "uuid": hash }]).to_string();
    let made = collect::from_rekor(&parts.sig, &parts.cert, answer.as_bytes(), &parts.digest);
    let judged = made.map(|it| judge(&parts.digest, &demand, &it[0]).is_err());
    assert!(judged.unwrap_or(true), "a wrong root hash");
}

/// The query names the very entry that the log has.
#[test]
fn the_query_is_the_logs_own_body() {
    let parts = parts();
    let query = collect::rekor_query(&parts.sig, &parts.cert, &parts.digest).unwrap();
    let query: Value = serde_json::from_str(&query).unwrap();
    let body = BASE64
        .decode(parts.entry["body"].as_str().unwrap())
        .unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(query["entries"], json!([body]));
}

#[test]
fn parts_that_are_none_are_said_to_be_so() {
    let parts = parts();
    let (sig, cert, digest) = (&parts.sig, &parts.cert, &parts.digest);
    for (sig, cert, what) in [
        (b"<html>404</html>".to_vec(), cert.clone(), "signature"),
        (Vec::new(), cert.clone(), "signature"),
        (vec![0xff; 10], cert.clone(), "signature"),
        (vec![b'A'; 1 << 20], cert.clone(), "signature"),
        (sig.clone(), b"<html>404</html>".to_vec(), "certificate"),
        (
            sig.clone(),
            b"-----BEGIN CERTIFICATE-----\n".to_vec(),
            "certificate",
        ),
        (sig.clone(), BASE64.encode("x").into_bytes(), "certificate"),
    ] {
        let error = collect::rekor_query(&sig, &cert, digest).unwrap_err();
        assert!(format!("{error:#}").contains(what), "{error:#}");
    }
    for answer in ["", "null", "{}", "[1]", r#"[{"u":{}}]"#, &"[".repeat(9999)] {
        assert!(
            collect::from_rekor(sig, cert, answer.as_bytes(), digest).is_err(),
            "{answer}"
        );
    }
    let none = collect::from_rekor(sig, cert, b"[]", digest).unwrap();
    assert_eq!(none, []);
}

#[test]
fn layers_without_their_annotations_are_said_to_be_so() {
    let whole: BTreeMap<String, String> =
        serde_json::from_str(&text("image/nginx.annotations.json")).unwrap();
    let payload = bytes("image/nginx.payload");
    for name in [
        "dev.cosignproject.cosign/signature",
        "dev.sigstore.cosign/bundle",
    ] {
        let mut layer = whole.clone();
        layer.remove(name);
        let error = collect::from_cosign_layer(&layer, &payload).unwrap_err();
        assert!(format!("{error:#}").contains(name), "{error:#}");
    }
    for name in whole.keys() {
        for value in ["", "{}", "[0]", "x", "-----BEGIN CERTIFICATE-----"] {
            let mut layer = whole.clone();
            layer.insert(name.clone(), value.to_string());
            assert!(
                collect::from_cosign_layer(&layer, &payload).is_err(),
                "{name} {value}"
            );
        }
    }
    assert!(collect::from_cosign_layer(&whole, &[0xff]).is_err());
}

#[test]
fn a_file_of_proofs_is_sorted_and_says_which_line_is_damaged() {
    let parts = parts();
    let one = rekor(&parts, &[&parts.entry]).remove(0);
    let two = collect::from_answers(vec![
        collect::answer("https://b.example/x", &"a".repeat(64), None).unwrap(),
        collect::answer("https://a.example/x", &"a".repeat(64), None).unwrap(),
    ])
    .unwrap();
    let file = proof::write([&two, &one, &two]).unwrap();
    assert_eq!(file, proof::write([&one, &two]).unwrap());
    let read = proof::read(&file).unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(read[&one.digest().unwrap()], one);
    assert_eq!(proof::read("").unwrap().len(), 0);
    let cut = &file[..file.len() - 40];
    let error = proof::read(cut).unwrap_err();
    assert!(format!("{error:#}").contains("line 2"), "{error:#}");
    // A proof that was changed has another digest, so that no lock names it.
    let changed = file.replacen("example", "exemple", 1);
    assert_ne!(proof::read(&changed).unwrap(), read);
    let long = format!("{}\n", "x".repeat(2 << 20));
    assert!(proof::read(&long).is_err());
    let error = collect::answer("https://a.example/x", "<html>", None).unwrap_err();
    assert!(
        format!("{error:#}").contains("https://a.example/x"),
        "{error:#}"
    );
}

/// `cosign sign-blob --bundle` of cosign 2, as CRI-O publishes it.
#[test]
fn what_cosign_wrote_before_bundles_is_one() {
    let layer: BTreeMap<String, String> =
        serde_json::from_str(&text("image/nginx.annotations.json")).unwrap();
    let of = |name: &str| layer[name].clone();
    let promise: Value = serde_json::from_str(&of("dev.sigstore.cosign/bundle")).unwrap();
    let legacy = json!({
        "base64Signature": of("dev.cosignproject.cosign/signature"),
        "cert": BASE64.encode(of("dev.sigstore.cosign/certificate")),
        "rekorBundle": promise,
    });
    let identity =
        "https://github.com/chainguard-images/nginx/.github/workflows/release.yaml@refs/heads/main";
    let demand = blob(identity, GITHUB);
    let digest = Digest::sha256(&bytes("image/nginx.payload"));
    let proof = collect::from_bundle(legacy.to_string().as_bytes()).unwrap();
    assert_eq!(judge(&digest, &demand, &proof).unwrap().signer, identity);
    assert!(judge(&Digest::sha256(b"x"), &demand, &proof).is_err());
    for (pointer, value) in [
        ("/base64Signature", json!("?")),
        ("/cert", json!("?")),
        ("/rekorBundle/Payload/body", json!("e30=")),
        ("/rekorBundle/Payload/logID", json!("zz")),
        ("/rekorBundle/Payload/integratedTime", json!("soon")),
        ("/rekorBundle", Value::Null),
    ] {
        let mut damaged = legacy.clone();
        *damaged.pointer_mut(pointer).unwrap() = value;
        let made = collect::from_bundle(damaged.to_string().as_bytes());
        assert!(made.is_err(), "{pointer}");
    }
    let mut moved = legacy;
    moved["rekorBundle"]["Payload"]["integratedTime"] = json!(1_665_712_785);
    let proof = collect::from_bundle(moved.to_string().as_bytes()).unwrap();
    assert!(judge(&digest, &demand, &proof).is_err());
}

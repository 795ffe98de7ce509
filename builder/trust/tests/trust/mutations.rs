//! A bundle with any of its bytes changed is refused; so is one that is cut or swapped, and
//! nothing that a proof holds makes the program panic.

use crate::common::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nodeimg_trust::{Artifact, Demand, Instance, Proof, Refusal, Roots, Vouched, Why, verify};
use nodeimg_values::digest::Digest;
use serde_json::Value;

/// A bundle, what it is of and who must have signed it.
struct Case {
    bundle: Value,
    digest: Digest,
    demand: Demand,
    roots: Roots,
}

impl Case {
    fn of(file: &str, digest: Digest, demand: Demand) -> Case {
        Case {
            bundle: serde_json::from_str(&text(file)).unwrap(),
            digest,
            demand,
            roots: Roots::built_in().unwrap(),
        }
    }

    fn judge(&self, bundle: &Value) -> Result<Vouched, Box<Refusal>> {
        self.judge_text(bundle.to_string())
    }

    fn judge_text(&self, bundle: String) -> Result<Vouched, Box<Refusal>> {
        let artifact = Artifact {
            name: "thing",
            sha256: &self.digest,
            url: None,
            content: None,
        };
        let proof = Proof::Sigstore { bundle };
        verify(&artifact, &self.demand, Some(&proof), &self.roots, AT)
    }

    /// The bundle with the value at `pointer` changed.
    fn with(&self, pointer: &str, change: impl Fn(&mut Value)) -> Value {
        let mut bundle = self.bundle.clone();
        change(
            bundle
                .pointer_mut(pointer)
                .unwrap_or_else(|| panic!("no {pointer}")),
        );
        bundle
    }
}

fn signature() -> Case {
    let digest = Digest::sha256(&bytes("conformance/a.txt"));
    let file = "conformance/happy-path-v0.3/bundle.sigstore.json";
    Case::of(file, digest, blob(BEACON, GITHUB))
}

fn provenance() -> Case {
    let digest = sha256("49a3aa6075e0f49f82843e74b5baa614ad2a588e6675612bf108a0a008c5ac25");
    let signer = "https://github.com/github/artifact-attestations-workflows/.github/workflows/attest.yml@09b495c3f12c7881b3cc17209a327792065c1a1d";
    let mut build = build(
        "malancas/attest-demo",
        ".github/workflows/shared.yml",
        "workflow_dispatch",
    );
    build.signer = Some(signer.to_string());
    let file = "attestations/reusable-workflow-attestation.sigstore.json";
    Case::of(file, digest, Demand::Build(build))
}

fn release() -> Case {
    let digest = sha256("e15b593c6ab8d7725a3cc82226ef816cac6bf9c70eed383bd459295cc65f5ec3");
    let demand = Demand::Release {
        repository: "bdehamer/delme".to_string(),
        tag: "v6".to_string(),
    };
    Case::of("attestations/github-release.json", digest, demand)
}

/// Every text and number of a bundle, by JSON pointer.
fn leaves(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| leaves(value, format!("{at}/{key}"), into)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(index, value)| leaves(value, format!("{at}/{index}"), into)),
        Value::Null => (),
        _ => into.push(at),
    }
}

/// The value with one bit of one byte changed: of what it encodes, if it is base64.
fn flip(value: &mut Value, at: usize) {
    let text = match value {
        Value::String(text) => text.clone(),
        ref other => other.to_string(),
    };
    let changed = match (text.parse::<i64>(), BASE64.decode(&text)) {
        (Ok(number), _) => (number + 1).to_string(),
        (_, Ok(mut bytes)) if bytes.len() > 8 => {
            let at = at % bytes.len();
            bytes[at] ^= 1;
            BASE64.encode(bytes)
        }
        _ => {
            let mut bytes = text.into_bytes();
            let at = at % bytes.len().max(1);
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    *value = Value::String(changed);
}

/// Whether two bundles differ only in the name before a checkpoint's signature: the log's
/// key signs it in the line above, and the key is chosen by its digest.
fn only_a_name(one: &Value, other: &Value) -> bool {
    let at = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
    let (Some(a), Some(b)) = (one.pointer(at), other.pointer(at)) else {
        return false;
    };
    let (a, b) = (a.as_str().unwrap(), b.as_str().unwrap());
    let parts = |text: &str| {
        let (signed, line) = text.split_once("\n\n").unwrap();
        let signature = line.rsplit(' ').next().unwrap().to_string();
        (signed.to_string(), signature)
    };
    a != b && parts(a) == parts(b)
}

#[test]
fn every_field_is_vouched_for() {
    for (name, case, most) in [
        ("signature", signature(), 24),
        ("provenance", provenance(), 16),
        ("release", release(), 16),
    ] {
        case.judge(&case.bundle).unwrap();
        let mut all = Vec::new();
        leaves(&case.bundle, String::new(), &mut all);
        let mut accepted = Vec::new();
        for pointer in &all {
            let length = case.bundle.pointer(pointer).unwrap().to_string().len();
            let tries = (length / 3).clamp(1, most);
            for step in 0..tries {
                let at = step * length.max(tries) / tries;
                let bundle = case.with(pointer, |value| flip(value, at));
                if case.judge(&bundle).is_ok() && !only_a_name(&case.bundle, &bundle) {
                    accepted.push(format!("{name} {pointer} at {at}"));
                }
            }
        }
        assert!(accepted.is_empty(), "{}", accepted.join("\n"));
    }
}

/// Where `needle` is in a certificate.
fn find(der: &[u8], needle: &[u8]) -> usize {
    let found = der.windows(needle.len()).position(|it| it == needle);
    found.unwrap_or_else(|| panic!("{} is not there", String::from_utf8_lossy(needle)))
}

#[test]
fn identity_issuer_and_sct_in_the_certificate_are_vouched_for() {
    let case = signature();
    let pointer = "/verificationMaterial/certificate/rawBytes";
    let der = case.bundle.pointer(pointer).unwrap().as_str().unwrap();
    let der = BASE64.decode(der).unwrap();
    // Of the extension with SCTs: 1.3.6.1.4.1.11129.2.4.2.
    let sct = find(
        &der,
        &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02],
    );
    for (what, at) in [
        (
            "identity",
            find(&der, b"extremely-dangerous-oidc-beacon.yml") + 3,
        ),
        ("issuer", find(&der, GITHUB.as_bytes()) + 12),
        ("sct", sct + 40),
        ("sct's log", sct + 20),
        ("serial number", 20),
        ("signature", der.len() - 5),
    ] {
        let bundle = case.with(pointer, |value| {
            let mut der = der.clone();
            der[at] ^= 1;
            *value = Value::String(BASE64.encode(der));
        });
        let refusal = case.judge(&bundle).unwrap_err();
        assert!(refusal.why != Why::Missing, "{what}: {refusal}");
    }
}

#[test]
fn what_belongs_together_must_be_together() {
    let case = signature();
    let other: Value = serde_json::from_str(&text(
        "conformance/happy-path-v0.3-new-mediaType/bundle.sigstore.json",
    ))
    .unwrap();
    for pointer in [
        "/verificationMaterial/certificate/rawBytes",
        "/verificationMaterial/tlogEntries/0",
        "/verificationMaterial/tlogEntries/0/integratedTime",
        "/verificationMaterial/tlogEntries/0/inclusionProof",
        "/verificationMaterial/tlogEntries/0/inclusionPromise",
        "/messageSignature/signature",
    ] {
        let Some(foreign) = other.pointer(pointer) else {
            continue;
        };
        let bundle = case.with(pointer, |value| *value = foreign.clone());
        if bundle != case.bundle {
            assert!(case.judge(&bundle).is_err(), "{pointer}");
        }
    }
    for pointer in [
        "/verificationMaterial/tlogEntries",
        "/messageSignature",
        "/verificationMaterial",
    ] {
        for empty in [
            Value::Null,
            Value::Array(Vec::new()),
            Value::Object(Default::default()),
        ] {
            let bundle = case.with(pointer, |value| *value = empty.clone());
            assert!(case.judge(&bundle).is_err(), "{pointer} {empty}");
        }
    }
}

/// The root of sigstore.dev with something changed.
fn changed_root(change: impl Fn(&mut Value)) -> Roots {
    let json = include_str!("../../roots/public-good.json");
    let mut root: Value = serde_json::from_str(json).unwrap();
    change(&mut root);
    let roots = Roots::built_in().unwrap();
    roots
        .replaced(Instance::PublicGood, root.to_string().as_bytes())
        .unwrap()
}

#[test]
fn a_changed_or_expired_root_fails_closed() {
    let ended = "2021-06-01T00:00:00Z";
    let end_all = |list: &str, key: &'static str| {
        let list = list.to_string();
        move |root: &mut Value| {
            for entry in root[&list].as_array_mut().unwrap() {
                let of = if key.is_empty() {
                    entry
                } else {
                    &mut entry[key]
                };
                of["validFor"] = serde_json::json!({"start": "2021-01-01T00:00:00Z", "end": ended});
            }
        }
    };
    let other_key = serde_json::json!(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYI4heOTrNrZO27elFE8ynfrdPMikttRkbe+vJKQ50G6bfwQ3WyhLpRwwwohelDAm8xRzJ56nYsIa3VHivVvpmA=="
    );
    for (what, roots) in [
        (
            "authorities ended",
            changed_root(end_all("certificateAuthorities", "")),
        ),
        ("logs ended", changed_root(end_all("tlogs", "publicKey"))),
        (
            "certificates' logs ended",
            changed_root(end_all("ctlogs", "publicKey")),
        ),
        (
            "no authority",
            changed_root(|root| root["certificateAuthorities"] = serde_json::json!([])),
        ),
        (
            "another log",
            changed_root(|root| {
                for log in root["tlogs"].as_array_mut().unwrap() {
                    log["publicKey"]["rawBytes"] = other_key.clone();
                }
            }),
        ),
        (
            "another log of certificates",
            changed_root(|root| {
                for log in root["ctlogs"].as_array_mut().unwrap() {
                    log["publicKey"]["rawBytes"] = other_key.clone();
                }
            }),
        ),
    ] {
        let case = Case {
            roots,
            ..signature()
        };
        assert!(case.judge(&case.bundle).is_err(), "{what}");
    }
}

#[test]
fn cut_and_damaged_bundles_are_refused_without_panic() {
    let case = provenance();
    let whole = case.bundle.to_string();
    for at in (0..whole.len()).step_by(97) {
        let refusal = case.judge_text(whole[..at].to_string()).unwrap_err();
        assert_eq!(refusal.why, Why::Damaged, "{at}: {refusal}");
    }
    // Bytes anywhere, by a generator that every run repeats.
    let mut state = 0x9e37_79b9_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap()
    };
    for _ in 0..300 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=next() % 4 {
            let at = next() % bytes.len();
            bytes[at] = b"0{}[]\",:A/=-9\\n "[next() % 15];
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if serde_json::from_str::<Value>(&text).ok().as_ref() != Some(&case.bundle) {
            // A change of JSON's own spelling may leave the same bundle.
            let _ = case.judge_text(text);
        }
    }
    let deep = "[".repeat(100_000);
    let long = format!("{whole}{}", " ".repeat(2 << 20));
    for text in [
        String::new(),
        deep,
        long,
        "null".to_string(),
        "{}".to_string(),
        "\u{0}".to_string(),
    ] {
        assert_eq!(case.judge_text(text).unwrap_err().why, Why::Damaged);
    }
    // Fields with lengths and types that nobody writes.
    let mut all = Vec::new();
    leaves(&case.bundle, String::new(), &mut all);
    for pointer in &all {
        for odd in [
            Value::Null,
            serde_json::json!(-1),
            serde_json::json!(1e300),
            serde_json::json!("9223372036854775807"),
            serde_json::json!("-9223372036854775808"),
            serde_json::json!(""),
            serde_json::json!("AA=="),
            serde_json::json!("\u{1F600}".repeat(1000)),
            serde_json::json!([]),
            serde_json::json!({}),
        ] {
            let bundle = case.with(pointer, |value| *value = odd.clone());
            assert!(case.judge(&bundle).is_err(), "{pointer} {odd}");
        }
    }
}

//! A bundle with any of its bytes changed is refused, and one that is put together of others.

use crate::common::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nodeimg_trust::{
    Artifact, Demand, Instance, Proof, Refusal, Roots, Vouched, Why, collect, verify,
};
use nodeimg_values::digest::Digest;
use serde_json::Value;

/// A bundle, what it is of and who must have signed it.
pub struct Case {
    pub bundle: Value,
    pub digest: Digest,
    pub demand: Demand,
    pub roots: Roots,
    /// Of an image's classic signature.
    pub payload: Option<String>,
}

impl Case {
    fn of(file: &str, digest: Digest, demand: Demand) -> Case {
        Case {
            bundle: serde_json::from_str(&text(file)).unwrap(),
            digest,
            demand,
            roots: Roots::built_in().unwrap(),
            payload: None,
        }
    }

    pub fn judge(&self, bundle: &Value) -> Result<Vouched, Box<Refusal>> {
        self.judge_text(bundle.to_string())
    }

    pub fn judge_text(&self, bundle: String) -> Result<Vouched, Box<Refusal>> {
        let artifact = Artifact {
            name: "thing",
            sha256: &self.digest,
            url: None,
            content: None,
        };
        let proof = match &self.payload {
            Some(payload) => Proof::Cosign {
                payload: payload.clone(),
                bundle,
            },
            None => Proof::Sigstore { bundle },
        };
        verify(&artifact, &self.demand, Some(&proof), &self.roots, AT)
    }

    /// The bundle with the value at `pointer` changed.
    pub fn with(&self, pointer: &str, change: impl Fn(&mut Value)) -> Value {
        let mut bundle = self.bundle.clone();
        change(
            bundle
                .pointer_mut(pointer)
                .unwrap_or_else(|| panic!("no {pointer}")),
        );
        bundle
    }
}

pub fn signature() -> Case {
    let digest = Digest::sha256(&bytes("conformance/a.txt"));
    let file = "conformance/happy-path-v0.3/bundle.sigstore.json";
    Case::of(file, digest, blob(BEACON, GITHUB))
}

pub fn provenance() -> Case {
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

/// Rekor 2: a time stamp authority says when, and the log only that. Without the
/// authority's certificates, which a stamp may carry and nobody needs.
fn second_log() -> Case {
    let folder = "conformance/rekor2-timestamp-without-embedded-cert";
    let file = format!("{folder}/bundle.sigstore.json");
    let demand = Demand::Blob {
        signers: vec![signer(BEACON, GITHUB)],
        instance: Instance::Private,
    };
    let case = Case::of(&file, Digest::sha256(&bytes("conformance/a.txt")), demand);
    let root = text(&format!("{folder}/root"));
    let root = bytes(&format!("conformance/roots/{}.json", root.trim()));
    Case {
        roots: Roots::built_in().unwrap().with_private(&root).unwrap(),
        ..case
    }
}

fn image() -> Case {
    let layer = serde_json::from_str(&text("image/nginx.annotations.json")).unwrap();
    let proof = collect::from_cosign_layer(&layer, &bytes("image/nginx.payload")).unwrap();
    let Proof::Cosign { payload, bundle } = proof else {
        panic!("not cosign's")
    };
    let identity =
        "https://github.com/chainguard-images/nginx/.github/workflows/release.yaml@refs/heads/main";
    Case {
        bundle: serde_json::from_str(&bundle).unwrap(),
        digest: sha256("f45669d78bbc90cc03d430a7276425adb013cb229998e79917c0f5d0c6049110"),
        demand: Demand::Image {
            signers: vec![signer(identity, GITHUB)],
            instance: Instance::PublicGood,
        },
        roots: Roots::built_in().unwrap(),
        payload: Some(payload),
    }
}

/// Every text and number of a bundle, by JSON pointer.
pub fn leaves(value: &Value, at: String, into: &mut Vec<String>) {
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
        ("second log", second_log(), 16),
        ("image", image(), 16),
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

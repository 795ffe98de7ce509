//! What the tests of this package share: the vectors, and demands for them.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nodeimg_trust::demand::Build;
use nodeimg_trust::{Artifact, Demand, Instance, Proof, Refusal, Roots, Signer, Vouched, verify};
use nodeimg_values::digest::{Algorithm, Digest};
use serde_json::Value;

/// 2026-11-30: when a lock of these tests was written.
pub const AT: i64 = 1_796_000_000;

/// The identity of sigstore-conformance's cases.
pub const BEACON: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
pub const GITHUB: &str = "https://token.actions.githubusercontent.com";

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name)
}

pub fn bytes(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap()
}

pub fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

pub fn sha256(hex: &str) -> Digest {
    Digest::new(Algorithm::Sha256, hex).unwrap()
}

pub fn signer(identity: &str, issuer: &str) -> Signer {
    Signer::Identity {
        identity: identity.to_string(),
        issuer: issuer.to_string(),
    }
}

pub fn blob(identity: &str, issuer: &str) -> Demand {
    Demand::Blob {
        signers: vec![signer(identity, issuer)],
        instance: Instance::PublicGood,
    }
}

/// A build on a branch, started as the vectors were.
pub fn build(repository: &str, workflow: &str, trigger: &str) -> Build {
    Build {
        git_ref: "refs/heads/main".to_string(),
        triggers: vec![trigger.to_string()],
        ..Build::of_tag(repository, workflow, "unused")
    }
}

/// Judges a proof of an artifact by the roots inside.
pub fn judge(digest: &Digest, demand: &Demand, proof: &Proof) -> Result<Vouched, Box<Refusal>> {
    let artifact = Artifact {
        name: "thing",
        sha256: digest,
        url: None,
        content: None,
    };
    verify(
        &artifact,
        demand,
        Some(proof),
        &Roots::built_in().unwrap(),
        AT,
    )
}

pub fn payload(bundle: &str) -> Option<Value> {
    let bundle: Value = serde_json::from_str(bundle).ok()?;
    let payload = bundle.pointer("/dsseEnvelope/payload")?.as_str()?;
    serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
}

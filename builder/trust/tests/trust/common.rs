//! What the tests of this package share: the vectors, and demands for them.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nodeimg_trust::demand::Build;
use nodeimg_trust::{
    Artifact, Demand, Instance, Proof, Refusal, Roots, Signer, Vouched, collect, verify,
};
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

pub const PY: &str = "ae57936def59bc4c75edd3a837d89bcefc6d3a5e31d55a6fa7a71624f92c3c3b";
pub const REUSABLE: &str = "49a3aa6075e0f49f82843e74b5baa614ad2a588e6675612bf108a0a008c5ac25";
pub const CUSTOM: &str = "afa27b44d43b02a9fea41d13cedc2e4016cfcf87c5dbf990e593669aa8ce286d";

/// The proofs in a file of attestations.
pub fn attested(file: &str) -> Vec<Proof> {
    collect::from_attestations(&bytes(&format!("attestations/{file}"))).unwrap()
}

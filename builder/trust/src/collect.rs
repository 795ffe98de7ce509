//! Proofs from what upstream publishes. Whoever fetches it gives the bytes.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use nodeimg_values::digest::Digest;

use crate::proof::{Answer, Proof};

/// A bundle as published (`FILE.sigstore.json`, a referrer of an image).
pub fn from_bundle(_json: &[u8]) -> Result<Proof> {
    bail!("not written yet")
}

/// The body of `POST REKOR/api/v1/log/entries/retrieve` that asks for the log entry of a
/// `.sig` (base64) and a `.cert` (PEM, or base64 of it) over an artifact.
pub fn rekor_query(_sig: &[u8], _cert: &[u8], _sha256: &Digest) -> Result<String> {
    bail!("not written yet")
}

/// The bundles of a `.sig`, a `.cert` and each entry in the log's answer: candidates for
/// [`crate::first`].
pub fn from_rekor(
    _sig: &[u8],
    _cert: &[u8],
    _answer: &[u8],
    _sha256: &Digest,
) -> Result<Vec<Proof>> {
    bail!("not written yet")
}

/// One layer of `sha256-HEX.sig` in cosign's classic layout: its annotations and the
/// payload, the layer's bytes.
pub fn from_cosign_layer(
    _annotations: &BTreeMap<String, String>,
    _payload: &[u8],
) -> Result<Proof> {
    bail!("not written yet")
}

/// Every bundle of `*.intoto.jsonl`, or of the answer of GitHub's API
/// (`{"attestations": [{"bundle": {...}}]}`): candidates for [`crate::first`].
pub fn from_attestations(_text: &[u8]) -> Result<Vec<Proof>> {
    bail!("not written yet")
}

/// An OpenPGP signature, armored or not; `signed` is the list of sums that it covers, if
/// it does not cover the artifact itself.
pub fn from_openpgp(_signature: &[u8], _signed: Option<&[u8]>) -> Result<Proof> {
    bail!("not written yet")
}

/// What sources say. `text` is what `url` served and has the digest in one of its lines;
/// `name` picks the line if there are several (a list of sums).
pub fn answer(_url: &str, _text: &str, _name: Option<&str>) -> Result<Answer> {
    bail!("not written yet")
}

/// The proof of several answers.
pub fn from_answers(mut answers: Vec<Answer>) -> Proof {
    answers.sort();
    Proof::Sources { answers }
}

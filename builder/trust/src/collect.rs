//! Proofs from what upstream publishes. Whoever fetches it gives the bytes.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::{Algorithm, Digest};
use serde_json::Value;

use crate::proof::{Answer, MAX_PROOF, Proof};
use crate::{openpgp, sigstore, sources};

/// The longest answer that holds several bundles: GitHub sends at most 100 in one.
const MAX_ANSWER: usize = 8 << 20;
/// The longest list of sums: kubespray's has 200 KB.
const MAX_LIST: usize = 8 << 20;
/// The longest line that a proof keeps of a list.
const MAX_LINE: usize = 4096;

/// A bundle as published (`FILE.sigstore.json`, a referrer of an image), or what cosign
/// wrote as one before version 3 (`base64Signature`, `cert`, `rekorBundle`).
pub fn from_bundle(json: &[u8]) -> Result<Proof> {
    sigstore::from_bundle(json)
}

/// The body of `POST REKOR/api/v1/log/entries/retrieve` that asks for the log entry of a
/// `.sig` (base64) and a `.cert` (PEM, or base64 of it) over an artifact.
pub fn rekor_query(sig: &[u8], cert: &[u8], sha256: &Digest) -> Result<String> {
    sigstore::rekor_query(sig, cert, sha256)
}

/// The bundles of a `.sig`, a `.cert` and each entry in the log's answer: candidates for
/// [`crate::first`].
pub fn from_rekor(sig: &[u8], cert: &[u8], answer: &[u8], sha256: &Digest) -> Result<Vec<Proof>> {
    sigstore::from_rekor(sig, cert, answer, sha256)
}

/// One layer of `sha256-HEX.sig` in cosign's classic layout: its annotations and the
/// payload, the layer's bytes.
pub fn from_cosign_layer(annotations: &BTreeMap<String, String>, payload: &[u8]) -> Result<Proof> {
    sigstore::from_cosign_layer(annotations, payload)
}

/// Every bundle of `*.intoto.jsonl`, or of the answer of GitHub's API
/// (`{"attestations": [{"bundle": {...}}]}`): candidates for [`crate::first`]. Attestations
/// whose bundle the API gives only by address are left out.
pub fn from_attestations(text: &[u8]) -> Result<Vec<Proof>> {
    if text.len() > MAX_ANSWER {
        bail!(
            "the attestations have {} bytes, more than {MAX_ANSWER}",
            text.len()
        );
    }
    let text = std::str::from_utf8(text).context("the attestations are not UTF-8")?;
    if let Ok(answer) = serde_json::from_str::<Value>(text)
        && let Some(list) = answer.get("attestations").and_then(Value::as_array)
    {
        let bundles = list.iter().filter_map(|it| it.get("bundle"));
        let bundles = bundles.filter(|it| !it.is_null());
        return bundles
            .map(|it| from_bundle(sorted(it).to_string().as_bytes()))
            .collect();
    }
    // One bundle over several lines, as `cosign` and `gh` write it too.
    if let Ok(proof) = from_bundle(text.as_bytes()) {
        return Ok(vec![proof]);
    }
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            from_bundle(line.as_bytes()).with_context(|| format!("line {}", index + 1))
        })
        .collect()
}

/// The same value with its keys in order, whatever map the JSON library is built with.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, &Value> = map.iter().collect();
            let pairs = ordered.into_iter();
            Value::Object(
                pairs
                    .map(|(key, value)| (key.clone(), sorted(value)))
                    .collect(),
            )
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// An OpenPGP signature, armored or not; `signed` is the list of sums that it covers, if
/// it does not cover the artifact itself. A clear-signed list is its own `signature`.
pub fn from_openpgp(signature: &[u8], signed: Option<&[u8]>) -> Result<Proof> {
    openpgp::proof(signature, signed)
}

/// A list of sums with the proof of a signature over it ([`from_bundle`], [`from_rekor`] with
/// the list's digest): publishers that sign one list instead of each file.
pub fn from_signed_list(list: &[u8], signature: Proof) -> Result<Proof> {
    let Proof::Sigstore { bundle } = signature else {
        bail!("the proof of a list's signature is {}", signature.kind());
    };
    let list = std::str::from_utf8(list).context("the signed list is not text")?;
    if list.len() + bundle.len() > MAX_PROOF {
        bail!(
            "the signed list has {} bytes, too many for a proof",
            list.len()
        );
    }
    Ok(Proof::Sums {
        list: list.to_string(),
        bundle,
    })
}

/// What a source says. `text` is what `url` served and has the SHA-256 in one of its lines;
/// `name` picks the line if there are several (a list of sums).
pub fn answer(url: &str, text: &str, name: Option<&str>) -> Result<Answer> {
    if text.len() > MAX_LIST {
        bail!("{url} has {} bytes, more than {MAX_LIST}", text.len());
    }
    let (line, hex) = sources::line(text, name).with_context(|| match name {
        Some(name) => format!("{url} has no line, or several that differ, with {name}'s SHA-256"),
        None => format!("{url} has no line, or several that differ, with a SHA-256"),
    })?;
    let sha256 = Digest::new(Algorithm::Sha256, &hex)?;
    let says = match line.len() > MAX_LINE {
        true => hex,
        false => line.trim().to_string(),
    };
    Ok(Answer {
        url: url.to_string(),
        says,
        sha256,
    })
}

/// The proof of several answers.
pub fn from_answers(mut answers: Vec<Answer>) -> Result<Proof> {
    answers.sort();
    answers.dedup();
    let proof = Proof::Sources { answers };
    match proof.line()?.len() > MAX_PROOF {
        true => bail!("the answers have more than {MAX_PROOF} bytes"),
        false => Ok(proof),
    }
}

/// An OpenPGP proof with other parties' word for the digest, for a key that has expired.
pub fn backed(proof: Proof, mut more: Vec<Answer>) -> Proof {
    match proof {
        Proof::OpenPgp {
            signature,
            signed,
            mut answers,
        } => {
            answers.append(&mut more);
            answers.sort();
            answers.dedup();
            Proof::OpenPgp {
                signature,
                signed,
                answers,
            }
        }
        other => other,
    }
}

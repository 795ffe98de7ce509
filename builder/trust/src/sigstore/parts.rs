//! Bundles from the parts that upstreams publish without one.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nodeimg_values::digest::{Algorithm, Digest};
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_verify::rekor::LogEntry;
use sigstore_verify::types::{Bundle, DerCertificate, KindVersion};

use crate::proof::{MAX_PROOF, Proof};

const V0_1: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const V0_3: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// A log entry has at most a few KB, an answer at most a handful of them.
const MAX_PART: usize = 256 << 10;

fn bounded<'a>(what: &str, bytes: &'a [u8], most: usize) -> Result<&'a str> {
    if bytes.len() > most {
        bail!("{what} has {} bytes, more than {most}", bytes.len());
    }
    std::str::from_utf8(bytes).with_context(|| format!("{what} is not text"))
}

/// A bundle as published, kept as it is; what cosign wrote before there were bundles is
/// made one.
pub(crate) fn from_bundle(json: &[u8]) -> Result<Proof> {
    let text = bounded("the bundle", json, MAX_PROOF)?.trim();
    let bundle = match serde_json::from_str::<Legacy>(text) {
        Ok(legacy) => legacy.bundle()?,
        Err(_) => {
            let read = Bundle::from_json(text);
            read.map_err(|error| anyhow!("it is not a Sigstore bundle: {error}"))?;
            text.to_string()
        }
    };
    Ok(Proof::Sigstore { bundle })
}

/// What `cosign sign-blob --bundle` wrote until version 3; CRI-O's `FILE.bundle` is one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Legacy {
    base64_signature: String,
    #[serde(default)]
    cert: String,
    rekor_bundle: Promise,
}

impl Legacy {
    fn bundle(&self) -> Result<String> {
        let signature = signature(self.base64_signature.as_bytes())?;
        // Empty, if a bare key signed.
        let material = match self.cert.is_empty() {
            true => json!({"publicKey": {"hint": ""}}),
            false => chain(&certificate(self.cert.as_bytes())?.1),
        };
        let parts = (material, entry(&self.rekor_bundle)?, Vec::new());
        bundle(V0_1, parts, &logged(&self.rekor_bundle)?, &signature)
    }
}

/// The digest that a log's entry is about.
fn logged(promise: &Promise) -> Result<Digest> {
    let body = BASE64.decode(&promise.payload.body);
    let body = body.context("the log entry's body is not base64")?;
    let body: Value =
        serde_json::from_slice(&body).context("the log entry's body cannot be read")?;
    let hex = body
        .pointer("/spec/data/hash/value")
        .and_then(Value::as_str);
    let hex = hex.context("the log entry's body names no digest")?;
    Digest::new(Algorithm::Sha256, hex)
}

/// The base64 text of a `.sig`, checked.
fn signature(sig: &[u8]) -> Result<String> {
    let text = bounded("the signature", sig, MAX_PART)?.trim().to_string();
    BASE64
        .decode(&text)
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .context("the signature is not base64")?;
    Ok(text)
}

/// The PEM text of a `.cert`, which cosign writes as base64 of it.
fn certificate(cert: &[u8]) -> Result<(String, DerCertificate)> {
    let text = bounded("the certificate", cert, MAX_PART)?;
    let pem = match text.contains("-----BEGIN") {
        true => text.to_string(),
        false => {
            let bytes = BASE64.decode(text.trim());
            let bytes = bytes.context("the certificate is neither PEM nor base64 of it")?;
            String::from_utf8(bytes).context("the certificate is not PEM")?
        }
    };
    let der = DerCertificate::from_pem(&pem)
        .map_err(|error| anyhow!("the certificate is not PEM: {error}"))?;
    Ok((pem, der))
}

/// The body that asks Rekor v1 for the entry of a signature
/// (`POST /api/v1/log/entries/retrieve`).
pub(crate) fn rekor_query(sig: &[u8], cert: &[u8], sha256: &Digest) -> Result<String> {
    let signature = signature(sig)?;
    let (pem, _) = certificate(cert)?;
    let body = json!({"entries": [{
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": sha256.hex()}},
            "signature": {
                "content": signature,
                "publicKey": {"content": BASE64.encode(pem)},
            },
        },
    }]});
    Ok(body.to_string())
}

/// The bundle of every entry in Rekor's answer.
pub(crate) fn from_rekor(
    sig: &[u8],
    cert: &[u8],
    answer: &[u8],
    sha256: &Digest,
) -> Result<Vec<Proof>> {
    let signature = signature(sig)?;
    let (_, der) = certificate(cert)?;
    let text = bounded("the log's answer", answer, MAX_PROOF)?;
    let entries: Vec<BTreeMap<String, LogEntry>> =
        serde_json::from_str(text).context("the log's answer cannot be read")?;
    let mut proofs = Vec::new();
    for entry in entries.iter().flat_map(BTreeMap::values) {
        let kind = kind(entry.body.as_bytes())?;
        let entry = entry.to_bundle_entry(kind);
        let entry = entry.map_err(|error| anyhow!("the log's entry cannot be read: {error}"))?;
        // Without a proof of inclusion the log's promise must do: then it is an old bundle.
        let (media_type, material) = match entry.inclusion_proof.is_some() {
            true => (V0_3, json!({"certificate": {"rawBytes": der.to_base64()}})),
            false => (V0_1, chain(&der)),
        };
        let entry = serde_json::to_value(&entry).context("writing a log entry")?;
        let parts = (material, entry, Vec::new());
        proofs.push(bundle(media_type, parts, sha256, &signature)?);
    }
    proofs
        .into_iter()
        .map(|bundle| Ok(Proof::Sigstore { bundle }))
        .collect()
}

fn chain(der: &DerCertificate) -> Value {
    json!({"x509CertificateChain": {"certificates": [{"rawBytes": der.to_base64()}]}})
}

/// The text of a bundle; through the library's type, so that its fields have one order.
fn bundle(
    media_type: &str,
    (material, entry, stamps): (Value, Value, Vec<Value>),
    sha256: &Digest,
    signature: &str,
) -> Result<String> {
    let mut material = material;
    material["tlogEntries"] = json!([entry]);
    material["timestampVerificationData"] = json!({"rfc3161Timestamps": stamps});
    let digest = hex_bytes(sha256.hex())?;
    let whole = json!({
        "mediaType": media_type,
        "verificationMaterial": material,
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": BASE64.encode(digest)},
            "signature": signature,
        },
    });
    let bundle: Bundle = serde_json::from_value(whole).context("the parts make no bundle")?;
    bundle
        .to_json()
        .map_err(|error| anyhow!("writing a bundle: {error}"))
}

/// The kind of entry that a log's body is.
fn kind(body: &[u8]) -> Result<KindVersion> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        kind: String,
        api_version: String,
    }
    let body: Body = serde_json::from_slice(body).context("the log entry's body cannot be read")?;
    let value = json!({"kind": body.kind, "version": body.api_version});
    serde_json::from_value(value).with_context(|| {
        format!(
            "a log entry of the kind {} {} is not known",
            body.kind, body.api_version
        )
    })
}

fn hex_bytes(hex: &str) -> Result<Vec<u8>> {
    let digits = hex.as_bytes();
    if !hex.is_ascii() || !digits.len().is_multiple_of(2) {
        bail!("`{hex}` is not hexadecimal");
    }
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16);
    (0..hex.len())
        .step_by(2)
        .map(|at| pair(at).with_context(|| format!("`{hex}` is not hexadecimal")))
        .collect()
}

/// What the annotation `dev.sigstore.cosign/bundle` has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Promise {
    signed_entry_timestamp: String,
    payload: PromisePayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromisePayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// One signature of an image in cosign's classic layout.
pub(crate) fn from_cosign_layer(
    annotations: &BTreeMap<String, String>,
    payload: &[u8],
) -> Result<Proof> {
    let text = bounded("the signed payload", payload, MAX_PART)?;
    let get = |name: &str| -> Result<&String> {
        let value = annotations.get(name);
        value.with_context(|| format!("the signature's layer has no annotation {name}"))
    };
    let signature = signature(get("dev.cosignproject.cosign/signature")?.as_bytes())?;
    let promise = bounded(
        "the log's promise",
        get("dev.sigstore.cosign/bundle")?.as_bytes(),
        MAX_PART,
    )?;
    let promise: Promise =
        serde_json::from_str(promise).context("the log's promise cannot be read")?;
    let material = match annotations.get("dev.sigstore.cosign/certificate") {
        Some(cert) => chain(&certificate(cert.as_bytes())?.1),
        None => json!({"publicKey": {"hint": ""}}),
    };
    let mut stamps = Vec::new();
    if let Some(stamp) = annotations.get("dev.sigstore.cosign/rfc3161timestamp") {
        let read: Value =
            serde_json::from_str(bounded("the time stamp", stamp.as_bytes(), MAX_PART)?)
                .context("the time stamp cannot be read")?;
        if let Some(token) = read.get("SignedRFC3161Timestamp") {
            stamps.push(json!({"signedTimestamp": token}));
        }
    }
    let entry = entry(&promise)?;
    let digest = Digest::sha256(payload);
    Ok(Proof::Cosign {
        payload: text.to_string(),
        bundle: bundle(V0_1, (material, entry, stamps), &digest, &signature)?,
    })
}

fn entry(promise: &Promise) -> Result<Value> {
    let payload = &promise.payload;
    let body = BASE64
        .decode(&payload.body)
        .context("the log entry's body is not base64")?;
    let kind = kind(&body)?;
    Ok(json!({
        "logIndex": payload.log_index.to_string(),
        "logId": {"keyId": BASE64.encode(hex_bytes(&payload.log_id)?)},
        "kindVersion": kind,
        "integratedTime": payload.integrated_time.to_string(),
        "inclusionPromise": {"signedEntryTimestamp": promise.signed_entry_timestamp},
        "canonicalizedBody": payload.body,
    }))
}

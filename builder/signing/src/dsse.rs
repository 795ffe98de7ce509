//! DSSE: an envelope around a statement and its signature
//! ([protocol](https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md),
//! [envelope](https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md)).

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::certificate::PublicKey;
use crate::signer::Signer;

/// The type of statements about software
/// ([in-toto](https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md)).
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What is signed: type and body, each with its length before it.
pub fn pae(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {kind} {} ", kind.len(), body.len()).into_bytes();
    out.extend(body);
    out
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    /// SHA-256 of the public key.
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// One line of JSON: `body` and its signature. `None` if another machine has yet to sign.
///
/// # Errors
/// Those of [`Signer::sign`].
pub fn sign(signer: &Signer<'_>, what: &str, kind: &str, body: &[u8]) -> Result<Option<String>> {
    let Some(signature) = signer.sign(what, &pae(kind, body))? else {
        return Ok(None);
    };
    let envelope = Envelope {
        payload: STANDARD.encode(body),
        payload_type: kind.to_owned(),
        signatures: vec![Signature {
            keyid: signer.public.fingerprint().hex().to_owned(),
            sig: STANDARD.encode(signature),
        }],
    };
    let line = serde_json::to_string(&envelope).context("writing the envelope")?;
    Ok(Some(line + "\n"))
}

/// The body of an envelope that this key has signed.
///
/// # Errors
/// It is not an envelope, of another type, or no signature in it is by this key.
pub fn verify(envelope: &str, kind: &str, key: &PublicKey) -> Result<Vec<u8>> {
    let envelope: Envelope = serde_json::from_str(envelope).context("it is not a DSSE envelope")?;
    if envelope.payload_type != kind {
        bail!("it holds `{}`, not `{kind}`", envelope.payload_type);
    }
    let body = STANDARD
        .decode(&envelope.payload)
        .context("its payload is not base64")?;
    let message = pae(kind, &body);
    let by_this = envelope.signatures.iter().any(|signature| {
        let bytes = STANDARD.decode(&signature.sig).unwrap_or_default();
        key.has_signed(&message, &bytes)
    });
    match by_this {
        true => Ok(body),
        false => bail!("no signature in it is by the key {}", key.fingerprint()),
    }
}

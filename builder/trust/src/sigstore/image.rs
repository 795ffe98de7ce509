//! Signatures of container images.

use nodeimg_values::digest::Digest;
use serde::Deserialize;

use super::bundle::{Fault, Over, Signed, blob, signed};
use super::root::Root;
use crate::demand::Signer;
use crate::refusal::Why;

/// What cosign 3 signs an image as.
const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// The text that cosign's classic signatures cover
/// (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).
#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// A signature of the image with this digest: classic with a payload, or a bundle.
pub(crate) fn image(
    json: &str,
    payload: Option<&str>,
    sha256: &Digest,
    signers: &[Signer],
    root: &Root,
) -> Result<Signed, Fault> {
    match payload {
        Some(payload) => classic(json, payload, sha256, signers, root),
        None => {
            // A bundle over the manifest's bytes, or cosign's statement about them; other
            // statements of the same signer's (a scan, an SBOM) do not sign it.
            let signed = signed(json, Over::Digest(sha256, None), signers, root)?;
            match &signed.statement {
                Some(statement) if statement.predicate_type() != COSIGN_SIGN => Err(Fault {
                    signed_by: Some(signed.signer.clone()),
                    ..Fault::new(
                        Why::Missing,
                        format!(
                            "the bundle attests {}, which is not a signature of the image",
                            statement.predicate_type()
                        ),
                    )
                }),
                _ => Ok(signed),
            }
        }
    }
}

fn classic(
    json: &str,
    payload: &str,
    sha256: &Digest,
    signers: &[Signer],
    root: &Root,
) -> Result<Signed, Fault> {
    let signed = blob(json, Over::Bytes(payload.as_bytes()), signers, root)?;
    let read: Payload = serde_json::from_str(payload).map_err(|error| {
        Fault::new(
            Why::Damaged,
            format!("the signed payload cannot be read: {error}"),
        )
    })?;
    let fault = if read.critical.kind != "cosign container image signature" {
        format!("the signed payload is a `{}`", read.critical.kind)
    } else if read.critical.image.digest != format!("sha256:{}", sha256.hex()) {
        // `docker-reference` is not looked at: promoted images were signed under other names.
        format!("it signs the image {}", read.critical.image.digest)
    } else {
        return Ok(signed);
    };
    Err(Fault {
        signed_by: Some(signed.signer),
        ..Fault::new(Why::Artifact, fault)
    })
}

//! GitHub's attestation of an immutable release.
//!
//! It says which files the release serves, not how they were built.

use nodeimg_values::digest::Digest;

use super::bundle::{Fault, Over, Signed, signed};
use super::root::Root;
use crate::demand::Signer;
use crate::refusal::Why;

/// Who signs them. The certificate names no OIDC issuer.
pub(crate) const ATTESTER: &str = "https://dotcom.releases.github.com";
/// v0.1 today; v0.2 is announced.
const PREDICATE: &str = "https://in-toto.io/attestation/release/v0.";

pub(crate) fn release(
    json: &str,
    sha256: &Digest,
    repository: &str,
    tag: &str,
    root: &Root,
) -> Result<Signed, Fault> {
    let signers = [Signer::Attester {
        identity: ATTESTER.to_string(),
    }];
    let signed = signed(json, Over::Digest(sha256, None), &signers, root)?;
    let wrong = |why, fault: String| {
        Err(Fault {
            signed_by: Some(ATTESTER.to_string()),
            ..Fault::new(why, fault)
        })
    };
    let Some(statement) = &signed.statement else {
        let fault = "the bundle is a signature, not a release's attestation";
        return wrong(Why::Missing, fault.to_string());
    };
    if !statement.predicate_type().starts_with(PREDICATE) {
        let fault = format!(
            "the attestation is of the type {}, not {PREDICATE}x",
            statement.predicate_type()
        );
        return wrong(Why::Missing, fault);
    }
    let of = statement.text("/predicate/repository").unwrap_or("?");
    let at = statement.text("/predicate/tag").unwrap_or("?");
    if (of, at) != (repository, tag) {
        let fault = format!("it attests the release {at} of {of}, not {tag} of {repository}");
        return wrong(Why::Signer, fault);
    }
    Ok(signed)
}

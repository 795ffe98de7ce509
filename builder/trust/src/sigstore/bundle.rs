//! Judges one bundle by one trusted root, for exact signers.

use std::path::Path;

use nodeimg_values::digest::Digest;
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::crypto::x509::FulcioCiClaims;
use sigstore_verify::types::{
    Artifact as Input, Bundle, DerPublicKey, KindVersion, Sha256Hash, SignatureContent,
};
use sigstore_verify::{
    CertificateError, Error, IdentityMatcher, Policy, PublicKeyVerificationPolicy,
    VerificationPolicy, VerificationResult,
};

use super::root::Root;
use super::statement::Statement;
use crate::demand::Signer;
use crate::proof::MAX_PROOF;
use crate::refusal::Why;

/// A fault before it is known whose artifact it is about.
pub(crate) struct Fault {
    pub why: Why,
    pub fault: String,
    pub signed_by: Option<String>,
}

impl Fault {
    pub fn new(why: Why, fault: impl Into<String>) -> Fault {
        Fault {
            why,
            fault: fault.into(),
            signed_by: None,
        }
    }
}

/// What a signature must be over.
#[derive(Clone, Copy)]
pub(crate) enum Over<'a> {
    Bytes(&'a [u8]),
    /// A digest, and the file that has it, for the keys that sign no digest.
    Digest(&'a Digest, Option<&'a Path>),
}

/// A signature that holds.
pub(crate) struct Signed {
    pub signer: String,
    pub issuer: Option<String>,
    pub signed_at: Option<i64>,
    pub log_index: Option<u64>,
    pub claims: FulcioCiClaims,
    /// The statement, of an attestation.
    pub statement: Option<Statement>,
}

/// A signature over bytes.
pub(crate) fn blob(
    json: &str,
    over: Over<'_>,
    signers: &[Signer],
    root: &Root,
) -> Result<Signed, Fault> {
    let signed = signed(json, over, signers, root)?;
    match signed.statement {
        None => Ok(signed),
        Some(statement) => Err(Fault {
            signed_by: Some(signed.signer),
            ..Fault::new(
                Why::Missing,
                format!(
                    "the bundle is an attestation ({}), not a signature of the file",
                    statement.predicate_type()
                ),
            )
        }),
    }
}

/// An attestation with this predicate type.
pub(crate) fn attestation(
    json: &str,
    over: Over<'_>,
    signers: &[Signer],
    predicate_type: &str,
    root: &Root,
) -> Result<(Signed, Statement), Fault> {
    let mut signed = signed(json, over, signers, root)?;
    let Some(statement) = signed.statement.take() else {
        return Err(Fault {
            signed_by: Some(signed.signer),
            ..Fault::new(
                Why::Missing,
                "the bundle is a signature, not an attestation",
            )
        });
    };
    if statement.predicate_type() != predicate_type {
        let fault = format!(
            "the attestation is of the type {}, not {predicate_type}",
            statement.predicate_type()
        );
        return Err(Fault {
            signed_by: Some(signed.signer),
            ..Fault::new(Why::Missing, fault)
        });
    }
    Ok((signed, statement))
}

/// The statement that a bundle holds, before anybody vouches for it.
pub(crate) fn payload(json: &str) -> Result<Vec<u8>, Fault> {
    match bundle(json)?.content {
        SignatureContent::DsseEnvelope(envelope) => Ok(envelope.payload.as_bytes().to_vec()),
        _ => Err(Fault::new(
            Why::Missing,
            "the bundle is a signature, not an attestation",
        )),
    }
}

fn bundle(json: &str) -> Result<Bundle, Fault> {
    if json.len() > MAX_PROOF {
        let fault = format!("the bundle has {} bytes, more than {MAX_PROOF}", json.len());
        return Err(Fault::new(Why::Damaged, fault));
    }
    Bundle::from_json(json)
        .map_err(|error| Fault::new(Why::Damaged, format!("the bundle cannot be read: {error}")))
}

/// A bundle that holds, whatever its content.
pub(crate) fn signed(
    json: &str,
    over: Over<'_>,
    signers: &[Signer],
    root: &Root,
) -> Result<Signed, Fault> {
    let bundle = bundle(json)?;
    let claimed = claimed(&bundle);
    let policy = policy(signers, claimed.as_ref(), &bundle, root)?;
    let result = run(&bundle, over, policy.as_ref(), root);
    let result = result.map_err(|error| Fault {
        signed_by: claimed.map(|(identity, issuer)| with_issuer(&identity, issuer.as_deref())),
        ..fault_of(&error)
    })?;
    repeated(&bundle, root)?;
    let statement = match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => {
            let statement = Statement::read(envelope.payload.as_bytes());
            Some(statement.map_err(|fault| Fault::new(Why::Damaged, fault))?)
        }
        _ => None,
    };
    Ok(outcome(&result, &bundle, signers, statement))
}

/// What an entry of Rekor 2 repeats of its signed checkpoint must be the same: the library
/// goes by the checkpoint alone, and a bundle has no byte that nobody looks at.
fn repeated(bundle: &Bundle, root: &Root) -> Result<(), Fault> {
    for entry in &bundle.verification_material.tlog_entries {
        let second = entry.kind_version == KindVersion::HashedRekordV002;
        let (Some(proof), true, true) = (&entry.inclusion_proof, second, root.logs) else {
            continue;
        };
        let checkpoint = proof.checkpoint.checkpoint();
        let same = checkpoint.is_some_and(|signed| {
            *signed.root_hash() == proof.root_hash && signed.tree_size() == proof.tree_size
        });
        let known = root.has_log(entry.log_id.key_id.as_bytes());
        if !(same && known && proof.log_index == entry.log_index) {
            let fault = "the log's entry does not say what its signed checkpoint says";
            return Err(Fault::new(Why::Damaged, fault));
        }
    }
    Ok(())
}

fn run(
    bundle: &Bundle,
    over: Over<'_>,
    policy: &dyn Policy,
    root: &Root,
) -> Result<VerificationResult, Error> {
    match over {
        Over::Bytes(bytes) => root
            .verifier
            .verify(Input::from_blob(bytes), bundle, policy),
        Over::Digest(digest, file) => {
            let hash = Sha256Hash::from_hex(digest.hex())?;
            let result = root.verifier.verify(hash, bundle, policy);
            match (result, file) {
                // Ed25519, other digests than SHA-256 and statements that name only those
                // need the bytes themselves.
                (Err(Error::UnsupportedArtifact(_) | Error::ArtifactMismatch(_)), Some(file)) => {
                    let bytes = std::fs::read(file).map_err(Error::ArtifactRead)?;
                    if Digest::sha256(&bytes) != *digest {
                        let text = "the file does not have the artifact's digest".to_string();
                        return Err(Error::ArtifactMismatch(text));
                    }
                    root.verifier.verify(bytes.as_slice(), bundle, policy)
                }
                (result, _) => result,
            }
        }
    }
}

/// The identity and issuer that the certificate states, before anything vouches for it.
fn claimed(bundle: &Bundle) -> Option<(String, Option<String>)> {
    let info = parse_certificate_info(bundle.signing_certificate()?).ok()?;
    Some((info.identity?.as_str().to_string(), info.issuer))
}

/// The policy for the demanded signer that the bundle may be of; for the first one if it
/// is of none, so that the library says what it has instead.
fn policy(
    signers: &[Signer],
    claimed: Option<&(String, Option<String>)>,
    bundle: &Bundle,
    root: &Root,
) -> Result<Box<dyn Policy>, Fault> {
    let is_certificate = bundle.signing_certificate().is_some();
    let mut of_kind = signers.iter().filter(|signer| match signer {
        Signer::Key { .. } => !is_certificate,
        _ => is_certificate,
    });
    let first = of_kind.clone().next();
    let matching = of_kind.find(|signer| match (signer, claimed) {
        (Signer::Identity { identity, issuer }, Some((who, by))) => {
            identity == who && Some(issuer) == by.as_ref()
        }
        (Signer::Attester { identity }, Some((who, _))) => identity == who,
        _ => false,
    });
    match matching.or(first) {
        Some(Signer::Identity { identity, issuer }) => Ok(Box::new(certificate(
            VerificationPolicy::new(matcher(identity), issuer),
            root,
        ))),
        Some(Signer::Attester { identity }) => Ok(Box::new(certificate(
            VerificationPolicy::any_identity().require_identity(matcher(identity)),
            root,
        ))),
        Some(Signer::Key { pem }) => {
            let key = DerPublicKey::from_pem(pem)
                .map_err(|error| Fault::new(Why::Root, format!("the demanded key: {error}")))?;
            let policy = PublicKeyVerificationPolicy::new(key);
            Ok(Box::new(match root.logs {
                true => policy,
                false => policy.skip_tlog_unsafe(),
            }))
        }
        None if is_certificate => Err(Fault {
            signed_by: claimed.map(|(who, by)| with_issuer(who, by.as_deref())),
            ..Fault::new(Why::Signer, "a certificate signed it, not the demanded key")
        }),
        None => Err(Fault::new(
            Why::Signer,
            "a bare public key signed it, not a certificate with the demanded identity",
        )),
    }
}

/// What a root does not list cannot be demanded; what it lists is never waived.
fn certificate(policy: VerificationPolicy, root: &Root) -> VerificationPolicy {
    let policy = match root.logs {
        true => policy,
        false => policy.skip_tlog_unsafe(),
    };
    match root.certificate_logs {
        true => policy,
        false => policy.skip_sct(),
    }
}

fn matcher(identity: &str) -> IdentityMatcher {
    match identity.contains("://") {
        true => IdentityMatcher::Uri(identity.to_string()),
        false => IdentityMatcher::Email(identity.to_string()),
    }
}

pub(crate) fn with_issuer(identity: &str, issuer: Option<&str>) -> String {
    match issuer {
        Some(issuer) => format!("{identity} (issuer {issuer})"),
        None => identity.to_string(),
    }
}

fn outcome(
    result: &VerificationResult,
    bundle: &Bundle,
    signers: &[Signer],
    statement: Option<Statement>,
) -> Signed {
    let signer = match result.identity() {
        Some(identity) => identity.as_str().to_string(),
        None => key_name(bundle, signers),
    };
    let times = result.verified_timestamps().iter();
    let entry = bundle.verification_material.tlog_entries.first();
    Signed {
        signer,
        issuer: result.issuer().map(str::to_string),
        signed_at: times.map(|time| time.as_second()).min(),
        log_index: entry.map(|entry| entry.log_index.get()),
        claims: result
            .certificate()
            .map(|it| it.ci_claims.clone())
            .unwrap_or_default(),
        statement,
    }
}

/// A bare key has no name; its digest is one.
fn key_name(bundle: &Bundle, signers: &[Signer]) -> String {
    let key = signers.iter().find_map(|signer| match signer {
        Signer::Key { pem } if bundle.signing_certificate().is_none() => {
            DerPublicKey::from_pem(pem).ok()
        }
        _ => None,
    });
    match key {
        Some(key) => format!("key {}", Digest::sha256(key.as_bytes())),
        None => "unknown".to_string(),
    }
}

fn fault_of(error: &Error) -> Fault {
    let (why, text) = match error {
        Error::IdentityMismatch { .. } => (Why::Signer, "somebody else signed it".to_string()),
        Error::IssuerMismatch { .. } => (
            Why::Signer,
            "another issuer vouches for the signer".to_string(),
        ),
        Error::ArtifactMismatch(_) => (
            Why::Artifact,
            format!("the proof is about other bytes: {error}"),
        ),
        Error::Certificate(
            CertificateError::Expired { .. }
            | CertificateError::NotYetValid { .. }
            | CertificateError::NoValidAuthority { .. },
        ) => (Why::Expired, error.to_string()),
        Error::InvalidBundle(_) | Error::Types(_) | Error::Bundle(_) => {
            (Why::Damaged, error.to_string())
        }
        Error::InvalidTrustRoot(_) | Error::TrustRoot(_) | Error::TrustedCertificate(_) => {
            (Why::Root, error.to_string())
        }
        Error::ArtifactRead(_) | Error::UnsupportedArtifact(_) => (Why::Content, error.to_string()),
        _ => (Why::Invalid, error.to_string()),
    };
    Fault::new(why, text)
}

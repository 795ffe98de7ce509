//! What a proof says once it is verified.

use nodeimg_values::digest::Digest;
use serde::{Deserialize, Serialize};

/// By what kind of evidence an artifact is vouched for, the weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Nobody: the bytes are those that were there when the lock was written.
    None,
    /// Several parties that do not depend on each other name the same digest.
    Sources,
    /// GitHub signed what a release holds: it says what is served, not how it was built.
    Release,
    /// An OpenPGP key of upstream's.
    OpenPgp,
    /// A Sigstore signature or attestation.
    Sigstore,
}

impl How {
    /// The word that a lock and messages have.
    pub fn word(self) -> &'static str {
        match self {
            How::None => "none",
            How::Sources => "sources",
            How::Release => "release",
            How::OpenPgp => "openpgp",
            How::Sigstore => "sigstore",
        }
    }
}

/// Who vouches for an artifact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Vouched {
    pub how: How,
    /// The identity of the certificate, `key sha256:...` of a bare public key, the primary
    /// key's fingerprint, the sources' names separated by ", ", or the reason why nobody.
    pub signer: String,
    /// Who vouches for the signer's identity: the OIDC issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Unix seconds: by a log or a time stamp authority, or as an OpenPGP signature states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<i64>,
    /// The number of the signature's entry in the transparency log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u64>,
    /// `https://github.com/OWNER/NAME@COMMIT` that it was built from, if attested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The digest of the trusted root or of the keyring that judged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    /// Other parties whose word for the digest an expired key needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backed_by: Vec<String>,
}

//! Who vouches for what a lock pins, as it was verified when that was pinned.
//!
//! ```toml
//! verified = "sigstore"      # or openpgp, release, sources; "none": nobody, though asked
//! signer = "krel@example"    # an identity, a key's fingerprint, the sources
//! issuer = "https://…"       # who vouches for that identity
//! signed_at = 1790000000     # seconds since 1970
//! log_index = 1234           # of the signature's entry in the log
//! checked_at = 1790000000    # of an OpenPGP key: when it was valid
//! source = "https://…@…"     # repository and commit, if attested
//! backed_by = ["…"]          # others' word for the digest, if that key has expired
//! root = "sha256:…"          # of the trusted root or keyring that judged it
//! proof = "sha256:…"         # of its line in FILE.proofs
//! ```
//! Locks of before these keys have none of them: nobody was asked.

use anyhow::{Result, ensure};
use nodeimg_trust::{How, Vouched};
use nodeimg_values::date::Date;
use nodeimg_values::digest::{Algorithm, Digest};
use serde::{Deserialize, Serialize};

/// Who vouches for the bytes of a pin.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Vouch {
    /// `None` if nobody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<How>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u64>,
    /// Seconds since 1970: keys of OpenPGP may expire later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backed_by: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Digest>,
}

impl Vouch {
    /// Of what was verified at `at` (seconds since 1970) by the proof with this digest.
    pub fn of(vouched: Vouched, proof: Digest, at: i64) -> Vouch {
        Vouch {
            verified: Some(vouched.how),
            signer: Some(vouched.signer),
            issuer: vouched.issuer,
            signed_at: vouched.signed_at,
            log_index: vouched.log_index,
            checked_at: (vouched.how == How::OpenPgp).then_some(at),
            source: vouched.source,
            backed_by: vouched.backed_by,
            root: vouched.root,
            proof: Some(proof),
        }
    }

    /// Nobody vouches, though the recipe was asked who does.
    pub fn nobody() -> Vouch {
        Vouch {
            verified: Some(How::None),
            ..Vouch::default()
        }
    }

    pub fn how(&self) -> How {
        self.verified.unwrap_or(How::None)
    }

    /// By name, what bills of materials and the provenance say of it; nothing if nobody
    /// vouches. Times are as RFC 3339 writes them.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let Some(proof) = &self.proof else {
            return Vec::new();
        };
        let signed_at = self.signed_at.and_then(|at| u64::try_from(at).ok());
        let all = [
            ("nodeimg:verified", Some(self.how().word().to_owned())),
            ("nodeimg:signer", self.signer.clone()),
            ("nodeimg:issuer", self.issuer.clone()),
            ("nodeimg:signedAt", signed_at.map(|at| Date(at).rfc3339())),
            (
                "nodeimg:logIndex",
                self.log_index.map(|index| index.to_string()),
            ),
            ("nodeimg:source", self.source.clone()),
            (
                "nodeimg:backedBy",
                (!self.backed_by.is_empty()).then(|| self.backed_by.join(", ")),
            ),
            ("nodeimg:proof", Some(proof.to_string())),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    /// # Errors
    /// It is not what this program writes.
    pub(super) fn check(&self) -> Result<()> {
        let vouched = self.how() != How::None;
        ensure!(
            vouched == self.proof.is_some() && vouched == self.signer.is_some(),
            "its `verified`, `signer` and `proof` do not go together"
        );
        let proof = self.proof.iter();
        ensure!(
            proof
                .chain(&self.root)
                .all(|d| d.algorithm() == Algorithm::Sha256),
            "its `proof` and `root` are SHA-256 digests"
        );
        Ok(())
    }
}

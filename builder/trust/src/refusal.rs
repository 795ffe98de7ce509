//! Why a proof does not vouch for an artifact, in words for the one who must act.

use std::fmt;

/// What kind of fault a [`Refusal`] is, for a program that reads it. In the order in which
/// they say more of the artifact than those before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// No proof, or one of another kind than what is demanded.
    Missing,
    /// The proof cannot be read: cut, changed or too long.
    Damaged,
    /// The trusted root or keyring itself cannot be used.
    Root,
    /// The artifact's bytes are needed and cannot be read.
    Content,
    /// The signature, certificate, time stamp or log entry does not hold.
    Invalid,
    /// It is about other bytes than the artifact's.
    Artifact,
    /// Somebody else signed it, or another build.
    Signer,
    /// Fewer independent sources than demanded, or sources that disagree.
    Sources,
    /// The key or certificate was not valid at the time that counts, or is revoked.
    Expired,
}

/// A proof that was not accepted: which artifact, what is wrong, who signed, who should
/// have, what to do.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Refusal {
    pub why: Why,
    /// The artifact's name.
    pub artifact: String,
    /// What is wrong, without the artifact's name; no final period.
    pub fault: String,
    /// Who signed, if the proof says so. It may be a claim that nobody vouches for.
    pub signed_by: Option<String>,
    /// Who should have.
    pub demanded: String,
    /// What to do; no final period.
    pub help: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.artifact, self.fault)?;
        match &self.signed_by {
            Some(signer) => write!(f, "\n  signed by: {signer}")?,
            None => write!(f, "\n  signed by: unknown")?,
        }
        write!(f, "\n  must be:   {}", self.demanded)?;
        write!(f, "\n  help: {}", self.help)
    }
}

impl std::error::Error for Refusal {}

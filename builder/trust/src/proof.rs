//! Proofs as they are kept beside a lock: JSON lines, sorted by digest.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::Digest;
use serde::{Deserialize, Serialize};

/// The longest line that is read, in bytes. Bundles have 4 to 20 KB, an attestation of a
/// release with hundreds of assets 200 KB.
pub const MAX_PROOF: usize = 1 << 20;
/// The longest file of proofs, in bytes.
pub const MAX_FILE: usize = 64 << 20;

/// What upstream published about an artifact, kept to be verified again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Proof {
    /// A Sigstore bundle: over the artifact's bytes, or a statement that names its digest.
    Sigstore {
        /// The bundle's JSON text.
        bundle: String,
    },
    /// A signature of a container image in cosign's classic layout.
    Cosign {
        /// The signed text, which names the image's digest.
        payload: String,
        /// The bundle over `payload`.
        bundle: String,
    },
    /// A Sigstore signature of a list of sums that names the artifact's digest.
    Sums {
        /// The list, as signed.
        list: String,
        /// The bundle over `list`.
        bundle: String,
    },
    /// An OpenPGP signature.
    OpenPgp {
        /// Armored: detached, or clear-signed with the sums in it.
        signature: String,
        /// The list of sums that a detached signature covers; without it the signature
        /// covers the artifact's own bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<String>,
        /// Another party's word for the digest, for a key that has expired since.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        answers: Vec<Answer>,
    },
    /// What independent sources say the digest is.
    Sources { answers: Vec<Answer> },
}

/// One source's word for a digest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Where it was read; with a commit, if it is a file in a repository.
    pub url: String,
    /// The line that has the digest, as served.
    pub says: String,
    pub sha256: Digest,
}

impl Proof {
    /// What messages call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Proof::Sigstore { .. } => "a Sigstore bundle",
            Proof::Cosign { .. } => "a cosign signature of an image",
            Proof::Sums { .. } => "a signed list of sums",
            Proof::OpenPgp { .. } => "an OpenPGP signature",
            Proof::Sources { .. } => "a list of sources",
        }
    }

    /// The line in the file of proofs, without its end.
    pub fn line(&self) -> Result<String> {
        serde_json::to_string(self).context("writing a proof")
    }

    /// What a lock names it by: the digest of its line.
    pub fn digest(&self) -> Result<Digest> {
        Ok(Digest::sha256(self.line()?.as_bytes()))
    }

    /// Reads one line.
    pub fn parse(line: &str) -> Result<Proof> {
        if line.len() > MAX_PROOF {
            bail!("the proof has {} bytes, more than {MAX_PROOF}", line.len());
        }
        serde_json::from_str(line).context("the line is not a proof")
    }
}

/// The text of a file of proofs: each once, in the order of their digests.
pub fn write<'a>(proofs: impl IntoIterator<Item = &'a Proof>) -> Result<String> {
    let mut lines = BTreeMap::new();
    for proof in proofs {
        lines.insert(proof.digest()?, proof.line()?);
    }
    Ok(lines.into_values().map(|line| line + "\n").collect())
}

/// Reads a file of proofs: by digest. An error names the line.
pub fn read(text: &str) -> Result<BTreeMap<Digest, Proof>> {
    if text.len() > MAX_FILE {
        bail!("the file has {} bytes, more than {MAX_FILE}", text.len());
    }
    let mut proofs = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let proof = Proof::parse(line).with_context(|| format!("line {}", index + 1))?;
        // The very line: another spelling of the same proof has another digest.
        proofs.insert(Digest::sha256(line.as_bytes()), proof);
    }
    Ok(proofs)
}

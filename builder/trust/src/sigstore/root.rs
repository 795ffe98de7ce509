//! One trusted root and the rules that follow from what it lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::Digest;
use sigstore_verify::Verifier;
use sigstore_verify::trust_root::TrustedRoot;

use super::crypto;

/// Longer files are not read: the longest that is published has 32 KB.
const MAX_ROOT: usize = 4 << 20;

/// A trusted root, ready to judge.
#[derive(Clone)]
pub struct Root {
    pub digest: Digest,
    pub verifier: Arc<Verifier>,
    /// Whether it lists logs: then each signature must be in one.
    pub logs: bool,
    /// Whether it lists logs of certificates: then each certificate must be in one.
    pub certificate_logs: bool,
    /// The key IDs of the logs.
    log_ids: BTreeSet<Vec<u8>>,
    /// When its newest authority or log began, as its file has it (RFC 3339).
    pub newest: Option<String>,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Root({:?})", self.digest)
    }
}

impl Root {
    /// Whether it lists the log with this key ID.
    pub fn has_log(&self, id: &[u8]) -> bool {
        self.log_ids.contains(id)
    }

    /// Reads a `trusted_root.json`.
    pub fn read(json: &[u8]) -> Result<Root> {
        crypto::install();
        if json.len() > MAX_ROOT {
            bail!(
                "the trusted root has {} bytes, more than {MAX_ROOT}",
                json.len()
            );
        }
        let text = std::str::from_utf8(json).context("the trusted root is not UTF-8")?;
        let root = TrustedRoot::from_json(text)
            .map_err(anyhow::Error::new)
            .context("the file is not a Sigstore trusted root (trusted_root.json)")?;
        if root.certificate_authorities.is_empty() && root.tlogs.is_empty() {
            bail!("the trusted root lists no certificate authority and no log");
        }
        if root.tlogs.is_empty() && root.timestamp_authorities.is_empty() {
            bail!("the trusted root lists neither a log nor a time stamp authority");
        }
        let verifier = Verifier::new(&root)
            .map_err(anyhow::Error::new)
            .context("the trusted root cannot be used")?;
        let ids = root.tlogs.iter().map(|log| log.log_id.key_id.as_bytes());
        Ok(Root {
            digest: Digest::sha256(json),
            verifier: Arc::new(verifier),
            newest: newest(text),
            log_ids: ids.map(<[u8]>::to_vec).collect(),
            logs: !root.tlogs.is_empty(),
            certificate_logs: !root.ctlogs.is_empty(),
        })
    }
}

/// The latest time at which something that the root lists became valid.
fn newest(text: &str) -> Option<String> {
    let root: serde_json::Value = serde_json::from_str(text).ok()?;
    let kinds = [
        "certificateAuthorities",
        "tlogs",
        "ctlogs",
        "timestampAuthorities",
    ];
    let all = kinds.iter().filter_map(|kind| root.get(kind)?.as_array());
    let starts = all.flatten().filter_map(|one| {
        let valid = one.get("validFor").or(one.pointer("/publicKey/validFor"))?;
        valid.get("start")?.as_str()
    });
    starts.max().map(str::to_string)
}

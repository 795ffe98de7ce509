//! The signatures of a build, one after the other until one is good.
//!
//! ```text
//! SHA256SUMS.sig             over SHA256SUMS, by a key                (nodeimg sign)
//! SHA256SUMS.sigstore.json   over SHA256SUMS, by an identity or a key (cosign sign-blob)
//! *.intoto.jsonl             DSSE of a statement, by a key            (nodeimg sign)
//!                            or a bundle, by an identity              (cosign, actions/attest)
//! ```
//! Whichever is good first says what the files must be: the sums, or the statement's subjects.

use anyhow::{Context, Result};
use nodeimg_signing::certificate::PublicKey;
use nodeimg_signing::dsse;
use nodeimg_trust::demand::SLSA_PROVENANCE;
use nodeimg_trust::{Artifact, Demand, Instance, Proof, Signer, collect};
use nodeimg_values::atomic::CHECKSUMS;
use nodeimg_values::digest::Digest;

use super::signature::parse;
use crate::output::provenance;
use crate::output::sign::{SIGNATURE, SIGNED};
use crate::verify::known::{Known, Sums};
use crate::verify::policy::{Anchor, Policy};
use crate::verify::source::Source;
use crate::verify::statement::Statement;
use crate::verify::step::Fault;

/// What cosign writes beside the sums.
const BUNDLE: &str = "SHA256SUMS.sigstore.json";
/// Where attestations may be; in a directory every name that ends so.
const ATTESTATIONS: [&str; 3] = [
    SIGNED,
    "provenance.sigstore.json",
    "SHA256SUMS.intoto.jsonl",
];
const ABSENT: &str = "it is not there";
const ENDINGS: [&str; 2] = [".intoto.jsonl", ".sigstore.json"];

/// What was signed.
pub(super) struct Found {
    /// `SHA256SUMS is signed by`.
    pub what: String,
    /// Whom.
    pub by: String,
    pub sums: Sums,
    pub is_by_sums: bool,
}

/// The signatures under way.
pub(super) struct Tried<'a> {
    policy: &'a Policy,
    source: &'a Source<'a>,
    /// Of SHA256SUMS.
    text: Option<&'a [u8]>,
    /// What was not good, and why.
    refused: Vec<String>,
}

impl<'a> Tried<'a> {
    pub fn new(policy: &'a Policy, source: &'a Source<'a>, text: Option<&'a [u8]>) -> Tried<'a> {
        Tried {
            policy,
            source,
            text,
            refused: Vec::new(),
        }
    }

    /// Whether there is neither a list nor anything signed.
    pub fn is_nothing(&self) -> bool {
        let absent = |line: &String| line.ends_with(ABSENT);
        self.text.is_none() && self.refused.iter().all(absent)
    }

    /// Signatures that are there and were tried, and did not vouch for anything.
    pub fn others(&self) -> impl Iterator<Item = &String> {
        self.refused.iter().filter(|line| !line.ends_with(ABSENT))
    }

    /// The first that is good.
    pub fn first(&mut self) -> Result<Option<Found>> {
        if let Some(text) = self.text {
            for by in [Tried::by_key, Tried::by_bundle] {
                if let Some(by) = by(self, text) {
                    return Ok(Some(Found {
                        what: format!("{CHECKSUMS} is signed by"),
                        by,
                        // Nothing of it is read before this.
                        sums: parse(text)?,
                        is_by_sums: true,
                    }));
                }
            }
        }
        for name in self.attestations()? {
            if let Some(found) = self.by_statement(&name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A signature; that it cannot be read is told with the others.
    fn get(&mut self, name: &str) -> Option<Vec<u8>> {
        match self.source.small(name) {
            Ok(Some(bytes)) => Some(bytes),
            Ok(None) => {
                self.refused.push(format!("{name}: {ABSENT}"));
                None
            }
            Err(error) => {
                self.refused.push(format!("{name}: {error:#}"));
                None
            }
        }
    }

    /// `SHA256SUMS.sig`.
    fn by_key(&mut self, text: &[u8]) -> Option<String> {
        let keys = keys(self.policy);
        if keys.is_empty() {
            return None;
        }
        let keys: Vec<(String, PublicKey)> = keys
            .into_iter()
            .map(|(anchor, key)| (anchor.to_string(), key.clone()))
            .collect();
        let signature = self.get(SIGNATURE)?;
        let by = keys
            .iter()
            .find(|(_, key)| key.has_signed(text, &signature));
        if by.is_none() {
            let why = match signature.is_empty() {
                true => "it is empty",
                false => {
                    "it is not a signature of SHA256SUMS by that key: another key signed, or \
                     either file was changed"
                }
            };
            self.refused.push(format!("{SIGNATURE}: {why}"));
        }
        by.map(|(anchor, _)| anchor.clone())
    }

    /// `SHA256SUMS.sigstore.json`.
    fn by_bundle(&mut self, text: &[u8]) -> Option<String> {
        let bytes = self.get(BUNDLE)?;
        let proof = match collect::from_bundle(&bytes) {
            Ok(proof) => proof,
            Err(error) => {
                self.refused.push(format!("{BUNDLE}: {error:#}"));
                return None;
            }
        };
        let sha256 = Digest::sha256(text);
        let artifact = Artifact {
            name: CHECKSUMS,
            sha256: &sha256,
            url: None,
            content: None,
        };
        let mut refused = Vec::new();
        for (signers, instance) in signers(self.policy) {
            let demand = Demand::Blob { signers, instance };
            match nodeimg_trust::verify(&artifact, &demand, Some(&proof), &self.policy.roots, 0) {
                Ok(vouched) => return Some(said(&vouched)),
                Err(refusal) => refused.push(why(BUNDLE, &refusal)),
            }
        }
        self.refused.extend(refused);
        None
    }

    /// A statement in an envelope of a key, or in bundles.
    fn by_statement(&mut self, name: &str) -> Result<Option<Found>> {
        let Some(bytes) = self.get(name) else {
            return Ok(None);
        };
        let found = match envelope(&bytes) {
            Some(text) => self.by_envelope(name, text),
            None => self.by_attestations(name, &bytes),
        };
        let Some((payload, by)) = found else {
            return Ok(None);
        };
        let statement = Statement::parse(&payload).with_context(|| format!("reading {name}"))?;
        let mut sums = statement
            .sums()
            .with_context(|| format!("reading {name}"))?;
        // The statement cannot name itself.
        if statement.is_own() {
            sums.insert(provenance::FILE.to_owned(), Digest::sha256(&payload));
        }
        Ok(Some(Found {
            what: format!("the statement in {name}, which names every file, is signed by"),
            by,
            sums,
            is_by_sums: false,
        }))
    }

    fn by_envelope(&mut self, name: &str, text: &str) -> Option<(Vec<u8>, String)> {
        let policy = self.policy;
        for (anchor, key) in keys(policy) {
            match dsse::verify(text, dsse::IN_TOTO, key) {
                Ok(body) => return Some((body, anchor.to_string())),
                Err(error) => self.refused.push(format!("{name}: {error:#}")),
            }
        }
        None
    }

    fn by_attestations(&mut self, name: &str, bytes: &[u8]) -> Option<(Vec<u8>, String)> {
        let proofs = match collect::from_attestations(bytes) {
            Ok(proofs) => proofs,
            Err(error) => {
                self.refused.push(format!("{name}: {error:#}"));
                return None;
            }
        };
        for (signers, instance) in signers(self.policy) {
            let demand = Demand::Attestation {
                signers,
                predicate_type: SLSA_PROVENANCE.to_owned(),
                instance,
            };
            for proof in &proofs {
                let Proof::Sigstore { bundle } = proof else {
                    continue;
                };
                match nodeimg_trust::statement(name, &demand, bundle, &self.policy.roots) {
                    Ok((payload, vouched)) => return Some((payload, said(&vouched))),
                    Err(refusal) => self.refused.push(why(name, &refusal)),
                }
            }
        }
        None
    }

    fn attestations(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = ATTESTATIONS.map(str::to_owned).into();
        for name in self.source.names()?.unwrap_or_default() {
            let is_one = ENDINGS.iter().any(|end| name.ends_with(end));
            if is_one && name != BUNDLE && !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    pub fn fault(self, known: &Known) -> Fault {
        let mut refused = self.refused;
        if self.text.is_none() {
            refused.insert(0, format!("{CHECKSUMS}: {ABSENT}"));
        }
        refused.dedup();
        let trusted: Vec<String> = self.policy.anchors.iter().map(Anchor::to_string).collect();
        let what = format!(
            "nothing here is signed by {}\n  {}",
            trusted.join(" or "),
            refused.join("\n  ")
        );
        Fault::new(what).at(known.shown()).help(
            "fetch the files and their signature again from the publisher, and compare the key or \
             identity with the one that the publisher announces; until then do not use the image",
        )
    }
}

/// The text of an envelope of one's own key; a bundle of Sigstore's has more around it.
pub(super) fn envelope(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value.get("payloadType").map(|_| text)
}

pub(super) fn keys(policy: &Policy) -> Vec<(&Anchor, &PublicKey)> {
    let keys = policy.anchors.iter().filter_map(|anchor| match anchor {
        Anchor::Key(_, key) => Some((anchor, key)),
        Anchor::Identity { .. } => None,
    });
    keys.collect()
}

/// Each anchor as a signer of a bundle.
fn signers(policy: &Policy) -> Vec<(Vec<Signer>, Instance)> {
    let signer = |anchor: &Anchor| match anchor {
        Anchor::Key(_, key) => {
            let own = policy.roots.digest(Instance::Private).is_some();
            let instance = if own {
                Instance::Private
            } else {
                Instance::PublicGood
            };
            (vec![Signer::Key { pem: key.pem() }], instance)
        }
        Anchor::Identity {
            identity,
            issuer,
            instance,
        } => {
            let signer = Signer::Identity {
                identity: identity.clone(),
                issuer: issuer.clone(),
            };
            (vec![signer], *instance)
        }
    };
    policy.anchors.iter().map(signer).collect()
}

fn said(vouched: &nodeimg_trust::Vouched) -> String {
    let mut text = vouched.signer.clone();
    if let Some(issuer) = &vouched.issuer {
        text = format!("{text} (issuer {issuer})");
    }
    if let Some(at) = vouched.signed_at.and_then(|at| u64::try_from(at).ok()) {
        text = format!("{text}, at {}", crate::verify::upstream::time(at));
    }
    match &vouched.source {
        Some(source) => format!("{text}, from {source}"),
        None => text,
    }
}

fn why(name: &str, refusal: &nodeimg_trust::Refusal) -> String {
    let by = refusal.signed_by.as_deref().unwrap_or("unknown");
    format!("{name}: {} (signed by: {by})", refusal.fault)
}

//! Whether somebody vouches for what a lock pins: every proof that it names, verified
//! again, and what the recipe demands. No network.
//!
//! ```text
//! recipe: verify ── demand ──┐
//! lock: verified, signer ────┼─ check ── what is vouched for, or every fault at once
//! FILE.proofs, store ─ kept ─┘
//! ```
//!
//! # Invariants
//! - What the lock says of a proof is what the proof says now: nothing is taken from the
//!   lock unverified.
//! - A proof that is missing, damaged or of another lock is an error, whatever the policy.

pub mod demand;
pub mod kept;
pub mod roots;
pub mod standing;

use std::path::Path;

use anyhow::{Result, bail};
use nodeimg_trust::{How, Proof, Roots, Vouched};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::{Digest, Expected};

use super::lock::{Lock, Pin, Vouch};
use super::recipe::Recipe;
use super::recipe::request::{Asked, LockRequest};
use super::recipe::verify::{Require, VerifyPart};
use crate::store::{Lookup, Store};
use demand::Way;
use kept::Proofs;

/// What is needed to look at a lock's proofs.
pub struct Look<'a> {
    pub recipe: &'a Recipe,
    pub proofs: &'a Proofs,
    pub roots: &'a Roots,
    /// Has proofs that are in no file, as those of a bundle, and the bytes that an OpenPGP
    /// signature is of.
    pub store: Option<&'a Store>,
    /// The architectures whose bytes must be here, as for a build.
    pub whole: &'a [Arch],
}

/// One pin of the lock, whatever its kind.
pub struct Subject<'a> {
    pub name: &'a str,
    pub arch: Arch,
    /// `runc 1.4.3 (amd64)`.
    pub what: String,
    pub sha256: Option<Digest>,
    pub url: Option<&'a str>,
    pub vouch: &'a Vouch,
    pub verify: Option<&'a VerifyPart>,
    pub ways: Vec<Way>,
    pub bytes: Option<&'a Expected>,
}

/// Every artifact and image that `lock` pins and `recipe` asks for, in the lock's order.
pub fn subjects<'a>(recipe: &'a Recipe, lock: &'a Lock) -> Result<Vec<Subject<'a>>> {
    let mut all = Vec::new();
    for pin in &lock.pins.artifacts {
        if let Some(asked) = asked(&recipe.artifacts, pin) {
            all.push(Subject {
                name: pin.request.name.as_str(),
                arch: pin.request.arch,
                what: pin.request.what(),
                sha256: pin.bytes.sha256.clone(),
                url: Some(&pin.request.url),
                vouch: &pin.vouch,
                verify: asked.verify.as_ref(),
                ways: demand::of_artifact(asked, &pin.request)?,
                bytes: Some(&pin.bytes),
            });
        }
    }
    for pin in &lock.pins.images {
        if let Some(asked) = asked(&recipe.images, pin) {
            all.push(Subject {
                name: pin.request.name.as_str(),
                arch: pin.request.arch,
                what: pin.request.what(),
                sha256: Some(pin.bytes.digest.clone()),
                url: None,
                vouch: &pin.vouch,
                verify: asked.verify.as_ref(),
                ways: demand::of_image(asked),
                bytes: None,
            });
        }
    }
    Ok(all)
}

fn asked<'a, A: Asked, B>(all: &'a [A], pin: &Pin<A::Request, B>) -> Option<&'a A> {
    let (name, _) = pin.request.key();
    all.iter().find(|asked| asked.name() == name)
}

impl Look<'_> {
    /// Verifies every proof of `lock`, and that all is vouched for as the recipe demands.
    ///
    /// # Errors
    /// Every fault: which artifact, who signed, who should have, what to do.
    pub fn check(&self, lock: &Lock) -> Result<()> {
        let subjects = subjects(self.recipe, lock)?;
        let mut faults = self.proofs.strangers(lock);
        faults.extend(subjects.iter().filter_map(|one| self.fault(one)));
        if faults.is_empty() {
            faults.extend(unmet(self.recipe, &subjects));
        }
        match faults.is_empty() {
            true => Ok(()),
            false => bail!("{}", faults.join("\n")),
        }
    }

    /// What is wrong with the proof of one pin.
    pub fn fault(&self, subject: &Subject<'_>) -> Option<String> {
        let digest = subject.vouch.proof.as_ref()?;
        let what = &subject.what;
        // A verb that brings no bytes leaves that signature to the build.
        let is_brought = self.whole.contains(&subject.arch);
        let without = subject.vouch.how() == How::OpenPgp && !is_brought;
        if without && matches!(self.content(subject), Ok(None)) {
            let there = self.proofs.find(digest, self.store);
            return missing_if_none(what, digest, there, &self.proofs.label).err();
        }
        let found = self.proofs.find(digest, self.store);
        let line = match missing_if_none(what, digest, found, &self.proofs.label) {
            Ok(line) => line,
            Err(text) => return Some(text),
        };
        let proof = match Proof::parse(&line) {
            Ok(proof) => proof,
            Err(error) => {
                return Some(format!(
                    "{what}: its proof {digest}: {error:#}: restore {} and the lock as their author \
                     has them, or run `nodeimg lock --update`",
                    self.proofs.label
                ));
            }
        };
        match self.vouched(subject, &proof) {
            Ok(vouched) => differs(subject, &vouched),
            Err(text) => Some(text),
        }
    }

    /// Who vouches for `subject` by `proof`, by the first way of the recipe that it meets.
    fn vouched(&self, subject: &Subject<'_>, proof: &Proof) -> Result<Vouched, String> {
        let Some(sha256) = &subject.sha256 else {
            return Err(format!(
                "{}: the lock has no SHA-256 of it, which its proof is about: pin it again with \
                 `nodeimg lock --update {}`",
                subject.what, subject.name
            ));
        };
        let content = self
            .content(subject)
            .map_err(|error| format!("{error:#}"))?;
        let artifact = nodeimg_trust::Artifact {
            name: &subject.what,
            sha256,
            url: subject.url,
            content: content.as_deref(),
        };
        let how = subject.vouch.how();
        let at = subject.vouch.checked_at.unwrap_or_default();
        let ways = subject.ways.iter().filter(|way| way.how == how);
        let mut refused = None;
        for way in ways {
            match nodeimg_trust::verify(&artifact, &way.demand, Some(proof), self.roots, at) {
                Ok(vouched) => return Ok(vouched),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        Err(match refused {
            Some(refusal) => format!("{refusal}{}", self.older_roots(subject)),
            None => format!(
                "{}: the lock has a proof of the kind `{}`, which the recipe's `verify` does not \
                 ask for any more: run `nodeimg lock --update {}`",
                subject.what,
                how.word(),
                subject.name
            ),
        })
    }

    fn older_roots(&self, subject: &Subject<'_>) -> String {
        let known = demand::instances().filter_map(|instance| self.roots.digest(instance));
        match &subject.vouch.root {
            Some(root) if subject.vouch.how() != How::OpenPgp => {
                let mut known = known;
                match known.any(|digest| digest == root) {
                    true => String::new(),
                    false => format!(
                        "\n  note: the lock was made with the trusted root {root}, which this \
                         nodeimg does not have: name it with --trusted-root FILE"
                    ),
                }
            }
            _ => String::new(),
        }
    }

    /// The file with its bytes, if they are here: an OpenPGP signature is of them.
    fn content(&self, subject: &Subject<'_>) -> Result<Option<std::path::PathBuf>> {
        let (Some(store), Some(want)) = (self.store, subject.bytes) else {
            return Ok(None);
        };
        if subject.vouch.how() != How::OpenPgp {
            return Ok(None);
        }
        match store.find(want)? {
            Lookup::Found(blob) => Ok(Some(Path::to_owned(blob.path()))),
            _ => Ok(None),
        }
    }
}

fn missing_if_none(
    what: &str,
    digest: &Digest,
    found: Result<Option<String>>,
    label: &str,
) -> Result<String, String> {
    match found {
        Ok(Some(line)) => Ok(line),
        Ok(None) => Err(format!(
            "{what}: its proof {digest} is not in {label}: restore that file as the lock's author \
             has it, or run `nodeimg lock --proofs`"
        )),
        Err(error) => Err(format!("{what}: {error:#}")),
    }
}

/// In what the lock says other than the proof.
fn differs(subject: &Subject<'_>, now: &Vouched) -> Option<String> {
    let lock = subject.vouch;
    let same = lock.verified == Some(now.how)
        && lock.signer.as_ref() == Some(&now.signer)
        && lock.issuer == now.issuer
        && lock.signed_at == now.signed_at
        && lock.source == now.source
        // Locks of before have neither.
        && (lock.log_index.is_none() || lock.log_index == now.log_index)
        && (lock.backed_by.is_empty() || lock.backed_by == now.backed_by);
    let said = |signer: &str, issuer: Option<&String>| match issuer {
        Some(issuer) => format!("{signer} ({issuer})"),
        None => signer.to_owned(),
    };
    (!same).then(|| {
        format!(
            "{}: the lock says other things of its proof than the proof itself\n  the lock:  {}\n  \
             the proof: {}\n  help: run `nodeimg lock --update {}`",
            subject.what,
            said(
                lock.signer.as_deref().unwrap_or("nobody"),
                lock.issuer.as_ref()
            ),
            said(&now.signer, now.issuer.as_ref()),
            subject.name
        )
    })
}

/// What of the pins is vouched for less than the recipe demands, if anything.
pub fn unmet(recipe: &Recipe, subjects: &[Subject<'_>]) -> Option<String> {
    let require = recipe.trust.require.unwrap_or_default();
    let lines: Vec<_> = subjects
        .iter()
        .filter_map(|one| Some(format!("\n  {}: {}", one.what, lacks(require, one)?)))
        .collect();
    (!lines.is_empty()).then(|| {
        format!(
            "the recipe has `require = \"{}\"` in [trust], but the lock has less for:{}\nrun \
             `nodeimg lock --proofs` with a network (mirrors need the signature files, too), name \
             who vouches in `[artifact.verify]`, or lower `require`",
            require.name(),
            lines.concat()
        )
    })
}

/// What a pin lacks of `require`.
pub fn lacks(require: Require, subject: &Subject<'_>) -> Option<String> {
    let how = subject.vouch.how();
    let stated = subject.verify.is_some();
    let waived = subject.verify.is_some_and(|verify| verify.none.is_some());
    let enough = match require {
        Require::Any => true,
        Require::Sources => how >= How::Sources,
        Require::Signed => how >= How::Release,
        Require::Strict => waived || stated && how != How::None,
    };
    let lack = match (how, subject.vouch.verified, stated) {
        (How::None, _, false) => "nobody vouches for it: it has no `verify`",
        (How::None, None, true) => "its signature was never fetched",
        (How::None, Some(_), true) => "nobody vouched for it when it was locked",
        _ => "only independent sources vouch for it, not a signature",
    };
    (!enough).then(|| lack.to_owned())
}

#[cfg(test)]
mod tests;

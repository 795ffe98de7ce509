//! How well a lock's inputs are vouched for, for people and for programs, and whose
//! signatures changed from one lock to another.

use std::collections::BTreeMap;

use nodeimg_trust::How;
use nodeimg_values::arch::Arch;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Subject, lacks};
use crate::input::lock::{Lock, Vouch};
use crate::input::recipe::Recipe;
use crate::input::recipe::request::LockRequest;
use crate::input::recipe::verify::Require;

/// The weakest kind of evidence among `subjects`, and the names that have no better;
/// `None` without any.
pub fn weakest(subjects: &[Subject<'_>]) -> Option<(How, Vec<String>)> {
    let least = subjects.iter().map(|one| one.vouch.how()).min()?;
    let mut names: Vec<String> = subjects
        .iter()
        .filter(|one| one.vouch.how() == least)
        .map(|one| one.name.to_owned())
        .collect();
    names.sort();
    names.dedup();
    Some((least, names))
}

/// One line: how many are vouched for by what, and the weakest link.
pub fn summary(subjects: &[Subject<'_>]) -> Option<String> {
    let (least, names) = weakest(subjects)?;
    let mut counts: BTreeMap<How, usize> = BTreeMap::new();
    for one in subjects {
        *counts.entry(one.vouch.how()).or_default() += 1;
    }
    let said: Vec<String> = counts
        .iter()
        .rev()
        .filter(|(how, _)| **how != How::None)
        .map(|(how, count)| format!("{count} by {}", named(*how)))
        .collect();
    let names = names.join(", ");
    if said.is_empty() {
        return Some(format!(
            "the weakest link: nobody vouches for any of the {} inputs ({names}); `nodeimg lock \
             --proofs` asks upstream",
            subjects.len()
        ));
    }
    let vouched = subjects.iter().filter(|one| one.vouch.how() != How::None);
    let said = format!(
        "vouched for: {} of {} inputs, {}",
        vouched.count(),
        subjects.len(),
        said.join(", ")
    );
    Some(match least {
        How::None => format!("{said}; the weakest link: nobody vouches for {names}"),
        how => format!("{said}; the weakest link: {names}, by {}", named(how)),
    })
}

fn named(how: How) -> &'static str {
    match how {
        How::None => "nobody",
        How::Sources => "independent sources",
        How::Release => "GitHub's release",
        How::OpenPgp => "OpenPGP",
        How::Sigstore => "Sigstore",
    }
}

/// The same for a program: the policy, the weakest link, every input.
pub fn json(recipe: &Recipe, subjects: &[Subject<'_>]) -> Value {
    let inputs: Vec<Value> = subjects.iter().map(input).collect();
    let weakest = weakest(subjects).map(|(how, names)| json!({ "verified": how, "names": names }));
    json!({
        "require": recipe.trust.require.unwrap_or_default().name(),
        "weakest": weakest,
        "inputs": inputs,
    })
}

fn input(one: &Subject<'_>) -> Value {
    let vouch = one.vouch;
    let mut value = json!({
        "name": one.name, "arch": one.arch, "what": one.what, "verified": vouch.how(),
    });
    let more = [
        ("signer", json!(vouch.signer)),
        ("issuer", json!(vouch.issuer)),
        ("signed_at", json!(vouch.signed_at)),
        ("log_index", json!(vouch.log_index)),
        ("source", json!(vouch.source)),
        (
            "backed_by",
            match vouch.backed_by.is_empty() {
                true => Value::Null,
                false => json!(vouch.backed_by),
            },
        ),
        ("proof", json!(vouch.proof)),
        ("lacks", json!(lacks(Require::Strict, one))),
    ];
    for (key, more) in more {
        if !more.is_null() {
            value[key] = more;
        }
    }
    value
}

/// Another signer than before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    pub name: String,
    pub arch: Arch,
    /// `runc 1.4.3 (amd64)`, as it is now.
    #[serde(skip)]
    pub what: String,
    /// Of the old lock.
    #[serde(skip)]
    pub version: String,
    pub was: Signed,
    pub now: Signed,
}

/// Who vouches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Signed {
    pub verified: How,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

impl Signed {
    /// Of `vouch`; an identity with a version in it is the same for every version.
    fn of(vouch: &Vouch, version: &str) -> Signed {
        let signer = vouch.signer.as_ref();
        Signed {
            verified: vouch.how(),
            signer: signer.map(|signer| unversioned(signer, version)),
            issuer: vouch.issuer.clone(),
        }
    }

    /// A person can read it.
    pub fn text(&self) -> String {
        match (&self.signer, &self.issuer) {
            (Some(signer), Some(issuer)) => format!("{signer} ({issuer})"),
            (Some(signer), None) => format!("{signer} ({})", named(self.verified)),
            (None, _) => "nobody".to_owned(),
        }
    }
}

/// An identity without the version in it.
pub fn unversioned(signer: &str, version: &str) -> String {
    match version.is_empty() {
        true => signer.to_owned(),
        false => signer.replace(version, "{version}"),
    }
}

/// Every input of both locks whose signature is another one's, or gone, or new.
pub fn changes(old: &Lock, new: &Lock) -> Vec<Change> {
    let mut found = Vec::new();
    for now in &new.pins.artifacts {
        let same =
            |was: &&crate::input::lock::PinnedArtifact| was.request.key() == now.request.key();
        if let Some(was) = old.pins.artifacts.iter().find(same) {
            let versions = [was.request.version.as_str(), now.request.version.as_str()];
            let (name, arch) = now.request.key();
            let signed = [
                Signed::of(&was.vouch, versions[0]),
                Signed::of(&now.vouch, versions[1]),
            ];
            found.extend(change(
                name.as_str(),
                arch,
                now.request.what(),
                versions[0],
                signed,
            ));
        }
    }
    for now in &new.pins.images {
        let same = |was: &&crate::input::lock::PinnedImage| was.request.key() == now.request.key();
        if let Some(was) = old.pins.images.iter().find(same) {
            let (name, arch) = now.request.key();
            let signed = [Signed::of(&was.vouch, ""), Signed::of(&now.vouch, "")];
            found.extend(change(name.as_str(), arch, now.request.what(), "", signed));
        }
    }
    found
}

fn change(
    name: &str,
    arch: Arch,
    what: String,
    version: &str,
    [was, now]: [Signed; 2],
) -> Option<Change> {
    (was != now).then(|| Change {
        name: name.to_owned(),
        arch,
        what,
        version: version.to_owned(),
        was,
        now,
    })
}

//! Step 2: who signed the sums and the statement.

use anyhow::{Context, Result};
use nodeimg_signing::dsse;
use nodeimg_values::atomic::CHECKSUMS;
use nodeimg_values::digest::{Algorithm, Digest};

use super::Vouched;
use super::tried::{Found, Tried, envelope, keys};
use crate::output::manifest::{self, Output};
use crate::output::provenance;
use crate::output::sign::{self, SIGNED};
use crate::verify::known::{Known, Subject, Sums};
use crate::verify::policy::Policy;
use crate::verify::source::Source;
use crate::verify::step::{Fault, Judged, Verdict};

pub fn check(known: &mut Known, policy: &Policy, source: &Source<'_>) -> Judged {
    if let Subject::Disk { .. } = known.subject {
        let reason = "a disk by itself has no list of sums; a certificate or a root hash vouches \
                      for it in steps 6 and 7";
        return Ok(Verdict::not_applicable(reason));
    }
    let text = source.small(CHECKSUMS)?;
    if policy.anchors.is_empty() {
        let text = text.ok_or_else(|| no_sums(known, source))?;
        known.sums = Some(Vouched(parse(&text)?));
        let why = match policy.integrity_only {
            true => "nobody's signature was asked for (--integrity-only)",
            false => "a lock alone does not say who wrote the sums",
        };
        let reason = format!("{why}: the files are compared with {CHECKSUMS} as it is");
        return Ok(Verdict::not_applicable(reason));
    }
    let mut tried = Tried::new(policy, source, text.as_deref());
    let Some(found) = tried.first()? else {
        return Err(match tried.is_nothing() {
            true => no_sums(known, source),
            false => tried.fault(known),
        });
    };
    let mut verdict = Verdict::passed(format!("{} {}", found.what, found.by));
    if let Some(note) = own_statement(&found, policy, source)? {
        verdict = verdict.with(note);
    }
    for other in tried.others() {
        verdict = verdict.with(other);
    }
    // A list that says something else than the signed statement is a trap for `sha256sum -c`.
    if let Some(text) = &text
        && !found.is_by_sums
        && *text != listed(&found.sums).as_bytes()
    {
        let what = format!("{CHECKSUMS} does not list what the signed statement names");
        return Err(Fault::new(what)
            .at(CHECKSUMS)
            .help("do not use the files; fetch them again from their publisher"));
    }
    known.sums = Some(Vouched(found.sums));
    Ok(verdict)
}

fn no_sums(known: &Known, source: &Source<'_>) -> Fault {
    let builds = source.builds();
    let help = match builds.first() {
        Some(first) => format!("give the directory of one build: {first}"),
        None => "give an output directory of `nodeimg build`, or the URL of one".to_owned(),
    };
    Fault::new(format!("there is no {CHECKSUMS}"))
        .at(known.shown())
        .help(help)
}

/// The sums as text, for comparison.
fn listed(sums: &Sums) -> String {
    let outputs: Vec<Output> = sums
        .iter()
        .map(|(name, digest)| Output {
            file: name.clone(),
            size: 0,
            sha256: digest.clone(),
        })
        .collect();
    manifest::checksums(&outputs)
}

/// Digests by name, from the text of SHA256SUMS.
pub(super) fn parse(text: &[u8]) -> Result<Sums> {
    let context = || format!("reading {CHECKSUMS}");
    let text = std::str::from_utf8(text)
        .context("it is not text")
        .with_context(context)?;
    let sums = sign::sums(text).with_context(context)?;
    let sums = sums.into_iter().map(|(name, hex)| {
        let digest = Digest::new(Algorithm::Sha256, &hex);
        Ok((name, digest.with_context(context)?))
    });
    let sums: Sums = sums.collect::<Result<_>>()?;
    anyhow::ensure!(!sums.is_empty(), "{CHECKSUMS} lists no file");
    Ok(sums)
}

/// The statement that `nodeimg sign` signs together with the sums: it must be by the same
/// keys, and the very one that the sums list.
fn own_statement(
    found: &Found,
    policy: &Policy,
    source: &Source<'_>,
) -> Result<Option<String>, Fault> {
    let keys = keys(policy);
    if !found.is_by_sums || keys.is_empty() {
        return Ok(None);
    }
    // A server that keeps it from us keeps nothing that the sums do not vouch for.
    let Ok(Some(bytes)) = source.small(SIGNED) else {
        return Ok(None);
    };
    let bad = |what: String| {
        Fault::new(what).at(SIGNED).help(
            "sign the directory again with `nodeimg sign`, or fetch it again from its publisher",
        )
    };
    let Some(text) = envelope(&bytes) else {
        return Ok(Some(format!(
            "{SIGNED} is not an envelope of `nodeimg sign`: who signed it was not looked at"
        )));
    };
    let verified = keys
        .iter()
        .map(|(_, key)| dsse::verify(text, dsse::IN_TOTO, key));
    let mut refused = None;
    for result in verified {
        match result {
            Ok(body) if found.sums.get(provenance::FILE) == Some(&Digest::sha256(&body)) => {
                return Ok(Some(format!("{SIGNED} has the same signer's statement")));
            }
            Ok(_) => {
                let what = format!("the signed statement is not the {} here", provenance::FILE);
                return Err(bad(what));
            }
            Err(error) => refused = Some(format!("{error:#}")),
        }
    }
    Err(bad(refused.unwrap_or_default()))
}

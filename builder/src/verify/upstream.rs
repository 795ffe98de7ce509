//! Step 9: who vouches for what went in, by the proofs that the lock keeps. No network.

use nodeimg_trust::How;
use nodeimg_values::arch::Arch;
use nodeimg_values::date::Date;

use super::known::{Known, Subject};
use super::policy::{Pinned, Policy};
use super::step::{Fault, Judged, Step, Verdict};
use crate::input::lock::Vouch;
use crate::input::vouch::{self, Look, standing};
use crate::output::manifest::Manifest;
use crate::store::{Lookup, Store};

pub fn check(known: &mut Known, policy: &Policy, store: Option<&Store>) -> Judged {
    let Some(manifest) = &known.manifest else {
        return Ok(match known.subject {
            Subject::Disk { .. } => {
                Verdict::not_applicable("a disk by itself does not say what went in")
            }
            Subject::Outputs { .. } if known.statement.is_some() => {
                Verdict::not_applicable("there is no manifest.json that names the inputs")
            }
            Subject::Outputs { .. } => Verdict::not_reached(Step::Statement),
        });
    };
    let said = subjects(manifest);
    if said.is_empty() {
        return Ok(Verdict::not_applicable(
            "nothing but Debian packages went in",
        ));
    }
    let summary = standing::summary(&said).unwrap_or_default();
    let Some(pinned) = &policy.pinned else {
        let reason = format!(
            "the proofs are beside the lock (--lock FILE, or --recipe); the manifest says: {summary}"
        );
        known.upstream = Some(summary);
        return Ok(Verdict::not_applicable(reason));
    };
    same(&said, pinned)?;
    let Some(chosen) = &pinned.chosen else {
        let reason = format!(
            "who must sign is in the recipe (--recipe FILE); {} says: {summary}",
            pinned.label
        );
        known.upstream = Some(summary);
        return Ok(Verdict::not_applicable(reason));
    };
    let look = Look {
        recipe: &chosen.recipe,
        proofs: &chosen.proofs,
        roots: &pinned.roots,
        store,
        whole: &[],
    };
    look.check(&pinned.lock).map_err(|error| {
        Fault::new(format!("{error:#}"))
            .at(chosen.proofs.label.clone())
            .help("restore the proofs as the lock's author has them, or `nodeimg lock --proofs`")
    })?;
    let arch = manifest.image.arch;
    let (signed, unread) = told(&look, pinned, arch)?;
    let mut verdict = Verdict::passed(summary.clone());
    for line in signed.into_iter().chain(unread) {
        verdict = verdict.with(line);
    }
    known.upstream = Some(summary);
    Ok(verdict)
}

/// The inputs of an image, as its manifest has them.
fn subjects(manifest: &Manifest) -> Vec<vouch::Subject<'_>> {
    let arch = manifest.image.arch;
    let subject = |name, what, vouch| vouch::Subject {
        name,
        arch,
        what,
        sha256: None,
        url: None,
        vouch,
        verify: None,
        ways: Vec::new(),
        bytes: None,
    };
    let artifacts = manifest.artifacts.iter().map(|one| {
        let what = format!("{} {} ({arch})", one.name, one.version);
        subject(one.name.as_str(), what, &one.vouch)
    });
    let images = manifest.container_images.iter().map(|one| {
        let what = format!("{} ({arch})", one.image);
        subject(one.name.as_str(), what, &one.vouch)
    });
    artifacts.chain(images).collect()
}

/// The manifest says of each input what the lock says.
fn same(said: &[vouch::Subject<'_>], pinned: &Pinned) -> Result<(), Fault> {
    let pins = &pinned.lock.pins;
    let of_lock = |name: &str, arch: Arch| -> Option<&Vouch> {
        let artifacts = pins
            .artifacts
            .iter()
            .map(|pin| (&pin.request.name, pin.request.arch, &pin.vouch));
        let images = pins
            .images
            .iter()
            .map(|pin| (&pin.request.name, pin.request.arch, &pin.vouch));
        let mut all = artifacts.chain(images);
        all.find(|(one, of, _)| one.as_str() == name && *of == arch)
            .map(|(_, _, vouch)| vouch)
    };
    let others = said
        .iter()
        .filter(|one| of_lock(one.name, one.arch) != Some(one.vouch));
    let others: Vec<&str> = others.map(|one| one.what.as_str()).collect();
    match others.is_empty() {
        true => Ok(()),
        false => {
            let what = format!(
                "the manifest says other things than {} of who vouches for {}",
                pinned.label,
                others.join(", ")
            );
            Err(Fault::new(what)
                .at("manifest.json")
                .help("give the lock of the commit that the image was built from"))
        }
    }
}

/// One line for each input that somebody signed, and one for those whose signature needs
/// bytes that are not here.
fn told(
    look: &Look<'_>,
    pinned: &Pinned,
    arch: Arch,
) -> Result<(Vec<String>, Option<String>), Fault> {
    let mut lines = Vec::new();
    let mut unread = Vec::new();
    for one in vouch::subjects(look.recipe, &pinned.lock)? {
        if one.arch != arch || one.vouch.how() == How::None {
            continue;
        }
        let signer = one.vouch.signer.as_deref().unwrap_or_default();
        let issuer = one
            .vouch
            .issuer
            .as_ref()
            .map(|by| format!(" (issuer {by})"));
        let at = one.vouch.signed_at.and_then(|at| u64::try_from(at).ok());
        let at = at.map(|at| format!(", {}", time(at)));
        let source = one
            .vouch
            .source
            .as_ref()
            .map(|source| format!(", from {source}"));
        lines.push(format!(
            "{}: {} by {signer}{}{}{}",
            one.what,
            one.vouch.how().word(),
            issuer.unwrap_or_default(),
            at.unwrap_or_default(),
            source.unwrap_or_default()
        ));
        if one.vouch.how() == How::OpenPgp && !is_here(look.store, &one) {
            unread.push(one.what);
        }
    }
    let unread = (!unread.is_empty()).then(|| {
        format!(
            "the OpenPGP signature of {} is of bytes that are not in the store, so only its \
             digest was compared (`nodeimg fetch` brings them)",
            unread.join(", ")
        )
    });
    Ok((lines, unread))
}

fn is_here(store: Option<&Store>, one: &vouch::Subject<'_>) -> bool {
    let (Some(store), Some(want)) = (store, one.bytes) else {
        return false;
    };
    matches!(store.find(want), Ok(Lookup::Found(_)))
}

/// A time in seconds since 1970, for people.
pub fn time(at: u64) -> String {
    let utc = Date(at).utc();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        utc.year(),
        u8::from(utc.month()),
        utc.day(),
        utc.hour(),
        utc.minute()
    )
}

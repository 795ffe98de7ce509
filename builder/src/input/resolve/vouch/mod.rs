//! Who vouches for what a new lock pins: signatures fetched, verified, and their proofs
//! kept.
//!
//! ```text
//! pins without a proof ── ask: each way of the recipe ── verify ── Vouch + proof
//!                           absent everywhere: as the policy allows, and said
//! ```
//!
//! # Invariants
//! - A signature that is there and does not hold is an error under every policy; only one
//!   that is not there is a matter of policy.
//! - Who vouched before must vouch again: another signer needs the user's word.

mod ask;
mod registry;
mod stated;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use nodeimg_trust::{How, Roots};
use nodeimg_values::epoch::Epoch;
use nodeimg_values::parallel::in_parallel;
use nodeimg_values::progress::Progress;

use crate::input::fetch::Fetcher;
use crate::input::lock::{Lock, Pins, Vouch};
use crate::input::recipe::Recipe;
use crate::input::recipe::value::Name;
use crate::input::recipe::verify::Require;
use crate::input::vouch::kept::Proofs;
use crate::input::vouch::standing::{self, Change};
use crate::input::vouch::{Look, Subject, demand, lacks, subjects};
use ask::{Ask, Found};

/// What it takes to ask who vouches for pins.
pub struct Vouching<'a> {
    pub roots: &'a Roots,
    /// Beside the old lock.
    pub proofs: &'a Proofs,
    /// Whether to ask again for every pin that has no good proof (`--proofs`).
    pub all: bool,
    /// Artifacts that another signer than before may vouch for (`--accept-signer`).
    pub accepted: &'a [Name],
}

/// What is asked about, and where.
pub(super) struct Round<'a> {
    pub recipe: &'a Recipe,
    pub old: Option<&'a Lock>,
    pub fetcher: &'a Fetcher<'a>,
    pub progress: &'a Progress,
    /// The pins that were resolved now, as [`Subject::what`] names them.
    pub fresh: BTreeSet<String>,
}

impl Vouching<'_> {
    /// `pins` with who vouches for them, and all proofs, old and new.
    pub(super) fn of(&self, round: &Round<'_>, pins: Pins, at: Epoch) -> Result<(Pins, Proofs)> {
        let lock = Lock::new(round.recipe, at, pins);
        let subjects = subjects(round.recipe, &lock)?;
        let asked: Vec<&Subject<'_>> = subjects
            .iter()
            .filter(|one| self.is_asked(round, one))
            .collect();
        let ask = Ask::new(
            round.fetcher,
            self.roots,
            i64::try_from(at.0).unwrap_or(i64::MAX),
        );
        // A thread each; most of the time they wait for answers.
        let answers = in_parallel(asked.len(), asked.len(), |n| {
            let subject = asked[n];
            let image = round.recipe.images.iter();
            let mut image = image.filter(|image| image.name.as_str() == subject.name);
            ask.who(subject, image.next())
        });
        let mut proofs = self.proofs.clone();
        // A file that is gone or damaged is written again from the store.
        for digest in subjects.iter().filter_map(|one| one.vouch.proof.as_ref()) {
            if let Some(line) = proofs.find(digest, Some(round.fetcher.store()))? {
                proofs.add(line);
            }
        }
        let mut vouches: Vec<(String, Vouch)> = Vec::new();
        let (mut faults, mut lacking) = (Vec::new(), Vec::new());
        for (subject, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(Found::Vouched(vouched, line)) => {
                    let digest = proofs.add(line);
                    let vouch = Vouch::of(vouched, digest, ask.at());
                    vouches.push((subject.what.clone(), vouch));
                }
                Ok(Found::Nobody(why)) => {
                    lacking.push(format!("\n  {}: {}", subject.what, why.join("; ")));
                    // What was locked before is left as it is.
                    if round.fresh.contains(&subject.what) {
                        vouches.push((subject.what.clone(), Vouch::nobody()));
                    }
                }
                Err(error) => faults.push(format!("{error:#}")),
            }
        }
        if !faults.is_empty() {
            bail!("{}", faults.join("\n"));
        }
        let mut pins = lock.pins.clone();
        put(&mut pins, vouches, round.old);
        tell(round.progress, &lacking);
        let lock = Lock::new(round.recipe, at, pins);
        self.judge(round, &lock, &lacking)?;
        Ok((lock.pins, proofs))
    }

    /// Pins that were kept are left alone, so that a lock that fits asks nobody.
    fn is_asked(&self, round: &Round<'_>, subject: &Subject<'_>) -> bool {
        let has_way = !subject.ways.is_empty();
        let is_fresh = round.fresh.contains(&subject.what);
        let lacks = || subject.vouch.how() == How::None || !self.is_good(round, subject);
        has_way && (is_fresh || self.all && lacks())
    }

    fn is_good(&self, round: &Round<'_>, subject: &Subject<'_>) -> bool {
        let look = Look {
            recipe: round.recipe,
            proofs: self.proofs,
            roots: self.roots,
            store: Some(round.fetcher.store()),
            whole: &[],
        };
        look.fault(subject).is_none()
    }

    /// That the new lock is as well vouched for as the recipe demands, and by whom the old
    /// one was.
    fn judge(&self, round: &Round<'_>, lock: &Lock, lacking: &[String]) -> Result<()> {
        let subjects = subjects(round.recipe, lock)?;
        if let Some(old) = round.old {
            let changes = standing::changes(old, lock);
            let changed: Vec<String> = changes
                .iter()
                .filter(|change| !self.may_change(change, &subjects))
                .map(said)
                .collect();
            if !changed.is_empty() {
                bail!("{}", changed.join("\n"));
            }
        }
        let require = round.recipe.trust.require.unwrap_or_default();
        let short: Vec<_> = subjects
            .iter()
            .filter_map(|one| Some(format!("\n  {}: {}", one.what, lacks(require, one)?)))
            .collect();
        if require != Require::Any && !short.is_empty() {
            let why = match lacking.is_empty() {
                true => String::new(),
                false => format!("\nwhat was looked for:{}", lacking.concat()),
            };
            bail!(
                "the recipe has `require = \"{}\"` in [trust], but there is less for:{}{why}\nuse \
                 a mirror that has the signature files, name who vouches in `[artifact.verify]`, \
                 run `nodeimg lock --proofs` for what was locked before, or lower `require`",
                require.name(),
                short.concat()
            );
        }
        Ok(())
    }

    /// Better evidence needs nobody's word; nor does another signer that the recipe names
    /// beside the old one, as while a publisher moves from one key to the next.
    fn may_change(&self, change: &Change, subjects: &[Subject<'_>]) -> bool {
        let named = self
            .accepted
            .iter()
            .any(|name| name.as_str() == change.name);
        if named || change.was.verified < How::Release {
            return true;
        }
        let mut subjects = subjects.iter();
        let subject = subjects.find(|one| one.what == change.what);
        let verify = subject.and_then(|subject| subject.verify);
        change.now.verified == change.was.verified
            && verify.is_some_and(|verify| demand::names(verify, change))
    }
}

fn said(change: &Change) -> String {
    format!(
        "{}: another signer than in the lock\n  was: {}\n  now: {}\n  help: if its publisher says \
         so, accept it with --accept-signer {}",
        change.what,
        change.was.text(),
        change.now.text(),
        change.name
    )
}

/// The pins whose proof was fetched now; one that was not found keeps the old one's, if the
/// bytes are the same.
fn put(pins: &mut Pins, vouches: Vec<(String, Vouch)>, old: Option<&Lock>) {
    use crate::input::recipe::request::LockRequest;
    for (what, vouch) in vouches {
        let is_none = vouch.how() == How::None;
        if let Some(pin) = pins
            .artifacts
            .iter_mut()
            .find(|pin| pin.request.what() == what)
        {
            let mut kept = old.iter().flat_map(|lock| &lock.pins.artifacts);
            let kept =
                kept.find(|was| was.request == pin.request && was.bytes.sha256 == pin.bytes.sha256);
            pin.vouch = match kept {
                Some(kept) if is_none => kept_or(&kept.vouch, vouch),
                _ => vouch,
            };
            continue;
        }
        if let Some(pin) = pins
            .images
            .iter_mut()
            .find(|pin| pin.request.what() == what)
        {
            let mut kept = old.iter().flat_map(|lock| &lock.pins.images);
            let kept = kept.find(|was| was.request == pin.request && was.bytes == pin.bytes);
            pin.vouch = match kept {
                Some(kept) if is_none => kept_or(&kept.vouch, vouch),
                _ => vouch,
            };
        }
    }
}

fn kept_or(kept: &Vouch, now: Vouch) -> Vouch {
    match kept.how() {
        How::None => now,
        _ => kept.clone(),
    }
}

/// Loudly, whatever the policy.
fn tell(progress: &Progress, lacking: &[String]) {
    if !lacking.is_empty() {
        progress.warn(&format!(
            "nobody vouches for:{}\nthey are pinned by the bytes that came (`nodeimg lock \
             --proofs` asks again)",
            lacking.concat()
        ));
    }
}

//! `nodeimg verify`: whether an image is what somebody vouches for, in ten steps.
//!
//! ```text
//! report          what all steps said
//! rebuild     10  the same bytes again
//! upstream     9  who vouches for what went in
//! root         8  files against manifest and SBOM
//! bill            an SBOM, read again
//! verity       7  the hash tree
//! boot         6  EFI programs
//! disk         5  partitions and the ESP
//! statement    4  how it was built
//! vouched      2  signatures of the sums and the statement; 3  each file by the sums
//! policy       1  whom the user trusts
//! source          where the files are read from
//! known, inside   what has been vouched for so far
//! step            a step and its verdict
//! ```
//!
//! # Invariants
//! - No step reads a value from what it verifies unless an earlier step vouched for it:
//!   only [`vouched`] makes a `Vouched`.
//! - A step whose needs are not met is not reached; it never passes.

mod bill;
mod boot;
mod disk;
mod inside;
pub mod known;
pub mod policy;
pub mod rebuild;
pub mod report;
mod root;
pub mod source;
mod statement;
pub mod step;
mod upstream;
mod verity;
pub mod vouched;

use nodeimg_values::progress::Progress;

use crate::store::Store;
use known::{Known, Subject};
use policy::Policy;
use rebuild::Rebuild;
use report::Report;
use source::Source;
use step::{Judged, Step, Verdict};
use vouched::{files, signature};

/// What is to be verified, and by what.
pub struct Task<'a> {
    pub subject: Subject,
    pub policy: Policy,
    /// The files of the build; `None` for a lone disk.
    pub source: Option<Source<'a>>,
    /// Has bytes that OpenPGP signatures of upstream are of.
    pub store: Option<Store>,
    pub rebuild: Option<Rebuild<'a>>,
}

/// All ten steps in their order.
pub fn verify(task: Task<'_>, progress: &Progress) -> Report {
    let Task {
        subject,
        policy,
        source,
        store,
        rebuild,
    } = task;
    let (policy, source, store) = (&policy, source.as_ref(), store.as_ref());
    let mut known = Known::of(subject);
    let mut verdicts: Vec<(Step, Verdict)> = Vec::new();
    for step in Step::ALL {
        let verdict = match gate(&verdicts) {
            Some(by) => Verdict::not_reached(by),
            None => {
                progress.step(&format!("step {}: {step}", step.number()));
                let judged = judge(step, &mut known, policy, (source, store, rebuild));
                judged.unwrap_or_else(Verdict::Failed)
            }
        };
        verdicts.push((step, verdict));
    }
    Report::of(&known, policy, verdicts)
}

/// The failed step without which nothing is vouched for.
fn gate(verdicts: &[(Step, Verdict)]) -> Option<Step> {
    let failed = verdicts
        .iter()
        .find(|(step, verdict)| *step <= Step::Files && matches!(verdict, Verdict::Failed(_)));
    failed.map(|(step, _)| *step)
}

type Means<'a> = (
    Option<&'a Source<'a>>,
    Option<&'a Store>,
    Option<Rebuild<'a>>,
);

fn judge(step: Step, known: &mut Known, policy: &Policy, means: Means<'_>) -> Judged {
    let (source, store, again) = means;
    let alone = || Verdict::not_applicable("a disk by itself has no list of sums");
    match step {
        Step::Policy => policy::check(&known.subject, policy),
        Step::Signature => {
            source.map_or_else(|| Ok(alone()), |from| signature::check(known, policy, from))
        }
        Step::Files => source.map_or_else(|| Ok(alone()), |from| files::check(known, policy, from)),
        Step::Statement => statement::check(known, policy),
        Step::Disk => disk::check(known, policy),
        Step::Boot => boot::check(known, policy),
        Step::Verity => verity::check(known, policy),
        Step::Root => root::check(known, policy),
        Step::Upstream => upstream::check(known, policy, store),
        Step::Rebuild => rebuild::check(known, source, again),
    }
}

#[cfg(test)]
mod tests;

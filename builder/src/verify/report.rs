//! What all steps said: for people, for programs, and as a summary that others may rely on
//! (SLSA's [VSA](https://slsa.dev/verification_summary/v1)).

use nodeimg_seed::text::problem::printable;
use nodeimg_values::digest::Digest;
use serde_json::{Value, json};

use super::known::{Known, Subject};
use super::policy::{Anchor, Policy};
use super::step::{Fault, Step, Verdict};
use crate::output::HOME;
use crate::output::manifest::sorted;
use crate::output::provenance::STATEMENT;

/// Everything that was found.
pub struct Report {
    pub shown: String,
    pub verdicts: Vec<(Step, Verdict)>,
    /// What the result rests on, the weakest first.
    pub weakest: Vec<String>,
    policy: Value,
    summary: Value,
}

impl Report {
    pub fn of(known: &Known, policy: &Policy, verdicts: Vec<(Step, Verdict)>) -> Report {
        let weakest = weakest(known, policy, &verdicts);
        let summary = summary(known, policy, &verdicts);
        Report {
            shown: known.shown(),
            verdicts,
            weakest,
            policy: policy.json(),
            summary,
        }
    }

    /// The steps that failed, in their order.
    pub fn faults(&self) -> impl Iterator<Item = (Step, &Fault)> {
        self.verdicts
            .iter()
            .filter_map(|(step, verdict)| match verdict {
                Verdict::Failed(fault) => Some((*step, fault)),
                _ => None,
            })
    }

    /// For the terminal, with the line breaks that it needs.
    pub fn text(&self) -> String {
        let mut lines = vec![self.shown.clone()];
        for (step, verdict) in &self.verdicts {
            let (word, first, more) = match verdict {
                Verdict::Passed { proves, notes } => ("passed", proves.clone(), notes.as_slice()),
                Verdict::Failed(fault) => ("FAILED", head(&fault.what), &[][..]),
                Verdict::NotApplicable(reason) => ("-", reason.clone(), &[][..]),
                Verdict::NotReached(reason) => ("-", format!("not reached: {reason}"), &[][..]),
            };
            lines.push(format!(
                "{:3} {:10} {word:7} {first}",
                step.number(),
                step.name()
            ));
            lines.extend(more.iter().map(|note| format!("{:23}note: {note}", "")));
        }
        for (index, link) in self.weakest.iter().enumerate() {
            let lead = if index == 0 {
                "the weakest link: "
            } else {
                "and: "
            };
            lines.push(format!("{lead}{link}"));
        }
        let lines = lines.into_iter().map(printable);
        lines.map(|line| line + "\n").collect()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let steps = self.verdicts.iter().map(|(step, verdict)| {
            let mut entry = json!({
                "number": step.number(), "step": step.name(), "verdict": verdict.word(),
            });
            match verdict {
                Verdict::Passed { proves, notes } => {
                    entry["proves"] = json!(proves);
                    entry["notes"] = json!(notes);
                }
                Verdict::Failed(fault) => entry["fault"] = json!(fault),
                Verdict::NotApplicable(reason) | Verdict::NotReached(reason) => {
                    entry["reason"] = json!(reason);
                }
            }
            entry
        });
        json!({
            "event": "verified",
            "image": self.shown,
            "result": result(&self.verdicts).to_lowercase(),
            "policy": self.policy,
            "steps": steps.collect::<Vec<Value>>(),
            "weakest": self.weakest,
        })
    }

    /// The verification summary, an in-toto statement. It has no time: the same files and the
    /// same policy give the same bytes.
    pub fn summary(&self) -> String {
        format!("{:#}\n", sorted(self.summary.clone()))
    }
}

fn head(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn passed(verdicts: &[(Step, Verdict)], step: Step) -> bool {
    let found = verdicts.iter().find(|(one, _)| *one == step);
    found.is_some_and(|(_, verdict)| matches!(verdict, Verdict::Passed { .. }))
}

fn result(verdicts: &[(Step, Verdict)]) -> &'static str {
    let failed = |(_, verdict): &(Step, Verdict)| matches!(verdict, Verdict::Failed(_));
    match verdicts.iter().any(failed) {
        true => "FAILED",
        false => "PASSED",
    }
}

fn weakest(known: &Known, policy: &Policy, verdicts: &[(Step, Verdict)]) -> Vec<String> {
    if result(verdicts) == "FAILED" {
        return Vec::new();
    }
    let mut links = Vec::new();
    let is_disk = matches!(known.subject, Subject::Disk { .. });
    let rebuilt = passed(verdicts, Step::Rebuild);
    if policy.integrity_only {
        links.push(
            "nobody vouches for these files: they fit their sums, and whoever made one could make \
             the other"
                .to_owned(),
        );
    } else if !is_disk && policy.is_lock_alone() && !rebuilt {
        links.push(
            "nobody vouches for these files: they say that the lock's inputs went in, which only \
             a signature or --rebuild can confirm"
                .to_owned(),
        );
    }
    if let Some(summary) = &known.upstream {
        let (_, link) = summary
            .split_once("the weakest link: ")
            .unwrap_or(("", summary));
        let seen = match passed(verdicts, Step::Upstream) {
            true => "",
            false => " (as the manifest says; the proofs were not looked at)",
        };
        links.push(format!("{link}{seen}"));
    }
    if is_disk {
        links
            .push("what a disk was made of is not known without the files of its build".to_owned());
    } else if !rebuilt {
        links.push(
            "that these bytes come from that lock is the builder's word (--rebuild makes them \
             again)"
                .to_owned(),
        );
    }
    links
}

/// The level that the provenance reaches: it is there, and a service vouches for it.
fn level(known: &Known, policy: &Policy, verdicts: &[(Step, Verdict)]) -> &'static str {
    let by_service = policy
        .anchors
        .iter()
        .any(|one| matches!(one, Anchor::Identity { .. }));
    match (result(verdicts), &known.statement) {
        ("FAILED", _) => "FAILED",
        (_, None) => "SLSA_BUILD_LEVEL_0",
        _ if policy.anchors.is_empty() => "SLSA_BUILD_LEVEL_0",
        _ if by_service && passed(verdicts, Step::Signature) => "SLSA_BUILD_LEVEL_2",
        _ => "SLSA_BUILD_LEVEL_1",
    }
}

fn summary(known: &Known, policy: &Policy, verdicts: &[(Step, Verdict)]) -> Value {
    let sums = known.sums.iter().flat_map(|sums| sums.iter());
    let subjects = sums.map(|(name, digest)| {
        json!({ "name": name, "digest": { digest.algorithm().name(): digest.hex() } })
    });
    let rules = sorted(policy.json());
    let inputs = known
        .files
        .values()
        .filter(|file| file.name == "provenance.json");
    let inputs = inputs.map(|file| json!({ "digest": { "sha256": file.sha256.hex() } }));
    let resource = match &known.manifest {
        Some(manifest) => {
            let image = &manifest.image;
            format!(
                "pkg:generic/{}@{}?arch={}",
                image.name, image.version, image.arch
            )
        }
        None => known.shown(),
    };
    let steps = verdicts
        .iter()
        .map(|(step, verdict)| (step.name().to_owned(), json!(verdict.word())));
    json!({
        "_type": STATEMENT,
        "subject": subjects.collect::<Vec<Value>>(),
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {
                "id": format!("{HOME}/how-to/verify.html"),
                "version": { "nodeimg": env!("CARGO_PKG_VERSION") },
            },
            "resourceUri": resource,
            "policy": {
                "uri": format!("{HOME}/how-to/verify.html#policy"),
                "digest": { "sha256": Digest::sha256(rules.to_string().as_bytes()).hex() },
                "annotations": rules,
            },
            "inputAttestations": inputs.collect::<Vec<Value>>(),
            "verificationResult": result(verdicts),
            "verifiedLevels": [level(known, policy, verdicts)],
            "slsaVersion": "1.1",
            "nodeimgSteps": steps.collect::<serde_json::Map<_, _>>(),
        },
    })
}

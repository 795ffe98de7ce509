//! Step 3: each file against its sum.

use std::fs::File;
use std::io::{Seek, SeekFrom};

use anyhow::{Context, Result};
use nodeimg_values::atomic::CHECKSUMS;
use nodeimg_values::digest::{Digest, Hasher};
use nodeimg_values::parallel::{cores, in_parallel};

use super::Vouched;
use crate::verify::known::{Known, Sums};
use crate::verify::policy::Policy;
use crate::verify::source::{Source, is_absent};
use crate::verify::step::{Fault, Judged, Step, Verdict};

/// What signatures add to the name of what they are of.
const SIGNATURES: [&str; 8] = [
    ".sig",
    ".sigstore.json",
    ".intoto.jsonl",
    ".bundle",
    ".dsse",
    ".gpg",
    ".asc",
    ".minisig",
];
/// So many faults are told in full.
const TOLD: usize = 20;

/// A file that was hashed, still open: another one in its place is not read.
#[derive(Debug)]
pub struct Listed {
    pub name: String,
    /// In bytes.
    pub size: u64,
    pub sha256: Digest,
    pub file: File,
}

pub fn check(known: &mut Known, policy: &Policy, source: &Source<'_>) -> Judged {
    let Some(sums) = &known.sums else {
        return Ok(match known.subject {
            crate::verify::known::Subject::Disk { .. } => {
                Verdict::not_applicable("a disk by itself has no list of sums")
            }
            crate::verify::known::Subject::Outputs { .. } => Verdict::not_reached(Step::Signature),
        });
    };
    let listed: Sums = sums
        .iter()
        .filter(|(name, _)| source.wants(name))
        .map(|(name, digest)| (name.clone(), digest.clone()))
        .collect();
    let mut faults = Vec::new();
    if source.only().is_none() {
        for name in source.names()?.unwrap_or_default() {
            if !sums.contains_key(&name) && !is_signature(&name, sums) {
                faults.push(format!("{name}: it is not listed in {CHECKSUMS}"));
            }
        }
    }
    let opened: Vec<(String, Result<File>)> = source.open(&listed)?.into_iter().collect();
    let hashed = in_parallel(cores(), opened.len(), |at| {
        hash(&opened[at].0, &opened[at].1)
    });
    for (found, wanted) in hashed.into_iter().zip(listed.values()) {
        match found {
            Ok(found) if found.sha256 == *wanted => {
                known.files.insert(found.name.clone(), Vouched(found));
            }
            Ok(found) => faults.push(format!(
                "{}: its SHA-256 is {}, but {} is listed",
                found.name,
                found.sha256.hex(),
                wanted.hex()
            )),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        known.files.clear();
        return Err(fault(known, &faults));
    }
    let count = known.files.len();
    let whole = match source.only() {
        Some(only) => format!("{only} and {} that tell of it are", count.saturating_sub(1)),
        None => format!("all {count} files are"),
    };
    let by = match policy.anchors.is_empty() {
        true => "what the sums list, which nobody vouches for",
        false => "what was signed",
    };
    let alone = match source {
        Source::Directory { only: None, .. } => ", and there is no other",
        _ => "",
    };
    let mut verdict = Verdict::passed(format!("{whole} {by}{alone}"));
    for redirect in source.redirects() {
        verdict = verdict.with(format!("{redirect}; the bytes are those that are listed"));
    }
    Ok(verdict)
}

fn hash(name: &str, file: &Result<File>) -> Result<Listed, String> {
    let file = match file {
        Ok(file) => file,
        Err(error) => return Err(format!("{name}: {}", missing(error))),
    };
    let read = || -> Result<Listed> {
        let mut file = file.try_clone().context("opening it again")?;
        let measured = Hasher::measure(&file, &[]).context("reading it")?;
        file.seek(SeekFrom::Start(0)).context("reading it")?;
        Ok(Listed {
            name: name.to_owned(),
            size: measured.size,
            sha256: measured.sha256,
            file,
        })
    };
    read().map_err(|error| format!("{name}: {error:#}"))
}

fn missing(error: &anyhow::Error) -> String {
    match is_absent(error) {
        true => "it is listed, but it is not there".to_owned(),
        false => format!("{error:#}"),
    }
}

fn fault(known: &Known, faults: &[String]) -> Fault {
    let more = faults.len().saturating_sub(TOLD);
    let mut lines: Vec<String> = faults.iter().take(TOLD).cloned().collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    Fault::new(lines.join("\n"))
        .at(known.shown())
        .help("fetch these files again; what is not listed does not belong there")
}

/// Whether it is the sums or a signature: what no sum can be of.
fn is_signature(name: &str, sums: &Sums) -> bool {
    if name == CHECKSUMS {
        return true;
    }
    let stem = SIGNATURES.iter().find_map(|end| name.strip_suffix(end));
    stem.is_some_and(|stem| {
        let of = |listed: &String| listed == stem || listed.strip_suffix(".json") == Some(stem);
        stem == CHECKSUMS || sums.keys().any(of)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signatures_of_what_is_listed_need_no_sum() {
        let sums: Sums = ["provenance.json", "disk.raw"]
            .map(|name| (name.to_owned(), Digest::sha256(b"")))
            .into();
        for name in [
            "SHA256SUMS",
            "SHA256SUMS.sig",
            "SHA256SUMS.sigstore.json",
            "provenance.intoto.jsonl",
            "disk.raw.sigstore.json",
        ] {
            assert!(is_signature(name, &sums), "{name}");
        }
        for name in [
            "evil.sig",
            "disk.sig.raw",
            "notes.txt",
            ".sig",
            "SHA256SUMS.txt",
        ] {
            assert!(!is_signature(name, &sums), "{name}");
        }
    }
}

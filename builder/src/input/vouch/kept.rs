//! `FILE.proofs`: the proofs of a lock, beside it. JSON lines in the order of their
//! digests, which the lock names; that makes its own digest cover them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_trust::proof::{MAX_FILE, MAX_PROOF};
use nodeimg_values::digest::{Digest, Expected};
use nodeimg_values::{atomic, regular};

use crate::input::lock::Lock;
use crate::store::{Lookup, Store, VerifiedBlob};

/// The end of their file's name, in the place of the lock's.
pub const EXTENSION: &str = "proofs";

/// The proofs beside a lock.
#[derive(Clone, Debug, Default)]
pub struct Proofs {
    /// As messages name the file.
    pub label: String,
    /// By digest: the number of the line, from 1, and its text.
    lines: BTreeMap<Digest, (usize, String)>,
}

impl Proofs {
    /// From the text of their file, which `label` names.
    pub fn of(label: &str, text: &str) -> Proofs {
        let text = text.trim_start_matches('\u{feff}');
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty());
        Proofs {
            label: label.to_owned(),
            lines: lines
                .map(|(at, line)| (Digest::sha256(line.as_bytes()), (at + 1, line.to_owned())))
                .collect(),
        }
    }

    /// The proofs beside the lock at `path`; none if there is no such file.
    pub fn beside(path: &Path) -> Result<Proofs> {
        let path = place(path)?;
        let label = path.display().to_string();
        match regular::read(&path, MAX_FILE as u64) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Proofs::of(&label, &text)),
                Err(_) => bail!(
                    "{label} is damaged (it is not text): restore it, or remove it and run \
                     `nodeimg lock --proofs`"
                ),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Proofs::of(&label, "")),
            Err(e) => Err(e).with_context(|| format!("reading the proofs {label}")),
        }
    }

    /// The line with this digest, from here or from the store.
    pub fn find(&self, digest: &Digest, store: Option<&Store>) -> Result<Option<String>> {
        if let Some((_, line)) = self.lines.get(digest) {
            return Ok(Some(line.clone()));
        }
        let Some(store) = store else {
            return Ok(None);
        };
        match store.find(&Expected::of(digest, None))? {
            Lookup::Found(blob) if blob.size() <= MAX_PROOF as u64 => {
                let text = fs::read_to_string(blob.path())
                    .with_context(|| format!("reading {}", blob.path().display()))?;
                Ok((Digest::sha256(text.as_bytes()) == *digest).then_some(text))
            }
            _ => Ok(None),
        }
    }

    /// The lines that `lock` does not name: changed ones, or of another lock.
    pub fn strangers(&self, lock: &Lock) -> Vec<String> {
        let named = named(lock);
        let strange = self
            .lines
            .iter()
            .filter(|(digest, _)| !named.contains(digest));
        let mut lines: Vec<usize> = strange.map(|(_, (line, _))| *line).collect();
        lines.sort_unstable();
        let said = |line: usize| {
            format!(
                "{}:{line}: not a proof that the lock names: the file is damaged, or it is of \
                 another lock; restore it, or write it again with `nodeimg lock --proofs`",
                self.label
            )
        };
        lines.into_iter().map(said).collect()
    }

    /// Adds the line of a proof; its digest.
    pub fn add(&mut self, line: String) -> Digest {
        let digest = Digest::sha256(line.as_bytes());
        self.lines.insert(digest.clone(), (0, line));
        digest
    }

    /// The file's text with what `lock` names and nothing else.
    pub fn text(&self, lock: &Lock) -> String {
        let named = named(lock);
        let kept = self
            .lines
            .iter()
            .filter(|(digest, _)| named.contains(digest));
        kept.map(|(_, (_, line))| format!("{line}\n")).collect()
    }

    /// Writes the proofs of `lock` beside it at `path`; without any, there is no file.
    pub fn write(&self, lock: &Lock, path: &Path) -> Result<()> {
        let path = place(path)?;
        let text = self.text(lock);
        if !text.is_empty() {
            return atomic::rewrite_file(&path, text.as_bytes());
        }
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("removing {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Puts the proofs of `lock` into the store, as a bundle takes them along.
    pub fn keep(&self, lock: &Lock, store: &Store) -> Result<Vec<VerifiedBlob>> {
        let mut blobs = Vec::new();
        for digest in named(lock) {
            let want = Expected::of(digest, None);
            if let Lookup::Found(blob) = store.find(&want)? {
                blobs.push(blob);
                continue;
            }
            let Some((_, line)) = self.lines.get(digest) else {
                continue;
            };
            let mut partial = store.partial(&digest.to_string(), &[])?;
            partial.start_over(&[])?;
            partial.write(line.as_bytes())?;
            match partial.commit(&want)? {
                Ok(blob) => blobs.push(blob),
                Err(rejected) => bail!("the proof {digest} became {}", rejected.got),
            }
        }
        Ok(blobs)
    }
}

fn named(lock: &Lock) -> BTreeSet<&Digest> {
    let artifacts = lock.pins.artifacts.iter().map(|pin| &pin.vouch);
    let images = lock.pins.images.iter().map(|pin| &pin.vouch);
    artifacts
        .chain(images)
        .filter_map(|vouch| vouch.proof.as_ref())
        .collect()
}

/// The file of the proofs of the lock at `path`.
fn place(path: &Path) -> Result<PathBuf> {
    let proofs = path.with_extension(EXTENSION);
    if proofs == path {
        bail!(
            "{}: a lock's proofs are in FILE.{EXTENSION}: give the lock another name",
            path.display()
        );
    }
    Ok(proofs)
}

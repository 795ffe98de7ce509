//! `nodeimg sign`: signatures of an output directory, apart from the build, which needs no key.
//!
//! ```text
//! target      the directory, by its own lists
//! keys        which key signs what
//! signatures  made by keys, or taken from what was published
//! esp, extension, update   what has signatures inside
//! apply       writes it all again, in one step
//! statement   digests in the statement of provenance
//! ```
//!
//! # Invariants
//! - A directory is signed as a whole or not at all, whenever the power fails.
//! - No file gets a signature, nor a checksum that is signed, that is not what its build wrote.
//! - Signed again by the same keys, it keeps its bytes, and so does whatever anybody else makes
//!   of the same build and the signatures.

mod apply;
pub mod esp;
pub mod extension;
mod keys;
pub mod signatures;
mod statement;
mod target;
mod update;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_signing::dsse;
use nodeimg_signing::signer::{Exchange, Signer};
use nodeimg_values::atomic::CHECKSUMS;
use nodeimg_values::digest::Hasher;

pub use apply::SIGNATURE;
pub use keys::Keys;
pub use statement::SIGNED;
pub use target::{MANIFEST, Target, sums};

use apply::{Changes, Staged};
use esp::Esp;
use signatures::Signatures;
use update::Update;

/// How it ended.
#[derive(Debug)]
pub enum Outcome {
    /// With the names of the files that were written.
    Signed(Vec<String>),
    Unchanged,
    /// These messages are to be signed elsewhere; nothing was changed.
    Wanted(Vec<String>),
}

/// Signs a directory.
pub fn sign(directory: &Path, keys: &Keys<'_>, exchange: Option<&Exchange>) -> Result<Outcome> {
    let target = Target::open(directory)?;
    let (esp, update) = (Esp::of(&target)?, Update::of(&target)?);
    let made = Signatures::by(keys, &target, esp.as_ref(), update.as_ref())?;
    if let Some(wanted) = wanted(exchange) {
        return Ok(Outcome::Wanted(wanted));
    }
    if made.is_empty() && keys.checksums.is_none() {
        bail!(
            "{} has nothing that these keys sign: [[secure_boot]] signs the outputs `disk`, \
             `uki` and `update`, [root_hash] signs `root` and `sysext`, [checksums] every one",
            directory.display()
        );
    }
    let changes = Changes::of(&target, esp.as_ref(), update.as_ref(), &made)?;
    if changes.is_empty() && is_signed(&target, keys.checksums.as_ref())? {
        return Ok(Outcome::Unchanged);
    }
    let staged = apply::stage(&target, esp.as_ref(), &changes)?;
    if let Some(signer) = &keys.checksums {
        sign_last(&staged, signer)?;
    }
    match wanted(exchange) {
        Some(wanted) => Ok(Outcome::Wanted(wanted)),
        None => staged.commit().map(Outcome::Signed),
    }
}

fn wanted(exchange: Option<&Exchange>) -> Option<Vec<String>> {
    let wanted = exchange.map(Exchange::wanted);
    wanted.filter(|wanted| !wanted.is_empty())
}

/// The checksums, which are of all else, and the statement.
fn sign_last(staged: &Staged, signer: &Signer<'_>) -> Result<()> {
    if let Some(signature) = signer.sign(CHECKSUMS, staged.sums.as_bytes())? {
        staged.add(SIGNATURE, &signature)?;
    }
    let listed = target::sums(&staged.sums)?;
    for (name, envelope) in update::names(listed.keys()) {
        if let Some(line) = update::sign(signer, name, &staged.bytes(name)?)? {
            staged.add(&envelope, line.as_bytes())?;
        }
    }
    if let Some(statement) = &staged.statement
        && let Some(line) = dsse::sign(signer, statement::NAME, dsse::IN_TOTO, statement)?
    {
        staged.add(statement::SIGNED, line.as_bytes())?;
    }
    Ok(())
}

/// Whether the checksums have this key's signature already, if they are to have one: that of a
/// key in a token may be another one each time.
fn is_signed(target: &Target, signer: Option<&Signer<'_>>) -> Result<bool> {
    let Some(signer) = signer else {
        return Ok(true);
    };
    let sums = target.bytes(CHECKSUMS)?.unwrap_or_default();
    let signature = target.bytes(SIGNATURE)?.unwrap_or_default();
    if !signer.public.has_signed(&sums, &signature) {
        return Ok(false);
    }
    for (name, envelope) in update::names(target.sums.keys()) {
        let manifest = target.bytes(name)?.unwrap_or_default();
        let envelope = target.bytes(&envelope)?.unwrap_or_default();
        if !update::is_signed(signer, &envelope, &manifest) {
            return Ok(false);
        }
    }
    if !target.has(statement::NAME) {
        return Ok(true);
    }
    let statement = target.bytes(statement::NAME)?.unwrap_or_default();
    let line = target.bytes(statement::SIGNED)?.unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let body = dsse::verify(&line, dsse::IN_TOTO, &signer.public);
    Ok(body.is_ok_and(|body| body == statement))
}

/// Gives what was just built the signatures of a directory that was published, and compares all
/// of both.
///
/// # Errors
/// They differ: the error names the files.
pub fn as_published(directory: &Path, published: &Path) -> Result<()> {
    let target = Target::open(directory)?;
    let theirs = Target::open(published)?;
    let (esp, their_esp) = (Esp::of(&target)?, Esp::of(&theirs)?);
    let found = Signatures::of(&theirs, their_esp.as_ref(), Update::of(&theirs)?.as_ref())?;
    // Another disk could not take them.
    let fits = |name: &String| target.has(name);
    let found = Signatures {
        extensions: found
            .extensions
            .into_iter()
            .filter(|(name, _)| fits(name))
            .collect(),
        ..found
    };
    let ours = Update::of(&target)?;
    let changes = Changes::of(&target, esp.as_ref(), ours.as_ref(), &found)?;
    let staged = apply::stage(&target, esp.as_ref(), &changes)?;
    let text = theirs.bytes(CHECKSUMS)?.unwrap_or_default();
    if text == staged.sums.as_bytes() {
        let envelopes = update::names(theirs.sums.keys()).map(|(_, envelope)| envelope);
        for name in [SIGNATURE, statement::SIGNED]
            .map(str::to_owned)
            .into_iter()
            .chain(envelopes)
        {
            if let Some(bytes) = theirs.bytes(&name)? {
                staged.add(&name, &bytes)?;
            }
        }
    }
    staged.commit()?;
    compare(directory, published, &theirs)
}

fn compare(directory: &Path, published: &Path, theirs: &Target) -> Result<()> {
    let ours = Target::open(directory)?;
    let mut others = Vec::new();
    for name in ours.sums.keys().chain(theirs.sums.keys()) {
        let is_same = match (ours.sums.get(name), theirs.sums.get(name)) {
            // Their bytes, whatever their list says.
            (Some(sum), Some(_)) => {
                let file = theirs.file(name)?;
                let measured = Hasher::measure(file, &[])
                    .with_context(|| format!("reading {}", theirs.path(name).display()))?;
                measured.sha256.hex() == sum
            }
            _ => false,
        };
        if !is_same && !others.contains(name) {
            others.push(name.clone());
        }
    }
    let same = |name: &str| {
        let read = |target: &Target| fs::read(target.path(name)).ok();
        read(&ours) == read(theirs)
    };
    if others.is_empty() && same(CHECKSUMS) {
        return Ok(());
    }
    bail!(
        "{} is not what this recipe and lock build: {} (was it built by the same version of \
         nodeimg, from this lock, with the same outputs?); what was built is in {}",
        published.display(),
        match others.as_slice() {
            [] => format!("{CHECKSUMS} differs"),
            some => format!("{} differ", some.join(", ")),
        },
        directory.display()
    )
}

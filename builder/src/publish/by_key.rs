//! An image that somebody else has built from the same: found by its build key, taken only if
//! one of the keys that are trusted has signed it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use nodeimg_formats::update;
use nodeimg_signing::certificate::PublicKey;
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::CHECKSUMS;
use nodeimg_values::regular;

use super::address::Address;
use super::pull::{NotThere, Part, Pulled, pull};
use crate::input::fetch::Fetcher;
use crate::output::provenance;
use crate::output::sign::{SIGNATURE, SIGNED, sums};

/// Of a list or a statement, in bytes.
const MAX: u64 = 256 << 20;

/// The tag of a build key.
pub fn tag(key: &str) -> String {
    format!("key-{key}")
}

/// Takes the image of `key` into `directory`; `None` if the repository has none.
///
/// # Errors
/// There is one that none of `trusted` has signed as the image of that key.
pub fn take(
    fetcher: &Fetcher<'_>,
    repository: &Address,
    key: &str,
    arch: Arch,
    trusted: &[PublicKey],
    directory: &Path,
) -> Result<Option<Pulled>> {
    let tag = tag(key);
    let address = Address {
        reference: repository.reference.tagged(&tag)?,
        tag: Some(tag),
    };
    let checked = |staged: &Path, files: &[String]| {
        check(staged, files, key, trusted).with_context(|| address.to_string())
    };
    match pull(
        fetcher,
        &address,
        Some(arch),
        &Part::All,
        directory,
        checked,
    ) {
        Ok(pulled) => Ok(Some(pulled)),
        Err(error) if error.is::<NotThere>() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files are those of their checksums; that these are signed, complete, and of this key.
fn check(staged: &Path, files: &[String], key: &str, trusted: &[PublicKey]) -> Result<()> {
    let read = |name: &str| {
        let path = staged.join(name);
        regular::read(&path, MAX).with_context(|| format!("it has no {name}"))
    };
    let (text, signature) = (read(CHECKSUMS)?, read(SIGNATURE)?);
    if !trusted.iter().any(|key| key.has_signed(&text, &signature)) {
        bail!("its {CHECKSUMS} is not signed by a key of --published-key");
    }
    let listed = sums(&String::from_utf8_lossy(&text)).context(CHECKSUMS)?;
    let beside = [CHECKSUMS, SIGNATURE, SIGNED];
    for name in files {
        let is_known = listed.contains_key(name)
            || beside.contains(&name.as_str())
            || name.ends_with(update::SIGNED_SUFFIX);
        ensure!(
            is_known,
            "it has {name}, which its {CHECKSUMS} does not list"
        );
    }
    for name in listed.keys() {
        ensure!(
            files.contains(name),
            "it lacks {name}, which its {CHECKSUMS} lists"
        );
    }
    // An older image, signed as well, may be put under this tag.
    let own = provenance::build_key(&read(provenance::FILE)?);
    ensure!(
        own.as_deref() == Some(key) && listed.contains_key(provenance::FILE),
        "its provenance names another build key"
    );
    Ok(())
}

//! Whether each `verify` of a recipe can be met at all.

use super::{OpenPgpPart, SigstorePart, VerifyPart};
use crate::input::recipe::file::{ArtifactKind, ArtifactPart, RecipeFile};
use crate::input::recipe::problems::Problems;
use crate::input::recipe::source::Step;

/// Every `verify` of the recipe.
pub fn check(file: &RecipeFile, problems: &mut Problems<'_>) {
    for part in &file.artifact {
        if let Some(verify) = &part.verify {
            for (keys, message) in wrong(verify, part) {
                let mut way = vec![
                    Step::Key("artifact"),
                    Step::Named(part.name.as_str()),
                    Step::Key("verify"),
                ];
                way.extend(keys.iter().map(|key| Step::Key(key)));
                problems.add(&way, &message);
            }
        }
    }
}

/// What is wrong, each at its key.
type Wrong = Vec<(&'static [&'static str], String)>;

fn wrong(verify: &VerifyPart, part: &ArtifactPart) -> Wrong {
    let mut found: Wrong = Vec::new();
    let is_image = part.kind == Some(ArtifactKind::OciImage);
    let ways = [
        verify.sigstore.is_some(),
        verify.openpgp.is_some(),
        verify.release.is_some(),
        verify.sources.is_some(),
    ];
    match &verify.none {
        Some(_) if ways.contains(&true) => {
            found.push((&["none"], "`none` excludes every other way".to_owned()));
        }
        Some(reason) if reason.trim().is_empty() => {
            let why = "say why nobody vouches for it: `none = \"built by ourselves\"`";
            found.push((&["none"], why.to_owned()));
        }
        None if !ways.contains(&true) => {
            let why = "set `sigstore`, `openpgp`, `release` or `sources`, or `none = \"REASON\"`";
            found.push((&[], why.to_owned()));
        }
        _ => {}
    }
    if is_image && ways[1..].contains(&true) {
        let why = "a container image is vouched for by `sigstore` only, in its registry";
        found.push((&[], why.to_owned()));
    }
    if let Some(sigstore) = &verify.sigstore {
        found.extend(wrong_sigstore(sigstore, is_image));
    }
    if let Some(openpgp) = &verify.openpgp {
        found.extend(wrong_openpgp(openpgp));
    }
    if let Some(release) = &verify.release
        && !is_repository(&release.repository)
    {
        let why = format!(
            "`{}` is not `OWNER/NAME`",
            release.repository.escape_debug()
        );
        found.push((&["release", "repository"], why));
    }
    found.extend(wrong_sources(verify, part));
    found
}

fn wrong_sigstore(part: &SigstorePart, is_image: bool) -> Wrong {
    let mut found: Wrong = Vec::new();
    let identities = part.identity.as_slice();
    if identities.is_empty() || identities.iter().any(|one| one.trim().is_empty()) {
        let why = "empty: name who must have signed";
        found.push((&["sigstore", "identity"], why.to_owned()));
    }
    for one in identities {
        if one.contains(['*', '^', '$']) || one.contains(char::is_whitespace) {
            let why = format!(
                "`{}` is a pattern, but an identity is exact; `{{version}}` is filled in",
                one.escape_debug()
            );
            found.push((&["sigstore", "identity"], why));
        }
        if other_placeholder(one) {
            let why = format!("`{one}` has a placeholder other than `{{version}}`");
            found.push((&["sigstore", "identity"], why));
        }
    }
    if !part.issuer.starts_with("https://") {
        let why = "not an https URL: `https://accounts.google.com`";
        found.push((&["sigstore", "issuer"], why.to_owned()));
    }
    let files = [
        &part.bundle,
        &part.signature,
        &part.certificate,
        &part.attestation,
        &part.sums,
    ];
    let has_file = files.iter().any(|file| file.is_some());
    if is_image && has_file {
        let why = "an image's signatures are in its registry: leave `bundle`, `signature`, \
                   `certificate` and `attestation` out";
        found.push((&["sigstore"], why.to_owned()));
    }
    if !is_image && !has_file {
        let why = "say where the signature is: `bundle`, `signature` and `certificate`, or \
                   `attestation`";
        found.push((&["sigstore"], why.to_owned()));
    }
    if part.signature.is_some() != part.certificate.is_some() {
        let why = "`signature` and `certificate` go together";
        found.push((&["sigstore"], why.to_owned()));
    }
    if part.sums.is_some() && part.bundle.is_none() && part.signature.is_none() {
        let why = "say where the signature of that list is: `bundle`, or `signature` and \
                   `certificate`";
        found.push((&["sigstore", "sums"], why.to_owned()));
    }
    if let Some(repository) = &part.repository
        && !is_repository(repository)
    {
        let why = format!("`{}` is not `OWNER/NAME`", repository.escape_debug());
        found.push((&["sigstore", "repository"], why));
    }
    found
}

fn wrong_openpgp(part: &OpenPgpPart) -> Wrong {
    let mut found: Wrong = Vec::new();
    let left = part.keys.iter().filter(|key| !part.revoked.contains(key));
    if left.count() == 0 {
        let why = match part.keys.is_empty() {
            true => "empty: name the fingerprint of each key that may sign",
            false => "every one of them is in `revoked`",
        };
        found.push((&["openpgp", "keys"], why.to_owned()));
    }
    found
}

fn wrong_sources(verify: &VerifyPart, part: &ArtifactPart) -> Wrong {
    let mut found: Wrong = Vec::new();
    let Some(wanted) = verify.sources else {
        if !verify.stated_by.is_empty() {
            let why = "only with `sources`";
            found.push((&["stated_by"], why.to_owned()));
        }
        return found;
    };
    let named = usize::from(part.checksum.is_some()) + verify.stated_by.len();
    if wanted < 2 {
        let why = "at least 2: one source alone may be whoever serves the file";
        found.push((&["sources"], why.to_owned()));
    } else if usize::from(wanted) > named {
        let why = format!(
            "{wanted}, but only {named} are named: the artifact's `checksum`, and URLs in \
             `stated_by`"
        );
        found.push((&["sources"], why));
    }
    found
}

fn is_repository(text: &str) -> bool {
    let parts: Vec<_> = text.split('/').collect();
    let is_part = |part: &&str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !part.is_empty() && part.chars().all(inner) && !part.starts_with('.')
    };
    parts.len() == 2 && parts.iter().all(is_part)
}

fn other_placeholder(text: &str) -> bool {
    text.replace("{version}", "").contains(['{', '}'])
}

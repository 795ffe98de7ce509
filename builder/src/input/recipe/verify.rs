//! Who vouches for an input: `[artifact.verify]`, and `[trust]`, which says how much of
//! that a build demands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Result, bail};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::file::{ArtifactKind, ArtifactPart, RecipeFile};
use super::problems::Problems;
use super::source::Step;
use super::url::UrlTemplate;
use super::value::{Version, text_value};

/// What a build demands of whoever vouches for its inputs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustPart {
    /// How well every artifact and image must be vouched for; `any` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Require>,
    /// Files with trusted roots of Sigstore, relative to this recipe: of a private one, or
    /// newer than those inside nodeimg, as `nodeimg trust update` writes them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roots: BTreeMap<SigstoreInstance, String>,
}

impl TrustPart {
    pub(super) fn over(self, base: TrustPart) -> TrustPart {
        TrustPart {
            require: self.require.or(base.require),
            roots: base.roots.into_iter().chain(self.roots).collect(),
        }
    }
}

/// Whose Sigstore.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Debug,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SigstoreInstance {
    /// sigstore.dev.
    #[default]
    PublicGood,
    /// GitHub's own, of private repositories.
    Github,
    /// The one whose root is in `[trust] roots`, or that of `--trusted-root`.
    Private,
}

impl SigstoreInstance {
    pub const ALL: [SigstoreInstance; 3] = [
        SigstoreInstance::PublicGood,
        SigstoreInstance::Github,
        SigstoreInstance::Private,
    ];

    pub fn name(self) -> &'static str {
        match self {
            SigstoreInstance::PublicGood => "public-good",
            SigstoreInstance::Github => "github",
            SigstoreInstance::Private => "private",
        }
    }
}

/// How well an input must be vouched for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// By whatever can be had; `lock` prints what is missing.
    #[default]
    Any,
    /// By a signature, or by two sources that are independent of each other.
    Sources,
    /// By a signature.
    Signed,
    /// As its `verify` says; an artifact without `verify` is refused.
    Strict,
}

impl Require {
    pub fn name(self) -> &'static str {
        match self {
            Require::Any => "any",
            Require::Sources => "sources",
            Require::Signed => "signed",
            Require::Strict => "strict",
        }
    }
}

/// Who vouches for an artifact. Of several ways the first that its publisher offers is
/// taken, in this order: `sigstore`, `openpgp`, `release`, `sources`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyPart {
    /// A signature of Sigstore, by an exact identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigstore: Option<SigstorePart>,
    /// A detached OpenPGP signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openpgp: Option<OpenPgpPart>,
    /// An immutable release of GitHub, which GitHub attests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleasePart>,
    /// How many independent sources must state the digest: the publisher's `checksum`
    /// counts as one, each of `stated_by` on another host as one more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<u8>,
    /// URLs of texts by others that state the digest, for `sources`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stated_by: Vec<UrlTemplate>,
    /// Why nobody vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<String>,
}

/// A signature of Sigstore, and where it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigstorePart {
    /// Who must have signed, exactly: a mail address or the URL of a workflow;
    /// `{version}` is filled in. A list allows any of them, as while a publisher moves
    /// from one to another.
    pub identity: OneOrMore,
    /// Who vouches for that identity: `https://accounts.google.com`.
    pub issuer: String,
    /// The URL of a bundle, `{url}.sigstore.json`; tried before the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<UrlTemplate>,
    /// The URL of a detached signature, which goes with `certificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<UrlTemplate>,
    /// The URL of the certificate of `signature`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<UrlTemplate>,
    /// The URL of in-toto attestations, one bundle a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation: Option<UrlTemplate>,
    /// The repository that an attestation must be of, `containerd/containerd`; by default
    /// the one in `identity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Whose Sigstore; `public-good` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<SigstoreInstance>,
    /// The transparency log to ask for the entry of `signature`;
    /// `https://rekor.sigstore.dev` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<UrlTemplate>,
}

/// A detached OpenPGP signature.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenPgpPart {
    /// Fingerprints of the primary keys that may sign; any of them.
    pub keys: Vec<Fingerprint>,
    /// The URL of the signature, `{url}.asc`.
    pub signature: UrlTemplate,
    /// A file with these keys, relative to this recipe; by default nodeimg's own keyring,
    /// which has runc's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring: Option<String>,
    /// Fingerprints of keys that are trusted no more, whoever still lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<Fingerprint>,
}

/// An immutable release of GitHub.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleasePart {
    /// `containernetworking/plugins`.
    pub repository: String,
    /// The release's tag; `v{version}` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// One text, or a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub fn as_slice(&self) -> &[String] {
        match self {
            OneOrMore::One(one) => std::slice::from_ref(one),
            OneOrMore::More(more) => more,
        }
    }
}

/// The fingerprint of an OpenPGP key, of version 4 or 6, in upper case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

text_value!(
    Fingerprint,
    "^[0-9A-Fa-f ]{40,80}$",
    "the 40 or 64 hex digits of an OpenPGP fingerprint"
);

impl Fingerprint {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Fingerprint> {
        let hex: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let is_whole = matches!(hex.len(), 40 | 64);
        if !is_whole || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            bail!(
                "`{}` is not a whole fingerprint: an OpenPGP key is named by 40 hex digits (64 \
                 of version 6), since a shorter one can be forged",
                text.escape_debug()
            );
        }
        Ok(Fingerprint(hex.to_ascii_uppercase()))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl ReleasePart {
    pub fn tag(&self, version: &Version) -> String {
        let tag = self.tag.as_deref().unwrap_or("v{version}");
        filled(tag, version)
    }
}

/// `text` with its `{version}`.
pub fn filled(text: &str, version: &Version) -> String {
    text.replace("{version}", version.as_str())
}

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
        let why = format!("`{}` is not `OWNER/NAME`", release.repository.escape_debug());
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
    let files = [&part.bundle, &part.signature, &part.certificate, &part.attestation];
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
    parts.len() == 2 && parts.iter().all(|part| is_part(part))
}

fn other_placeholder(text: &str) -> bool {
    text.replace("{version}", "").contains(['{', '}'])
}

#[cfg(test)]
mod tests;

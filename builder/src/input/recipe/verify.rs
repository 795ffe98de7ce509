//! Who vouches for an input: `[artifact.verify]`, and `[trust]`, which says how much of
//! that a build demands.

mod check;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Result, bail};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::url::UrlTemplate;
use super::value::{Version, text_value};

pub use check::check;

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
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize, JsonSchema,
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
    /// By whatever is available; `lock` prints what is missing.
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
    /// The URL of a list of sums, or of an SPDX document with them, that names the file:
    /// `bundle`, or `signature` and `certificate`, are of this list then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sums: Option<UrlTemplate>,
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
    /// The URL of a list of sums that names the file: `signature` is of this list then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sums: Option<UrlTemplate>,
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

#[cfg(test)]
mod tests;

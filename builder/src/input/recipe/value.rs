//! The small values of a recipe, each checked where it is read, so that an
//! error can point at its line and column.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::tree::ImagePath;

/// Makes a checked text type: `FromStr` says what is wrong, serde and the JSON
/// Schema follow from it.
macro_rules! text_value {
    ($type:ident, $pattern:literal, $about:literal) => {
        impl TryFrom<String> for $type {
            type Error = anyhow::Error;

            fn try_from(text: String) -> Result<$type> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $about })
            }
        }
    };
}

pub(super) use text_value;

/// The name of a recipe or an artifact; it becomes part of file names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

text_value!(
    Name,
    "^[a-z0-9][a-z0-9._-]{0,62}$",
    "lowercase letters, digits, `.`, `_` and `-`"
);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Name> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let first = text
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphanumeric);
        if !first || text.len() > 63 || !text.bytes().all(inner) {
            bail!(
                "`{}` is not a valid name: use at most 63 lowercase letters, digits, `.`, `_` \
                 and `-`, the first a letter or digit",
                text.escape_debug()
            );
        }
        Ok(Name(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A version as its publisher writes it, without a leading `v`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

text_value!(
    Version,
    "^[0-9A-Za-z][0-9A-Za-z.+~-]{0,63}$",
    "a version without a leading `v`"
);

impl Version {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Major and minor number; zero if there is none.
    pub fn major_minor(&self) -> (u64, u64) {
        let mut parts = self
            .0
            .split(['.', '-', '+', '~'])
            .map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Version> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b".+~-".contains(&b);
        let first = text
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphanumeric);
        if !first || text.len() > 64 || !text.bytes().all(inner) {
            bail!(
                "`{}` is not a valid version: use letters, digits, `.`, `+`, `~` and `-`",
                text.escape_debug()
            );
        }
        let numbered = text
            .strip_prefix('v')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if numbered {
            bail!(
                "write the version without its `v`: `{}`; if a URL has one, write `v{{version}}`",
                &text[1..]
            );
        }
        Ok(Version(text.to_owned()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An artifact's version: one of its own, or `{kubernetes}`, the recipe's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ArtifactVersion {
    Own(Version),
    Kubernetes,
}

text_value!(
    ArtifactVersion,
    "^([0-9A-Za-z][0-9A-Za-z.+~-]{0,63}|\\{kubernetes\\})$",
    "a version without a leading `v`, or `{kubernetes}` for the recipe's key `kubernetes`"
);

const KUBERNETES: &str = "{kubernetes}";

impl FromStr for ArtifactVersion {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<ArtifactVersion> {
        if text == KUBERNETES {
            return Ok(ArtifactVersion::Kubernetes);
        }
        if text.contains(['{', '}']) {
            bail!(
                "`{}` is not a valid version: the only placeholder is `{KUBERNETES}`",
                text.escape_debug()
            );
        }
        text.parse().map(ArtifactVersion::Own)
    }
}

impl fmt::Display for ArtifactVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArtifactVersion::Own(version) => version.fmt(f),
            ArtifactVersion::Kubernetes => f.write_str(KUBERNETES),
        }
    }
}

/// A number of bytes, written with a binary unit: `"512 MiB"`. It is read as people write it
/// too (`6G`, `2g`, `1.5 gib`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub u64);

text_value!(
    ByteSize,
    "^[0-9]+([.][0-9]+)? ?([bB]|[kKmMgGtT]([iI][bB])?)$",
    "a size with its unit, `512 MiB`"
);

impl FromStr for ByteSize {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<ByteSize> {
        let shown = text.escape_debug();
        let number = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let (digits, unit) = (&text[..text.len() - number.len()], number.trim_start());
        let shift = match unit.to_ascii_lowercase().as_str() {
            "b" => 0,
            "k" | "kib" => 10,
            "m" | "mib" => 20,
            "g" | "gib" => 30,
            "t" | "tib" => 40,
            "" if !digits.is_empty() => {
                bail!("`{shown}` is not a size: add its unit, as in {digits}MiB or {digits}G")
            }
            "kb" | "mb" | "gb" | "tb" => {
                let letter = &unit[..1].to_ascii_uppercase();
                bail!(
                    "`{shown}` is not a size: {unit} is a power of 1000 for some and of 1024 for \
                     others; write {digits}{letter}iB or {digits}{letter} for powers of 1024"
                )
            }
            _ => bail!("`{shown}` is not a size: use a number and B, KiB, MiB, GiB or TiB"),
        };
        match bytes(digits, shift) {
            Some(size) => Ok(ByteSize(size)),
            None => bail!(
                "`{shown}` is not a size: the number is missing, too large, or not of whole bytes"
            ),
        }
    }
}

/// `digits`, which may have a fraction, times 2 to the power of `shift`.
fn bytes(digits: &str, shift: u32) -> Option<u64> {
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let whole: u128 = whole.parse().ok()?;
    let ten = 10u128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let part = part.parse::<u128>().ok()?.checked_mul(1 << shift)?;
    let exact = part % ten == 0;
    let all = whole.checked_mul(1 << shift)?.checked_add(part / ten)?;
    exact.then(|| u64::try_from(all).ok()).flatten()
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, unit) = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
            .into_iter()
            .find(|(shift, _)| self.0 != 0 && self.0.trailing_zeros() >= *shift)
            .unwrap_or((0, "B"));
        write!(f, "{} {unit}", self.0 >> shift)
    }
}

/// An [`ImagePath`] as a recipe writes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecipePath(pub ImagePath);

text_value!(
    RecipePath,
    "^/",
    "an absolute path in the image, without `..`"
);

impl FromStr for RecipePath {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<RecipePath> {
        Ok(RecipePath(text.parse()?))
    }
}

impl fmt::Display for RecipePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A DNS domain, as `cluster.local`
/// ([RFC 1123](https://www.rfc-editor.org/rfc/rfc1123#section-2) labels).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

text_value!(
    Domain,
    "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
    "a DNS domain"
);

impl Domain {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Domain> {
        let label = |part: &str| {
            (1..=63).contains(&part.len())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        if text.len() > 253 || !text.split('.').all(label) {
            bail!(
                "`{}` is not a DNS domain: use labels of a-z, 0-9 and `-`, joined by dots",
                text.escape_debug()
            );
        }
        Ok(Domain(text.to_owned()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a systemd unit or a kernel module, safe in a file of lines.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Word(String);

text_value!(
    Word,
    "^[A-Za-z0-9][A-Za-z0-9@._:\\\\-]*$",
    "one word: letters, digits, `@`, `.`, `_`, `:`, `-`"
);

impl Word {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Word {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Word> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"@._:\\-".contains(&b);
        if !text
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphanumeric)
            || !text.bytes().all(inner)
        {
            bail!(
                "`{}` is not a valid name: use letters, digits, `@`, `.`, `_`, `:` and `-`",
                text.escape_debug()
            );
        }
        Ok(Word(text.to_owned()))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;

//! Where an artifact is published.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use nodeimg_values::arch::Arch;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::value::text_value;

/// An https URL with `{version}`, `{arch}` and, in `checksum`, `{url}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlTemplate(String);

text_value!(
    UrlTemplate,
    "^(https://|\\{url\\})",
    "an https URL; `{version}`, `{arch}` and `{url}` are filled in"
);

impl UrlTemplate {
    /// `url` is what `{url}` stands for: the artifact's own URL.
    pub fn fill(&self, version: &str, arch: &str, url: &str) -> String {
        self.0
            .replace("{version}", version)
            .replace("{arch}", arch)
            .replace("{url}", url)
    }
}

impl UrlTemplate {
    /// Whether there is a version to be filled in.
    pub fn has_version(&self) -> bool {
        self.0.contains("{version}")
    }
}

impl FromStr for UrlTemplate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<UrlTemplate> {
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let Some(tail) = ["{version}", "{arch}", "{url}"]
                .iter()
                .find_map(|p| rest[start..].strip_prefix(p))
            else {
                bail!(
                    "`{text}` has a placeholder other than `{{version}}`, `{{arch}}` and `{{url}}`"
                );
            };
            rest = tail;
        }
        if text.starts_with("http://") {
            bail!(
                "`{text}` is not https; a plain http server can be a mirror (`--mirror FROM=TO`), never a source"
            );
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            bail!(
                "`{}` holds a blank or a control character: write it as in a browser's address, \
                 `%20` for a blank",
                text.escape_debug()
            );
        }
        let host = text
            .strip_prefix("https://")
            .and_then(|rest| rest.split('/').next());
        let whole = host.is_some_and(|host| !host.is_empty() && !host.contains('@'));
        if !(whole || text.starts_with("{url}")) {
            bail!(
                "`{}` is not an https URL without a user name",
                text.escape_debug()
            );
        }
        Ok(UrlTemplate(text.to_owned()))
    }
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One URL for every architecture, or one each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum PerArch {
    One(UrlTemplate),
    Each(BTreeMap<Arch, UrlTemplate>),
}

/// By hand: serde's own for untagged types swallows what is wrong with the URL.
impl<'de> Deserialize<'de> for PerArch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PerArch, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = PerArch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an https URL, or a table of one URL per architecture (amd64, arm64)")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PerArch, E> {
                text.parse().map(PerArch::One).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PerArch, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(PerArch::Each)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl PerArch {
    /// Whether it is nowhere.
    pub fn is_empty(&self) -> bool {
        matches!(self, PerArch::Each(urls) if urls.is_empty())
    }

    pub fn get(&self, arch: Arch) -> Option<&UrlTemplate> {
        match self {
            PerArch::One(url) => Some(url),
            PerArch::Each(urls) => urls.get(&arch),
        }
    }
}

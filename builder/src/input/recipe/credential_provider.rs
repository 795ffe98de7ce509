//! `[[credential_provider]]`: programs that the kubelet asks for the login of a registry.
//!
//! <https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/>

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use nodeimg_seed::contract::profile::Join;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::file::RecipeFile;
use super::problems::Problems;
use super::source::Step;
use super::value::{Name, text_value};
use super::{Artifact, ExtraFile};
use crate::tree::ImagePath;

/// Where the kubelet looks for the programs.
pub const DIRECTORY: &str = "/usr/libexec/kubernetes/credential-providers";

/// One program.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialProvider {
    /// The program's name in `/usr/libexec/kubernetes/credential-providers`, where an
    /// artifact or a file of this recipe puts it.
    pub name: Name,
    /// The images that it is asked for: `["*.dkr.ecr.*.amazonaws.com"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_images: Vec<String>,
    /// How long a login is kept if the program does not say it: `"12h"`; not at all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<GoDuration>,
    /// The version of the messages that it is asked in; `v1` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<ProviderApi>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// To give it a token of the pod's service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,
}

/// The version of the API between the kubelet and a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderApi {
    V1alpha1,
    V1beta1,
    #[default]
    V1,
}

/// What the kubelet tells a program of the pod's service account.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// The audience of the token.
    pub audience: String,
    /// Whether a login is good for the token or for the service account.
    pub cache_by: CacheBy,
    /// Whether pods without a service account go without the program.
    pub required: bool,
    /// Annotations of the service account that the program needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_annotations: Vec<String>,
    /// Annotations that it is told if they exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional_annotations: Vec<String>,
}

/// What a login belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum CacheBy {
    Token,
    ServiceAccount,
}

/// A duration as Go writes it, not negative.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GoDuration(String);

text_value!(
    GoDuration,
    "^(0|([0-9]+(ms|h|m|s))+)$",
    "a duration with its units, `12h` or `1h30m`"
);

impl FromStr for GoDuration {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<GoDuration> {
        let mut rest = text;
        while !rest.is_empty() && text != "0" {
            let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let known = ["ms", "h", "m", "s"].into_iter();
            let after = known.filter_map(|name| unit.strip_prefix(name)).next();
            match after {
                // More digits than these overflow.
                Some(after) if (1..=7).contains(&(rest.len() - unit.len())) => rest = after,
                _ => bail!(
                    "`{}` is not a duration: use whole numbers with h, m, s or ms, as `12h`",
                    text.escape_debug()
                ),
            }
        }
        if text.is_empty() {
            bail!("an empty duration: write `0` or `12h`");
        }
        Ok(GoDuration(text.to_owned()))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the kubelet would stop at, or never use.
pub fn check(
    file: &RecipeFile,
    artifacts: &[Artifact],
    files: &[ExtraFile],
    problems: &mut Problems<'_>,
) {
    for provider in &file.credential_provider {
        let name = provider.name.as_str();
        let table = [Step::Key("credential_provider"), Step::Named(name)];
        let path = format!("{DIRECTORY}/{name}").parse::<ImagePath>();
        let is_there = path.is_ok_and(|path| {
            let by_file = files.iter().any(|file| file.path == path);
            by_file || artifacts.iter().any(|artifact| artifact.provides(&path))
        });
        if !is_there {
            let message = format!(
                "no artifact's `files` installs `{DIRECTORY}/{name}`: the kubelet would not start"
            );
            problems.add(&[&table[..], &[Step::Key("name")]].concat(), &message);
        }
        images(provider, &table, problems);
        environment(provider, &table, problems);
        service_account(provider, &table, problems);
    }
    if !file.credential_provider.is_empty() {
        kubelet(file, problems);
    }
}

fn images(provider: &CredentialProvider, table: &[Step<'_>], problems: &mut Problems<'_>) {
    let way = [table, &[Step::Key("match_images")]].concat();
    if provider.match_images.is_empty() {
        let message = "missing: name the images that it is for, as `registry.example/team`";
        return problems.add(&way, message);
    }
    for (index, pattern) in provider.match_images.iter().enumerate() {
        if let Some(wrong) = wrong_pattern(pattern) {
            let way = [&way[..], &[Step::Index(index)]].concat();
            problems.add(&way, &format!("`{}` {wrong}", pattern.escape_debug()));
        }
    }
}

/// `HOST[:PORT][/PATH]`, with `*` in the host alone.
fn wrong_pattern(pattern: &str) -> Option<&'static str> {
    if pattern.contains("://") {
        return Some("has a scheme: write the host first, as an image's name does");
    }
    let (host, path) = pattern.split_once('/').unwrap_or((pattern, ""));
    let (host, port) = host.split_once(':').unwrap_or((host, "1"));
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-*".contains(c);
    if host.is_empty() || !host.chars().all(is_name) {
        return Some("has no host name: lowercase letters, digits, `-`, dots and `*`");
    }
    if port.parse::<u16>().is_err() {
        return Some("has no valid port number");
    }
    let is_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "./_-".contains(c);
    (!path.chars().all(is_path))
        .then_some("has a path that no image's name has (`*` is for the host alone)")
}

fn environment(provider: &CredentialProvider, table: &[Step<'_>], problems: &mut Problems<'_>) {
    for name in provider.env.keys() {
        if name.is_empty() || name.contains(|c: char| c == '=' || c.is_control() || c == ' ') {
            let way = [table, &[Step::Key("env"), Step::Key(name)]].concat();
            problems.add(&way, "not the name of an environment variable");
        }
    }
}

fn service_account(provider: &CredentialProvider, table: &[Step<'_>], problems: &mut Problems<'_>) {
    let Some(account) = &provider.service_account else {
        return;
    };
    let way = [table, &[Step::Key("service_account")]].concat();
    if provider.api_version.unwrap_or_default() != ProviderApi::V1 {
        problems.add(
            &way,
            "needs `api_version = \"v1\"`, which has a place for the token",
        );
    }
    if account.audience.is_empty() {
        problems.add(&[&way[..], &[Step::Key("audience")]].concat(), "empty");
    }
    let at = [&way[..], &[Step::Key("required_annotations")]].concat();
    if !account.required && !account.required_annotations.is_empty() {
        problems.add(&at, "needs `required = true`");
    }
    let twice = |key: &&String| account.optional_annotations.contains(key);
    if let Some(key) = account.required_annotations.iter().find(twice) {
        problems.add(
            &at,
            &format!("`{key}` is among `optional_annotations` as well"),
        );
    }
}

/// Its own flags say the same, and without Kubernetes there is none.
fn kubelet(file: &RecipeFile, problems: &mut Problems<'_>) {
    let joins = file.profile.map(|profile| profile.joins);
    if joins == Some(Join::Never) {
        let message = "has no effect: this profile has no kubelet";
        problems.add(&[Step::Key("credential_provider")], message);
    }
    for (index, argument) in file.kubelet.extra_args.iter().enumerate() {
        if argument
            .trim_start_matches('-')
            .starts_with("image-credential-provider-")
        {
            let way = [
                Step::Key("kubelet"),
                Step::Key("extra_args"),
                Step::Index(index),
            ];
            problems.add(
                &way,
                "nodeimg sets this flag for `credential_provider`: remove it",
            );
        }
    }
}

#[cfg(test)]
mod tests;

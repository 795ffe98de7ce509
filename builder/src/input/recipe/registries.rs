//! `[registries]`: where a node's container runtime gets images from, as far as all nodes
//! may know it. What is right is said by [`nodeimg_seed::check::registries`], for a seed
//! as well, which adds to it.

use std::collections::BTreeMap;
use std::path::Path;

use nodeimg_seed::check::registries::{self, Fault};
use nodeimg_seed::contract::registries::{Format, Public, Registries};
use nodeimg_values::regular;
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::file::RecipeFile;
use super::problems::Problems;
use super::source::Step;

/// One registry.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryPart {
    /// URLs of other places to pull its images from, the first to be tried first:
    /// `"https://mirror.example/dockerhub"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// Whether to ask the registry itself if no mirror has an image; yes by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<bool>,
    /// Whether to reach it without TLS; no by default. For a mirror, its URL says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plain_http: Option<bool>,
    /// A file with the certificates of its CA (PEM), relative to this recipe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// What is refused here, with the way out, and therefore never kept.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    cert: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    key: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    username: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    password: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    token: Option<IgnoredAny>,
}

impl RegistryPart {
    pub fn over(self, base: RegistryPart) -> RegistryPart {
        RegistryPart {
            // In the order of one author: another list replaces it.
            mirrors: match self.mirrors.is_empty() {
                true => base.mirrors,
                false => self.mirrors,
            },
            fallback: self.fallback.or(base.fallback),
            plain_http: self.plain_http.or(base.plain_http),
            ca: self.ca.or(base.ca),
            cert: self.cert.or(base.cert),
            key: self.key.or(base.key),
            username: self.username.or(base.username),
            password: self.password.or(base.password),
            token: self.token.or(base.token),
        }
    }

    /// The keys that it should not have.
    fn private(&self) -> Vec<&'static str> {
        let keys = [
            ("cert", &self.cert),
            ("key", &self.key),
            ("username", &self.username),
            ("password", &self.password),
            ("token", &self.token),
        ];
        let given = keys.into_iter().filter(|(_, value)| value.is_some());
        given.map(|(key, _)| key).collect()
    }
}

/// What every node of the image is told, for a runtime that reads it in this form.
pub fn check(
    file: &RecipeFile,
    format: Format,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, Public> {
    let mut all = BTreeMap::new();
    for (name, part) in &file.registries {
        for key in part.private() {
            let message = format!(
                "an image is the same for all its nodes, and anyone who has it can read it: \
                 give `{key}` in each node's seed, as `nodeimg.registries.\"{name}\".{key}`"
            );
            let way = [Step::Key("registries"), Step::Key(name), Step::Key(key)];
            problems.add_unquoted(&way, &message);
        }
        let public = Public {
            mirrors: part.mirrors.clone(),
            fallback: part.fallback,
            plain_http: part.plain_http,
            ca: part.ca.as_ref().and_then(|path| read(name, path, problems)),
        };
        all.insert(name.clone(), public);
    }
    let given: Registries = all
        .iter()
        .map(|(name, public)| (name.clone(), public.clone().into()))
        .collect();
    for fault in registries::check(format, &given)
        .err()
        .into_iter()
        .flatten()
    {
        told(file, &fault, problems);
    }
    all
}

fn read(name: &str, path: &str, problems: &mut Problems<'_>) -> Option<String> {
    let text = regular::read_text(Path::new(path));
    if let Err(error) = &text {
        let way = [Step::Key("registries"), Step::Key(name), Step::Key("ca")];
        problems.add(&way, &format!("reading {path}: {error}"));
    }
    text.ok()
}

fn told(file: &RecipeFile, fault: &Fault, problems: &mut Problems<'_>) {
    let mut way = vec![Step::Key("registries"), Step::Key(&fault.name)];
    way.extend(fault.key.map(Step::Key));
    way.extend(fault.item.map(Step::Index));
    let ca = file
        .registries
        .get(&fault.name)
        .and_then(|part| part.ca.as_ref());
    let place = match (fault.line, ca) {
        (Some(line), Some(path)) => format!("{path}:{line}: "),
        _ => String::new(),
    };
    let (reason, remedy) = (&fault.reason, &fault.remedy);
    problems.add(&way, &format!("{place}{reason}; {remedy}"));
}

#[cfg(test)]
mod tests;

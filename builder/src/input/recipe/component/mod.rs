//! The recipe's tables for the kubelet and kube-proxy, judged by what Kubernetes publishes
//! of the version that the recipe installs: each would print what is wrong and stop, on
//! every node, at its first start.
//!
//! ```text
//! flags       extra_args: unknown, removed, without value, or nodeimg's own
//! gone        flags of older versions, and what took their place
//! labels      what a kubelet may say of its node
//! gates       feature gates: unknown, locked, without those that they need
//! sealed      directories that nothing can be written to
//! rules       values of a configuration, by the names of fields
//! kubelet     what the kubelet's own validation refuses
//! kube_proxy  what kube-proxy's own validation refuses
//! sysctls     kernel parameters that both set, or want
//! ```

mod flags;
mod gates;
mod gone;
mod kube_proxy;
mod kubelet;
mod labels;
mod rules;
mod sealed;
mod sysctls;

use serde_json::Value;

use super::Artifact;
use super::file::RecipeFile;
use super::problems::Problems;
use super::services::OWNED_FIELDS;
use super::source::Step;
use super::value::Version;
use crate::input::published::{self, Part, Release, Wrong};
use crate::tree::ImagePath;
use rules::Rules;

pub use kubelet::{SHUTDOWN, SHUTDOWN_CRITICAL};

/// A program of Kubernetes whose configuration a recipe can change.
struct Component {
    /// Its table of the recipe.
    table: &'static str,
    program: &'static str,
    api: &'static str,
    kind: &'static str,
    parts: fn(&RecipeFile) -> (&toml::Table, &[String]),
    rules: fn(&mut Rules<'_>),
    /// Flags that the recipe may not give, and what to do instead.
    owned_flags: &'static [(&'static str, &'static str)],
}

const COMPONENTS: [Component; 2] = [
    Component {
        table: "kubelet",
        program: "kubelet",
        api: "kubelet.config.k8s.io/v1beta1",
        kind: "KubeletConfiguration",
        parts: |file| (&file.kubelet.config, &file.kubelet.extra_args),
        rules: kubelet::rules,
        owned_flags: flags::OF_KUBELET,
    },
    Component {
        table: "kube_proxy",
        program: "kube-proxy",
        api: "kubeproxy.config.k8s.io/v1alpha1",
        kind: "KubeProxyConfiguration",
        parts: |file| (&file.kube_proxy.config, &file.kube_proxy.extra_args),
        rules: kube_proxy::rules,
        owned_flags: flags::OF_KUBE_PROXY,
    },
];

/// Whether the programs that the recipe installs would start with what it says of them.
pub fn check(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    labels::check(file, problems);
    for component in &COMPONENTS {
        component.check(file, artifacts, problems);
    }
    sealed::check(file, artifacts, problems);
    sysctls::check(file, artifacts, problems);
}

impl Component {
    /// The version of the artifact that installs it.
    fn version<'a>(&self, artifacts: &'a [Artifact]) -> Option<&'a Version> {
        let path = format!("/usr/local/bin/{}", self.program);
        let path: ImagePath = path.parse().ok()?;
        let artifact = artifacts.iter().find(|artifact| artifact.provides(&path))?;
        Some(&artifact.version)
    }

    fn check(&self, file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
        let (config, arguments) = (self.parts)(file);
        let Some(version) = self.version(artifacts) else {
            return;
        };
        if config.is_empty() && arguments.is_empty() {
            return;
        }
        let minor = match version.major_minor() {
            (1, minor) => minor,
            // Another check tells that it is no Kubernetes of nodeimg's.
            _ => return,
        };
        let Some(release) = published::of(minor) else {
            if minor > published::NEWEST {
                self.unknown_version(version, problems);
            }
            return;
        };
        self.config(release, config, problems);
        self.flags(release, version, arguments, problems);
    }

    fn unknown_version(&self, version: &Version, problems: &mut Problems<'_>) {
        let (oldest, newest) = (published::OLDEST, published::NEWEST);
        let program = self.program;
        let message = format!(
            "nothing here was compared with what {program} {version} takes: nodeimg knows the \
             fields and flags of Kubernetes 1.{oldest} to 1.{newest}"
        );
        problems.warn(&[Step::Key(self.table)], &message);
    }

    fn config(&self, release: &Release, config: &toml::Table, problems: &mut Problems<'_>) {
        let is_owned = |key: &str| {
            OWNED_FIELDS
                .iter()
                .any(|(table, field, _)| *table == self.table && *field == key)
        };
        let own = config.iter().filter(|(key, _)| !is_owned(key));
        let document: Value = own.map(|(key, value)| (key.clone(), json(value))).collect();
        let mut wrongs = release.check(self.api, self.kind, &document);
        let mut rules = Rules::new(release, self.program, &document);
        rules.is_of_recipe = true;
        gates::of_config(&mut rules);
        (self.rules)(&mut rules);
        // What has another type than its field's is told once.
        rules
            .found
            .retain(|later| !wrongs.iter().any(|wrong| later.way == wrong.way));
        wrongs.extend(rules.found);
        for wrong in wrongs {
            let mut way = vec![Step::Key(self.table), Step::Key("config")];
            way.extend(wrong.way.iter().map(step));
            problems.add(&way, &wrong.message);
        }
    }
}

/// What the program refuses of a document of that kind, whose names, types and feature gates
/// are judged elsewhere. `is_part`: it is merged with others that are not known.
pub fn refused(release: &Release, kind: &str, document: &Value, is_part: bool) -> Vec<Wrong> {
    let Some(component) = COMPONENTS.iter().find(|component| component.kind == kind) else {
        return Vec::new();
    };
    let mut rules = Rules::new(release, component.program, document);
    rules.is_part = is_part;
    (component.rules)(&mut rules);
    rules.found
}

fn step(part: &Part) -> Step<'_> {
    match part {
        Part::Key(key) => Step::Key(key),
        Part::Index(index) => Step::Index(*index),
    }
}

/// As a program of Kubernetes will see what nodeimg writes of it.
pub fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(value) => Value::from(*value),
        // A type of TOML's own: in YAML it is text.
        toml::Value::Datetime(date) => Value::from(date.to_string()),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect(),
    }
}

/// A wrong value at a field of the configuration.
fn wrong(way: &[&str], message: String) -> Wrong {
    let way = way.iter().map(|key| Part::Key((*key).to_owned()));
    Wrong {
        way: way.collect(),
        message,
    }
}

#[cfg(test)]
mod tests;

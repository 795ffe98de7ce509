//! The rendered Kubernetes configuration against Kubernetes' published types:
//! every key exists in the version that the recipe installs, and every value is
//! of its type. `ci/kubernetes-schema` makes the tables of types.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::path::Path;

use nodeimg_seed::contract::profile::Service;
use nodeimg_seed::text::yaml::{self, Kind, Node};
use serde::Deserialize;
use serde_json::Value;

use crate::image::config::{credential_providers, kube_proxy, kubelet};
use crate::input::recipe::tests::recipe;
use crate::input::recipe::value::Version;
use crate::input::recipe::{self, Recipe, RecipeRef, built_in_names};
use crate::output::KINDS;

use super::FULL_PROVIDER;

/// Fields of each type, with their types.
#[derive(Deserialize)]
struct Schema {
    types: BTreeMap<String, BTreeMap<String, String>>,
}

impl Schema {
    /// Of the same minor release: within one, no field comes or goes.
    fn of(version: &Version) -> Self {
        let (major, minor) = version.major_minor();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/schema");
        let entries = std::fs::read_dir(&folder).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let head = format!("kubernetes-{major}.{minor}.");
        let path = paths.find(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(&head)
        });
        let path = path.unwrap_or_else(|| {
            panic!("no {head}* in tests/schema: run ci/kubernetes-schema {version}")
        });
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// What is wrong with a configuration file of the type, a line each.
    fn check(&self, kind: &str, text: &str) -> Vec<String> {
        let value = json(&yaml::parse(text).unwrap().unwrap());
        let mut wrong = Vec::new();
        self.value(kind, &value, kind, &mut wrong);
        wrong
    }

    fn value(&self, wanted: &str, value: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some(element) = wanted.strip_prefix("[]") {
            let Value::Array(items) = value else {
                return wrong.push(format!("{at}: {value} is not a list"));
            };
            for (index, item) in items.iter().enumerate() {
                self.value(element, item, &format!("{at}[{index}]"), wrong);
            }
        } else if let Some(element) = wanted.strip_prefix("map[string]") {
            let Value::Object(items) = value else {
                return wrong.push(format!("{at}: {value} is not a map"));
            };
            for (key, item) in items {
                self.value(element, item, &format!("{at}.{key}"), wrong);
            }
        } else if let Some(fields) = self.types.get(wanted) {
            let Value::Object(items) = value else {
                return wrong.push(format!("{at}: {value} is not {}", named(wanted)));
            };
            for (key, item) in items {
                match fields.get(key) {
                    Some(wanted) => self.value(wanted, item, &format!("{at}.{key}"), wrong),
                    None => wrong.push(format!("{at}.{key}: {wanted} has no such field")),
                }
            }
        } else if !fits(wanted, value) {
            wrong.push(format!("{at}: {value} is not {}", named(wanted)));
        }
    }
}

/// As YAML 1.1 has it, which is what Kubernetes reads.
fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Mapping(entries) => {
            let entry = |entry: &yaml::Entry| (entry.key.expose().to_owned(), json(&entry.value));
            entries.iter().map(entry).collect()
        }
        Kind::Sequence(items) => items.iter().map(json).collect(),
        Kind::Scalar(scalar) if scalar.plain => scalar
            .boolean()
            .map(Value::Bool)
            .or_else(|| scalar.text().parse::<i64>().ok().map(Value::from))
            .or_else(|| scalar.text().parse::<f64>().ok().map(Value::from))
            .unwrap_or_else(|| Value::from(scalar.text())),
        Kind::Scalar(scalar) => Value::from(scalar.text()),
    }
}

/// `a string`, `an int`.
fn named(kind: &str) -> String {
    let article = match kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => "an",
        false => "a",
    };
    format!("{article} {kind}")
}

fn fits(wanted: &str, value: &Value) -> bool {
    match wanted {
        "bool" => value.is_boolean(),
        "int" => value.is_i64(),
        "float" => value.is_number(),
        "string" => value.is_string(),
        "duration" => value.as_str().is_some_and(is_duration),
        "quantity" => value.is_string() || value.is_number(),
        "any" => true,
        _ => panic!("the schema has no type {wanted}"),
    }
}

/// As Go's time.ParseDuration takes them: "15m", "1h30m", "0".
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let unit = ["ms", "us", "ns", "h", "m", "s"].into_iter();
        let Some(after) = unit.filter_map(|unit| number.strip_prefix(unit)).next() else {
            return text == "0";
        };
        if number.len() == rest.len() {
            return false;
        }
        rest = after;
    }
    !text.is_empty()
}

/// The kubelet's and kube-proxy's configuration of a recipe.
fn rendered(recipe: &Recipe) -> (String, String) {
    let kubelet = kubelet::generate(recipe, false).unwrap().swap_remove(0);
    let proxy = kube_proxy::generate(recipe).unwrap().swap_remove(0);
    (kubelet.text, proxy.text)
}

fn kubelet_of(recipe: &Recipe) -> Option<&Version> {
    recipe.version_of(&"/usr/local/bin/kubelet".parse().unwrap())
}

#[test]
fn shipped_recipes_render_what_their_kubernetes_publishes() {
    let mut checked = Vec::new();
    for name in built_in_names() {
        let recipe = recipe::load(&RecipeRef::BuiltIn(name.to_owned()), &KINDS).unwrap();
        let of_profile = recipe.profile.has_service(Service::Kubelet);
        let Some(version) = kubelet_of(&recipe).filter(|_| of_profile) else {
            continue;
        };
        let schema = Schema::of(version);
        let (kubelet, proxy) = rendered(&recipe);
        assert_eq!(
            schema.check("KubeletConfiguration", &kubelet),
            [""; 0],
            "{name}"
        );
        assert_eq!(
            schema.check("KubeProxyConfiguration", &proxy),
            [""; 0],
            "{name}"
        );
        checked.push(version.to_string());
    }
    for version in ["1.36.4", "1.37.1"] {
        assert!(checked.contains(&version.to_owned()), "{checked:?}");
    }
}

/// Everything that a recipe can set by a field of its own, in every profile, by the
/// oldest Kubernetes that a recipe may have and all since.
#[test]
fn everything_that_a_recipe_can_say_is_published() {
    let full = "[cluster]\ncluster_cidr = [\"10.200.0.0/16\", \"fd00:200::/48\"]\nservice_cidr = [\"10.32.0.0/24\", \"fd00:32::/108\"]\n\
                cluster_dns = [\"10.32.0.10\"]\ncluster_domain = \"a.example\"\n[kubelet]\nmax_pods = 250\n\
                [kube_proxy]\nmode = \"nftables\"\n";
    for version in ["1.34.4", "1.35.4", "1.36.4", "1.37.1"] {
        let version: Version = version.parse().unwrap();
        let schema = Schema::of(&version);
        for profile in ["hard-way", "bootstrap"] {
            let recipe = recipe(&format!("profile = \"{profile}\"\n{full}"));
            let (kubelet, proxy) = rendered(&recipe);
            assert_eq!(schema.check("KubeletConfiguration", &kubelet), [""; 0]);
            assert_eq!(schema.check("KubeProxyConfiguration", &proxy), [""; 0]);
            assert!(kubelet.contains("maxPods: 250") && proxy.contains("nftables"));
            assert_eq!(
                kubelet.contains("rotateCertificates"),
                profile == "bootstrap"
            );
        }
    }
}

/// Every key of a credential provider.
#[test]
fn credential_providers_are_published() {
    for version in ["1.34.4", "1.35.4", "1.36.4", "1.37.1"] {
        let schema = Schema::of(&version.parse().unwrap());
        let recipe = recipe(FULL_PROVIDER);
        let files = credential_providers::generate(&recipe).unwrap();
        let wrong = schema.check("CredentialProviderConfig", &files[0].text);
        assert_eq!(wrong, [""; 0], "{version}");
    }
}

#[test]
fn the_judge_finds_what_is_wrong() {
    let version: Version = "1.37.1".parse().unwrap();
    let schema = Schema::of(&version);
    for (config, told) in [
        (
            "maxPod = 3",
            "KubeletConfiguration.maxPod: KubeletConfiguration has no such field",
        ),
        (
            "podPidsLimit = \"3\"",
            "KubeletConfiguration.podPidsLimit: \"3\" is not an int",
        ),
        (
            "syncFrequency = \"soon\"",
            "KubeletConfiguration.syncFrequency: \"soon\" is not a duration",
        ),
        (
            "syncFrequency = 15",
            "KubeletConfiguration.syncFrequency: 15 is not a duration",
        ),
        (
            "tlsCipherSuites = \"X\"",
            "KubeletConfiguration.tlsCipherSuites: \"X\" is not a list",
        ),
        (
            "evictionHard = { a = 1 }",
            "KubeletConfiguration.evictionHard.a: 1 is not a string",
        ),
        (
            "memorySwap = { behavior = \"NoSwap\" }",
            "KubeletConfiguration.memorySwap.behavior: MemorySwapConfiguration has no such field",
        ),
        (
            "registerWithTaints = [{ key = \"a\", effects = \"NoSchedule\" }]",
            "KubeletConfiguration.registerWithTaints[0].effects: Taint has no such field",
        ),
    ] {
        let recipe = recipe(&format!("[kubelet.config]\n{config}\n"));
        let wrong = schema.check("KubeletConfiguration", &rendered(&recipe).0);
        assert_eq!(wrong, [told]);
    }
    let good = "[kubelet.config]\nsyncFrequency = \"1h30m0.5s\"\nevictionHard = { \"memory.available\" = \"100Mi\" }\n\
                registerWithTaints = [{ key = \"a\", effect = \"NoSchedule\" }]\nfeatureGates = { X = true }\n\
                logging = { options = { json = { infoBufferSize = \"0\" } } }\n";
    let (kubelet, _) = rendered(&recipe(good));
    assert_eq!(schema.check("KubeletConfiguration", &kubelet), [""; 0]);
}

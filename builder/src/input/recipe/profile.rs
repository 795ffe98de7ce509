//! What a recipe's profile needs from the rest of it. What a profile is says
//! [`nodeimg_seed::contract::profile`].

use nodeimg_seed::contract::profile::{Join, PROFILES, Profile, Service};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Artifact;
use super::file::{ClusterPart, KubeProxyPart, KubeletPart, ProxyMode, RecipeFile};
use super::output::named_schema;
use super::problems::Problems;
use super::runtime::Runtime;
use super::source::Step;
use super::value::Word;
use crate::tree::ImagePath;

/// The schema of a profile's name.
pub enum ProfileName {}

impl JsonSchema for ProfileName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Profile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = PROFILES
            .iter()
            .map(|profile| named_schema(profile.name, profile.summary));
        json_schema!({
            "description": "How much the node sets up by itself at first boot.",
            "oneOf": names.collect::<Vec<_>>()
        })
    }
}

/// What the profile cannot do without, and what it would not look at.
pub fn needs(
    file: &RecipeFile,
    runtime: &Runtime,
    artifacts: &[Artifact],
    problems: &mut Problems<'_>,
) {
    let Some(profile) = file.profile else {
        return;
    };
    let of_runtime = match profile.is_whole {
        true => Vec::new(),
        false => (runtime.programs)(file),
    };
    programs(profile, &of_runtime, artifacts, problems);
    if profile.is_whole && file.base.is_none() {
        let message = format!("{profile} is a whole system: add a table `[base]`");
        problems.add(&[Step::Key("profile")], &message);
    }
    if profile.has_service(Service::KubeProxy) {
        kube_proxy(profile, file, problems);
    }
    if let Some(why) = profile.refuses_cluster {
        no_cluster(file, why, problems);
        if profile.joins == Join::Never {
            no_kubernetes(file, why, problems);
        }
    }
}

/// Programs that artifacts must install; a whole system has the runtime's from packages.
fn programs(
    profile: &Profile,
    of_runtime: &[&'static str],
    artifacts: &[Artifact],
    problems: &mut Problems<'_>,
) {
    for program in profile.programs.iter().chain(of_runtime) {
        let Ok(path) = program.parse::<ImagePath>() else {
            continue;
        };
        if !artifacts.iter().any(|artifact| artifact.provides(&path)) {
            problems.add(
                &[Step::Key("profile")],
                &format!("{profile} needs `{program}`, which no artifact's `files` installs"),
            );
        }
    }
}

/// kube-proxy sets parameters of it before anything else loads it.
const CONNTRACK: &str = "nf_conntrack";

/// The modules that are loaded at boot: the recipe's, then what the profile needs besides.
pub fn modules(file: &RecipeFile) -> Vec<Word> {
    let mut modules = file.modules.clone();
    let has_proxy = file
        .profile
        .is_some_and(|profile| profile.has_service(Service::KubeProxy));
    let is_there = modules.iter().any(|module| module.as_str() == CONNTRACK);
    if has_proxy && !is_there {
        modules.extend(CONNTRACK.parse());
    }
    modules
}

fn kube_proxy(profile: &Profile, file: &RecipeFile, problems: &mut Problems<'_>) {
    if file.cluster.cluster_cidr.is_none() {
        let message = format!("missing: the profile {profile} needs the network of all pods");
        problems.add(&[Step::Key("cluster"), Step::Key("cluster_cidr")], &message);
    }
    let modules = |name: &str| file.modules.iter().any(|module| module.as_str() == name);
    if file.kube_proxy.mode == Some(ProxyMode::Ipvs) {
        for module in ["ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh"] {
            if !modules(module) {
                problems.add(
                    &[Step::Key("kube_proxy"), Step::Key("mode")],
                    &format!("ipvs needs `{module}` in `modules`"),
                );
            }
        }
    }
}

fn no_cluster(file: &RecipeFile, why: &str, problems: &mut Problems<'_>) {
    // No node is told it: the recipe's versions are compared with it.
    let cluster = ClusterPart {
        api_server_version: None,
        ..file.cluster.clone()
    };
    for (key, is_set) in [
        ("cluster", cluster != ClusterPart::default()),
        ("kubelet", file.kubelet != KubeletPart::default()),
        ("kube_proxy", file.kube_proxy != KubeProxyPart::default()),
    ] {
        if is_set {
            problems.add(&[Step::Key(key)], why);
        }
    }
}

fn no_kubernetes(file: &RecipeFile, why: &str, problems: &mut Problems<'_>) {
    if file.kubernetes.is_some() {
        problems.add(&[Step::Key("kubernetes")], why);
    }
    if file.cluster.api_server_version.is_some() {
        let way = [Step::Key("cluster"), Step::Key("api_server_version")];
        problems.add(&way, why);
    }
}

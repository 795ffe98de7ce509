//! What a recipe's profile and outputs need of the rest of it.

use super::Artifact;
use super::check::Problems;
use super::file::{
    ClusterPart, KubeProxyPart, KubeletPart, OutputKind, Profile, ProxyMode, RecipeFile,
};
use super::source::Step;
use crate::tree::ImagePath;

/// Which outputs can be made depends on whether there is a base system.
pub fn outputs_and_base(file: &RecipeFile, problems: &mut Problems<'_>) {
    for (index, output) in file.outputs.iter().enumerate() {
        if file.base.is_some() {
            continue;
        }
        let way = [Step::Key("outputs"), Step::Index(index)];
        if *output == OutputKind::RootfsTar {
            problems.add(
                &way,
                "`rootfs-tar` needs a base system: add a table `[base]`",
            );
        } else if output.is_of_disk() {
            problems.add(
                &way,
                "a disk needs a base system with a kernel: add a table `[base]`, or start with `extends = \"container-host\"`",
            );
        }
    }
}

/// Programs without which a node of the profile cannot work.
const HARD_WAY_PROGRAMS: [&str; 6] = [
    "/usr/local/bin/kubelet",
    "/usr/local/bin/kube-proxy",
    "/usr/local/bin/runc",
    "/usr/local/bin/crictl",
    "/usr/bin/containerd",
    "/usr/bin/containerd-shim-runc-v2",
];

const KUBEADM_PROGRAMS: [&str; 6] = [
    "/usr/local/bin/kubeadm",
    "/usr/local/bin/kubelet",
    "/usr/local/bin/runc",
    "/usr/local/bin/crictl",
    "/usr/bin/containerd",
    "/usr/bin/containerd-shim-runc-v2",
];

/// What the profile cannot do without, and what it would not look at.
pub fn needs(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    match file.profile {
        Some(Profile::HardWay) => services("hard-way", file, artifacts, problems),
        Some(Profile::Bootstrap) => services("bootstrap", file, artifacts, problems),
        Some(Profile::Kubeadm) => kubeadm(file, artifacts, problems),
        Some(Profile::ContainerHost) => container_host(file, problems),
        None => {}
    }
}

fn container_host(file: &RecipeFile, problems: &mut Problems<'_>) {
    if file.base.is_none() {
        problems.add(
            &[Step::Key("profile")],
            "container-host is a whole system: add a table `[base]`",
        );
    }
    let why = "has no effect: the profile container-host has no Kubernetes";
    no_cluster(file, why, problems);
    for (way, is_set) in [
        (&[Step::Key("kubernetes")][..], file.kubernetes.is_some()),
        (
            &API_SERVER_VERSION,
            file.cluster.api_server_version.is_some(),
        ),
    ] {
        if is_set {
            problems.add(way, why);
        }
    }
}

const API_SERVER_VERSION: [Step<'_>; 2] = [Step::Key("cluster"), Step::Key("api_server_version")];

/// Refuses what a profile would not look at.
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

fn programs(profile: &str, programs: &[&str], artifacts: &[Artifact], problems: &mut Problems<'_>) {
    for program in programs {
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

/// kubeadm writes the kubelet's configuration, and kube-proxy is a DaemonSet.
fn kubeadm(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    programs("kubeadm", &KUBEADM_PROGRAMS, artifacts, problems);
    no_cluster(
        file,
        "has no effect: with the profile kubeadm, kubeadm's configuration says it",
        problems,
    );
}

const CONNTRACK: &str = "nf_conntrack";

/// kubelet, kube-proxy and containerd as services, pods on a bridge.
fn services(profile: &str, file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    if file.cluster.cluster_cidr.is_none() {
        let message = format!("missing: the profile {profile} needs the network of all pods");
        problems.add(&[Step::Key("cluster"), Step::Key("cluster_cidr")], &message);
    }
    programs(profile, &HARD_WAY_PROGRAMS, artifacts, problems);
    let modules = |name: &str| file.modules.iter().any(|module| module.as_str() == name);
    if !modules(CONNTRACK) {
        let message = format!(
            "kube-proxy needs `{CONNTRACK}` here: it sets parameters of that module before anything loads it, and would fail"
        );
        problems.add(&[Step::Key("modules")], &message);
    }
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

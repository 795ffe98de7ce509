//! `hard-way`: kubelet, kube-proxy and containerd as services, pods on a bridge, and
//! certificates in the seed.

use nodeimg_seed::contract::settings;

use super::{Service, Spec};
use crate::input::recipe::file::{ProxyMode, RecipeFile};
use crate::input::recipe::problems::Problems;
use crate::input::recipe::runtime::CONTAINERD;
use crate::input::recipe::source::Step;

pub const SPEC: Spec = Spec {
    name: "hard-way",
    contract: settings::Profile::HardWay,
    layers: &["common", "hard-way"],
    runtime: &CONTAINERD,
    programs: &[
        "/usr/local/bin/kubelet",
        "/usr/local/bin/kube-proxy",
        "/usr/local/bin/runc",
        "/usr/local/bin/crictl",
    ],
    files: &[
        "/etc/cni/net.d/10-bridge.conflist",
        "/etc/cni/net.d/99-loopback.conf",
        "/etc/modules-load.d/kubernetes.conf",
        "/etc/sysctl.d/99-kubernetes.conf",
        "/etc/systemd/system/kube-proxy.service",
        "/etc/systemd/system/kubelet.service",
        "/opt/cni/bin/bridge",
        "/opt/cni/bin/host-local",
        "/opt/cni/bin/loopback",
        "/var/lib/kube-proxy/kube-proxy-config.yaml",
        "/var/lib/kubelet/kubelet-config.yaml",
    ],
    services: &[Service::Kubelet, Service::KubeProxy],
    kubelet_has_certificate: true,
    joins_by_kubeadm: false,
    is_whole: false,
    check: |file, problems| check("hard-way", file, problems),
};

const CONNTRACK: &str = "nf_conntrack";

/// For every profile with kube-proxy as a service.
pub fn check(profile: &str, file: &RecipeFile, problems: &mut Problems<'_>) {
    if file.cluster.cluster_cidr.is_none() {
        let message = format!("missing: the profile {profile} needs the network of all pods");
        problems.add(&[Step::Key("cluster"), Step::Key("cluster_cidr")], &message);
    }
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

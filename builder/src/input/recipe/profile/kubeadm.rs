//! `kubeadm`: kubeadm joins or makes the cluster. It writes the kubelet's configuration,
//! and kube-proxy is a DaemonSet.

use nodeimg_seed::contract::settings;

use super::{Spec, no_cluster};
use crate::input::recipe::runtime::CONTAINERD;

pub const SPEC: Spec = Spec {
    name: "kubeadm",
    contract: settings::Profile::Kubeadm,
    layers: &["common", "kubeadm"],
    runtime: &CONTAINERD,
    programs: &[
        "/usr/local/bin/kubeadm",
        "/usr/local/bin/kubelet",
        "/usr/local/bin/runc",
        "/usr/local/bin/crictl",
    ],
    files: &[
        "/etc/default/kubelet",
        "/etc/modules-load.d/kubernetes.conf",
        "/etc/sysctl.d/99-kubernetes.conf",
        "/etc/systemd/system/kubelet.service",
        "/opt/cni/bin/loopback",
    ],
    services: &[],
    kubelet_has_certificate: false,
    joins_by_kubeadm: true,
    is_whole: false,
    check: |file, problems| {
        let why = "has no effect: with the profile kubeadm, set it in kubeadm's configuration";
        no_cluster(file, why, problems);
    },
};

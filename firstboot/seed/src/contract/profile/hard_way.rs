//! `hard-way`: kubelet, kube-proxy and the container runtime as services, pods on a
//! bridge, and certificates in the seed.

use super::{Join, Profile, Service};

pub const PROFILE: Profile = Profile {
    name: "hard-way",
    summary: "kubelet, kube-proxy and the container runtime as services; certificates\n\
              come from the seed; bridge CNI with this node's pod subnet.",
    joins: Join::Certificate,
    layers: &["common", "hard-way"],
    programs: &[
        "/usr/local/bin/kubelet",
        "/usr/local/bin/kube-proxy",
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
    writable: &[],
    services: &[Service::Kubelet, Service::KubeProxy],
    refuses_cluster: None,
    is_whole: false,
};

//! `kubeadm`: kubeadm joins or creates the cluster. It writes the kubelet's
//! configuration, and kube-proxy is a DaemonSet.

use super::{Join, Profile};

pub const PROFILE: Profile = Profile {
    name: "kubeadm",
    summary: "kubeadm joins or creates the cluster, with a configuration from the seed.",
    joins: Join::Kubeadm,
    layers: &["common", "kubeadm"],
    programs: &[
        "/usr/local/bin/kubeadm",
        "/usr/local/bin/kubelet",
        "/usr/local/bin/crictl",
    ],
    files: &[
        "/etc/default/kubelet",
        "/etc/modules-load.d/kubernetes.conf",
        "/etc/sysctl.d/99-kubernetes.conf",
        "/etc/systemd/system/kubelet.service",
        "/opt/cni/bin/loopback",
    ],
    // kubeadm's controller manager mounts a directory below it, which kubeadm has made if it
    // is not there (`kubelet-plugins/volume/exec`); network plugins install programs there.
    writable: &["/usr/libexec/kubernetes"],
    services: &[],
    refuses_cluster: Some(
        "has no effect: with the profile kubeadm, set it in kubeadm's configuration",
    ),
    is_whole: false,
};

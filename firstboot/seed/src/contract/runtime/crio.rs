//! CRI-O, <https://cri-o.io>.

use super::Runtime;

pub static RUNTIME: Runtime = Runtime {
    name: "crio",
    summary: "CRI-O with crun or runc",
    unit: "crio.service",
    // cAdvisor has this path built in, and the kubelet knows CRI-O by its ending.
    socket: "unix:///var/run/crio/crio.sock",
    kubeadm_socket: "unix:///var/run/crio/crio.sock",
    state: &["/var/lib/containers", "/var/lib/crio"],
};

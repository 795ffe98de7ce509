//! containerd, <https://containerd.io>.

use super::Runtime;

pub static RUNTIME: Runtime = Runtime {
    name: "containerd",
    summary: "containerd with runc",
    unit: "containerd.service",
    socket: "unix:///var/run/containerd/containerd.sock",
    kubeadm_socket: "unix:///run/containerd/containerd.sock",
    state: &["/var/lib/containerd"],
};

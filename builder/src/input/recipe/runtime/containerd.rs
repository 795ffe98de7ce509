//! containerd.

use super::Runtime;

pub const CONTAINERD: Runtime = Runtime {
    program: "/usr/bin/containerd",
    programs: &["/usr/bin/containerd", "/usr/bin/containerd-shim-runc-v2"],
    files: &[
        "/etc/containerd/config.toml",
        "/etc/systemd/system/containerd.service",
    ],
    importer: "/usr/bin/ctr",
    importer_name: "containerd's `ctr`",
    socket: "unix:///var/run/containerd/containerd.sock",
};

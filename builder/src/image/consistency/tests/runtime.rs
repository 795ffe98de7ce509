//! Files of containerd's configuration in overlays.

use super::{refused, taken, warned};

const DROP_IN: &str = "/etc/containerd/conf.d/99-mine.toml";
const RUNTIMES: &str = "plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes";

#[test]
fn what_containerd_would_stop_at_or_ignore_is_refused() {
    for (text, parts) in [
        ("version = 4\n".to_owned(), ["99-mine.toml", "may not be higher than 3"]),
        ("version = 3\n[plugins\n".to_owned(), ["99-mine.toml", ":2:"]),
        ("version = 3\nroot = \"/data\"\n".to_owned(), ["root", "/var/lib/containerd"]),
        (
            "version = 3\ndisabled_plugins = [\"cri\"]\n".to_owned(),
            ["disabled_plugins", "no container runtime"],
        ),
        (
            format!("version = 3\n[{RUNTIMES}.x]\nruntime_typ = \"a\"\n"),
            ["runtime_typ", "`runtime_type`"],
        ),
        (
            format!("version = 3\n[{RUNTIMES}.x.options]\nSystemdCgroup = false\n"),
            ["SystemdCgroup", "both must agree"],
        ),
        (
            "version = 3\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.x]\nruntime_type = \"a\"\n".to_owned(),
            ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"],
        ),
        (
            "version = 3\n[plugins.\"io.containerd.cri.v1.runtime\".containerd]\ndefault_runtime_name = \"nvidia\"\n".to_owned(),
            ["default_runtime_name", "no runtime is called `nvidia`"],
        ),
        (
            "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry.mirrors.\"docker.io\"]\nendpoint = [\"https://m.example\"]\n".to_owned(),
            ["mirrors", "config_path"],
        ),
    ] {
        refused(&[(DROP_IN, 0o644, text.as_bytes())], &parts);
    }
    warned(
        &[(
            "/etc/containerd/conf.d/99-mine.conf",
            0o644,
            b"version = 3\n",
        )],
        &["has no effect", "*.toml"],
    );
}

/// As the tools of NVIDIA write them, and others.
#[test]
fn what_people_have_is_taken() {
    let nvidia = format!(
        "version = 3\n[plugins.\"io.containerd.cri.v1.runtime\".containerd]\ndefault_runtime_name = \"nvidia\"\n[{RUNTIMES}.nvidia]\nprivileged_without_host_devices = false\nruntime_engine = \"\"\nruntime_root = \"\"\nruntime_type = \"io.containerd.runc.v2\"\n[{RUNTIMES}.nvidia.options]\nBinaryName = \"/usr/bin/nvidia-container-runtime\"\nSystemdCgroup = true\n[{RUNTIMES}.nvidia-cdi]\nruntime_type = \"io.containerd.runc.v2\"\n"
    );
    let old = nvidia
        .replace("version = 3", "version = 2")
        .replace("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri");
    let stargz = "version = 3\n[proxy_plugins.stargz]\ntype = \"snapshot\"\naddress = \"/run/stargz.sock\"\n[plugins.\"io.containerd.cri.v1.images\"]\nsnapshotter = \"stargz\"\ndisable_snapshot_annotations = false\n";
    for text in [
        &nvidia,
        &old,
        stargz,
        "version = 3\n[debug]\nlevel = \"debug\"\n",
        "",
    ] {
        taken(&[(DROP_IN, 0o644, text.as_bytes())]);
    }
    // Two files are one configuration.
    let first = "version = 3\n[plugins.\"io.containerd.cri.v1.runtime\".containerd]\ndefault_runtime_name = \"nvidia\"\n";
    let second =
        format!("version = 3\n[{RUNTIMES}.nvidia]\nruntime_type = \"io.containerd.runc.v2\"\n");
    taken(&[
        (DROP_IN, 0o644, first.as_bytes()),
        ("/etc/containerd/conf.d/zz.toml", 0o644, second.as_bytes()),
    ]);
}

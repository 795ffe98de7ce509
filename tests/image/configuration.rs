//! What the programs of a node are told: read by other people's parsers.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{ARCHS, Copy, HOST, images};
use nodeimg_test_support::judge::{is_root, python_with};
use nodeimg_test_support::run::{Ran, clean, tool};

/// A YAML file of the image, by PyYAML.
fn yaml(path: &str) -> Option<Value> {
    let images = images()?;
    let python = python_with("yaml")?;
    let program = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let mut command = clean(Command::new(python));
    command
        .args(["-c", program])
        .arg(images.root("arm64").join(path.trim_start_matches('/')));
    Some(serde_json::from_str(&Ran::of(&mut command).good().out).unwrap())
}

/// The values of the tutorial's own file, and what it lacks.
#[test]
fn the_kubelets_configuration() {
    let Some(found) = yaml("/usr/lib/nodeimg/kubelet-config.yaml") else {
        return;
    };
    let want = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": "/var/lib/kubelet/ca.crt" },
        },
        "authorization": { "mode": "Webhook" },
        "cgroupDriver": "systemd",
        "clusterDNS": ["10.32.0.10"],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": "unix:///var/run/containerd/containerd.sock",
        "enableServer": true,
        "failSwapOn": false,
        "memorySwap": { "swapBehavior": "NoSwap" },
        "port": 10250,
        "registerNode": true,
        "resolvConf": "/run/systemd/resolve/resolv.conf",
        "runtimeRequestTimeout": "15m",
        "shutdownGracePeriod": "30s",
        "shutdownGracePeriodCriticalPods": "10s",
        "tlsCertFile": "/var/lib/kubelet/kubelet.crt",
        "tlsPrivateKeyFile": "/var/lib/kubelet/kubelet.key",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    });
    assert_eq!(found, want);
}

#[test]
fn kube_proxys_configuration() {
    let Some(found) = yaml("/usr/lib/nodeimg/kube-proxy-config.yaml") else {
        return;
    };
    let want = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": { "kubeconfig": "/var/lib/kube-proxy/kubeconfig" },
        "mode": "nftables",
        "nodePortAddresses": ["primary"],
        "clusterCIDR": "10.200.0.0/16",
    });
    assert_eq!(found, want);
}

#[test]
fn crictls_configuration() {
    let Some(found) = yaml("/etc/crictl.yaml") else {
        return;
    };
    let socket = "unix:///run/containerd/containerd.sock";
    assert_eq!(
        (&found["runtime-endpoint"], &found["image-endpoint"]),
        (&json!(socket), &json!(socket))
    );
}

#[test]
fn cni_configurations_are_json() {
    let Some(images) = images() else { return };
    for arch in ARCHS {
        let loopback: Value =
            serde_json::from_str(&images.text(arch, "/etc/cni/net.d/99-loopback.conf")).unwrap();
        assert_eq!(
            loopback,
            json!({"cniVersion": "1.1.0", "name": "lo", "type": "loopback"})
        );
        // Whoever writes beside it has nothing of the bridge before first boot.
        assert!(
            !images
                .root(arch)
                .join("etc/cni/net.d/10-bridge.conflist")
                .exists()
        );
    }
}

/// Containerd itself prints its active configuration.
#[test]
fn containerd_takes_its_configuration() {
    let Some(images) = images() else { return };
    let root = images.root(HOST);
    let mut dump = clean(Command::new(root.join("usr/bin/containerd")));
    dump.arg("--config")
        .arg(root.join("etc/containerd/config.toml"))
        .args(["config", "dump"]);
    let ran = Ran::of(&mut dump);
    if ran.err.contains("GLIBC_") {
        nodeimg_test_support::judge::missing(
            "a C library that is new enough for the image's containerd",
        );
        return;
    }
    let ran = ran.good();
    assert!(
        !ran.err.contains("level=error") && !ran.err.contains("level=warning"),
        "{}",
        ran.err
    );
    let found: toml::Table = ran.out.parse().unwrap();
    let images = &found["plugins"]["io.containerd.cri.v1.images"];
    let runtime = &found["plugins"]["io.containerd.cri.v1.runtime"];
    let runc = &runtime["containerd"]["runtimes"]["runc"];
    assert_eq!(runc["options"]["SystemdCgroup"].as_bool(), Some(true));
    assert_eq!(
        runc["options"]["BinaryName"].as_str(),
        Some("/usr/local/bin/runc")
    );
    assert_eq!(runc["runtime_type"].as_str(), Some("io.containerd.runc.v2"));
    assert_eq!(images["snapshotter"].as_str(), Some("overlayfs"));
    assert_eq!(
        runtime["containerd"]["default_runtime_name"].as_str(),
        Some("runc")
    );
    assert_eq!(
        images["pinned_images"]["sandbox"].as_str(),
        Some("registry.k8s.io/pause:3.10.2")
    );
    assert_eq!(runtime["stats_collect_period"].as_str(), Some("10s"));
    assert_eq!(runtime["cni"]["bin_dirs"][0].as_str(), Some("/opt/cni/bin"));
    assert_eq!(runtime["cni"]["conf_dir"].as_str(), Some("/etc/cni/net.d"));
    assert_eq!(
        images["registry"]["config_path"].as_str(),
        Some("/etc/containerd/certs.d")
    );
}

#[test]
fn kernel_settings() {
    let Some(images) = images() else { return };
    let lines = |path: &str| -> Vec<String> {
        let text = images.text("arm64", path);
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.map(str::to_owned).collect()
    };
    assert_eq!(
        lines("/etc/modules-load.d/kubernetes.conf"),
        ["overlay", "br_netfilter", "nf_conntrack"]
    );
    let sysctl = [
        "net.bridge.bridge-nf-call-ip6tables = 1",
        "net.bridge.bridge-nf-call-iptables = 1",
        "net.ipv4.ip_forward = 1",
    ];
    assert_eq!(lines("/etc/sysctl.d/99-kubernetes.conf"), sysctl);
}

/// On a node whose /var and /run are empty, systemd-tmpfiles recreates them.
#[test]
fn tmpfiles_make_what_must_be_there_at_boot() {
    let Some(images) = images() else { return };
    let copy = Copy::of(&images.root(HOST));
    fs::remove_dir_all(copy.path("/var")).unwrap();
    let mut command = Command::new("systemd-tmpfiles");
    if !is_root() {
        command = Command::new("unshare");
        command.args(["-r", "systemd-tmpfiles"]);
    }
    let mut command = clean(command);
    command
        .arg(format!("--root={}", copy.root().display()))
        .arg("--create");
    command.args(["nodeimg-hard-way.conf", "nodeimg-writable.conf"]);
    let Some(ran) = tool(&mut command) else {
        return;
    };
    let ran = ran.good();
    assert_eq!(ran.err, "");
    for path in [
        "/run/kubernetes",
        "/var/lib/kubernetes",
        "/var/lib/containerd",
        "/var/lib/etcd",
    ] {
        assert!(copy.path(path).is_dir(), "{path}");
    }
    for (path, target) in [
        (
            "/var/lib/kubelet/kubelet-config.yaml",
            "/usr/lib/nodeimg/kubelet-config.yaml",
        ),
        (
            "/var/lib/kube-proxy/kube-proxy-config.yaml",
            "/usr/lib/nodeimg/kube-proxy-config.yaml",
        ),
    ] {
        assert_eq!(
            fs::read_link(copy.path(path)).unwrap().to_str(),
            Some(target),
            "{path}"
        );
    }
}

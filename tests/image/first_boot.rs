//! The image's own first-boot binary makes a node of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{Copy, HOST, images};
use nodeimg_test_support::run::{Ran, clean, listing, tool};

/// A root that first boot has not seen, with a seed directory beside it.
pub struct Node {
    copy: Copy,
}

/// What `pod_subnet` and more say, where a test has no other wish.
pub const PLAIN: &str = "  pod_subnet: 10.200.0.0/24\n";

impl Node {
    /// `None` if there are no images, or no openssl.
    pub fn new(values: &str) -> Option<Node> {
        let node = Node {
            copy: Copy::of(&images()?.root(HOST)),
        };
        let pki = node.beside("pki");
        fs::create_dir(&pki).unwrap();
        issue(&pki, "ca", "/CN=Kubernetes", None)?;
        issue(
            &pki,
            "kubelet",
            "/O=system:nodes/CN=system:node:node-0",
            Some("ca"),
        )?;
        issue(
            &pki,
            "kube-proxy",
            "/O=system:node-proxier/CN=system:kube-proxy",
            Some("ca"),
        )?;
        node.seed(values);
        Some(node)
    }

    fn beside(&self, name: &str) -> std::path::PathBuf {
        self.copy.directory.path().join(name)
    }

    pub fn root(&self) -> std::path::PathBuf {
        self.copy.root()
    }

    pub fn text(&self, path: &str) -> String {
        self.copy.text(path)
    }

    /// A hard-way worker's seed, as seed data comes from a control plane's PKI.
    fn seed(&self, values: &str) {
        let block = |name: &str| {
            let text = fs::read_to_string(self.beside("pki").join(name)).unwrap();
            let lines: Vec<_> = text.lines().map(|line| format!("      {line}\n")).collect();
            format!("|\n{}", lines.concat())
        };
        let user_data = format!(
            "#cloud-config\nhostname: node-0\nnodeimg:\n{values}  \
             api_server: https://server.kubernetes.local:6443\n  \
             hosts: {{server.kubernetes.local: 192.168.10.100}}\n  ca: {}  \
             kubelet:\n    cert: {}    key: {}  kube_proxy:\n    cert: {}    key: {}",
            block("ca.crt"),
            block("kubelet.crt"),
            block("kubelet.key"),
            block("kube-proxy.crt"),
            block("kube-proxy.key"),
        );
        let seed = self.beside("seed");
        fs::create_dir_all(&seed).unwrap();
        fs::write(seed.join("user-data"), user_data).unwrap();
        fs::write(seed.join("meta-data"), "instance-id: iid-0\n").unwrap();
    }

    /// Runs the binary that is in the image.
    pub fn boot(&self) -> Ran {
        let mut command = clean(Command::new(self.copy.path("/usr/bin/nodeimg-firstboot")));
        command
            .arg("--root")
            .arg(self.root())
            .arg("--seed")
            .arg(self.beside("seed"));
        Ran::of(command.args(["--assume-address", "192.168.10.101/24"]))
    }
}

/// A key and a certificate, signed by `by` or by itself.
fn issue(directory: &Path, name: &str, subject: &str, by: Option<&str>) -> Option<()> {
    let mut request = clean(Command::new("openssl"));
    request
        .current_dir(directory)
        .args(["req", "-newkey", "ec", "-nodes", "-subj", subject]);
    request.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    request.args(["-keyout", &format!("{name}.key")]);
    let certificate = format!("{name}.crt");
    match by {
        None => request.args(["-x509", "-days", "2", "-out", &certificate]),
        Some(_) => request.args(["-new", "-out", "request.csr"]),
    };
    tool(&mut request)?.good();
    if let Some(by) = by {
        let mut sign = clean(Command::new("openssl"));
        sign.current_dir(directory)
            .args(["x509", "-req", "-in", "request.csr", "-days", "2"]);
        sign.args(["-CA", &format!("{by}.crt"), "-CAkey", &format!("{by}.key")]);
        Ran::of(sign.args(["-CAcreateserial", "-out", &certificate])).good();
    }
    Some(())
}

#[test]
fn a_seed_makes_a_node() {
    let values = "  node_ip: 192.168.10.101\n  pod_subnet: 10.200.7.0/24\n  \
                  labels: {zone: a, disk: ssd}\n  taints: ['dedicated=gpu:NoSchedule']\n";
    let Some(node) = Node::new(values) else {
        return;
    };
    let ran = node.boot().good();
    assert!(
        ran.err.contains("node-0") || ran.out.contains("node-0"),
        "{}{}",
        ran.out,
        ran.err
    );
    expect_bridge(&node);
    expect_values(&node);
    expect_credentials(&node);
    assert_eq!(node.text("/etc/hostname"), "node-0\n");
    assert!(node.text("/etc/hosts").lines().any(|line| {
        line.split_whitespace()
            .eq(["192.168.10.100", "server.kubernetes.local"])
    }));
    let result: serde_json::Value =
        serde_json::from_str(&node.text("/run/nodeimg/result.json")).unwrap();
    assert_eq!(result["outcome"], "applied", "{result}");

    // The next boot has nothing to do.
    let again = node.boot().good();
    let result: serde_json::Value =
        serde_json::from_str(&node.text("/run/nodeimg/result.json")).unwrap();
    assert_eq!(result["outcome"], "unchanged", "{} {result}", again.err);
}

/// The pod network of the seed's subnet.
#[track_caller]
fn expect_bridge(node: &Node) {
    let bridge: serde_json::Value =
        serde_json::from_str(&node.text("/etc/cni/net.d/10-bridge.conflist")).unwrap();
    let want = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "bridge",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{ "subnet": "10.200.7.0/24" }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    });
    assert_eq!(bridge, want);
}

/// What the units and the kubelet are given.
#[track_caller]
fn expect_values(node: &Node) {
    let environment = node.text("/etc/nodeimg/node.env");
    for line in [
        "NODE_NAME=node-0",
        "NODE_IP=192.168.10.101",
        "NODE_LABELS=disk=ssd,zone=a",
        "NODE_TAINTS=dedicated=gpu:NoSchedule",
        "KUBELET_NODE_ARGS=--hostname-override=node-0 --node-ip=192.168.10.101 \
         --node-labels=disk=ssd,zone=a --provider-id=",
    ] {
        assert!(
            environment.lines().any(|found| found == line),
            "no {line:?} in\n{environment}"
        );
    }
    let part = node.text("/etc/kubernetes/kubelet.conf.d/50-nodeimg.conf");
    assert!(
        part.contains("registerWithTaints: [{") && part.contains("\"dedicated\""),
        "{part}"
    );
}

/// Certificates and keys, and who may read them.
#[track_caller]
fn expect_credentials(node: &Node) {
    let kubeconfig = node.text("/var/lib/kubelet/kubeconfig");
    for part in [
        "https://server.kubernetes.local:6443",
        "/var/lib/kubelet/ca.crt",
        "/var/lib/kubelet/kubelet.key",
    ] {
        assert!(kubeconfig.contains(part), "{kubeconfig}");
    }
    for (path, mode) in [
        ("/etc/cni/net.d/10-bridge.conflist", 0o644),
        ("/etc/nodeimg/node.env", 0o644),
        ("/var/lib/kubelet/ca.crt", 0o644),
        ("/var/lib/kubelet/kubelet.crt", 0o644),
        ("/var/lib/kubelet/kubelet.key", 0o600),
        ("/var/lib/kubelet/kubeconfig", 0o600),
        ("/var/lib/kube-proxy/kubeconfig", 0o600),
    ] {
        let found = fs::metadata(node.root().join(&path[1..]))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777;
        assert_eq!(found, mode, "{path}");
    }
    for name in ["ca.crt", "kubelet.crt", "kubelet.key"] {
        let given = fs::read_to_string(node.beside("pki").join(name)).unwrap();
        assert_eq!(
            node.text(&format!("/var/lib/kubelet/{name}")).trim(),
            given.trim()
        );
    }
}

/// The tutorial's node looks healthy with an empty SUBNET; this one does not start.
#[test]
fn an_empty_pod_subnet_is_refused_and_nothing_is_written() {
    for (values, says) in [
        ("  pod_subnet: \"\"\n", "pod_subnet"),
        ("", "pod_subnet"),
        ("  pod_subnet: 10.200.0.7/24\n", "pod_subnet"),
        ("  pod_subnet: 172.16.0.0/24\n", "10.200.0.0/16"),
    ] {
        let Some(node) = Node::new(values) else {
            return;
        };
        let before = listing(&node.root());
        let ran = node.boot();
        assert_eq!(ran.code, Some(1), "{values:?}: {}{}", ran.out, ran.err);
        assert!(
            ran.err.contains(says) && !ran.err.contains("panicked"),
            "{values:?}: {}",
            ran.err
        );
        let mut after = listing(&node.root());
        // The report and its metrics, and only that.
        after.retain(|path| path != "run" && !path.starts_with("run/nodeimg"));
        assert_eq!(after, before, "{values:?}");
    }
}

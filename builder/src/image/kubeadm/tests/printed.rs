//! A guide that many copy from, as it is printed: documents of v1beta4 with arguments as
//! mappings, an old version, a pod network that holds the guide's own nodes, and words to be
//! replaced. Every reason why it does not work is told.

use nodeimg_seed::text::problem::Severity;

use super::{NETWORK, problems_of, seed_of};

const INIT: &str = "apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
  kubeletExtraArgs:
    cloud-provider: \"\"
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: \"v1.30.0\"
networking:
  podSubnet: \"192.168.0.0/16\"   # Calico 기본 CIDR
  serviceSubnet: \"10.96.0.0/12\"
controllerManager:
  extraArgs:
    bind-address: \"0.0.0.0\"
scheduler:
  extraArgs:
    bind-address: \"0.0.0.0\"
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: \"ipvs\"
";

const JOIN: &str = "apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    token: \"<TOKEN>\"
    apiServerEndpoint: \"192.168.56.101:6443\"
    caCertHashes:
    - \"sha256:<HASH>\"
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
";

/// Lines and parts of the reasons.
const REASONS: [(usize, &str); 6] = [
    (
        5,
        "kubeletExtraArgs: is a mapping, but in `kubeadm.k8s.io/v1beta4` it is a list",
    ),
    (
        10,
        "asks for Kubernetes v1.30.0, which is older than this image's kubelet",
    ),
    (10, "kubeadm 1.37.2 sets up clusters of 1.36 and 1.37 only"),
    (
        12,
        "192.168.0.0/16 overlaps this node's own network 192.168.56.0/24",
    ),
    (15, "controllerManager.extraArgs: is a mapping"),
    (18, "scheduler.extraArgs: is a mapping"),
];

fn check(seed: &str, first: usize, network: &str) {
    let found = problems_of(seed, Some(network), "1.37.2");
    let errors = found
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    assert_eq!(errors.count(), REASONS.len(), "{found:#?}");
    for (line, reason) in REASONS {
        let hit = found.iter().any(|problem| {
            problem.line == Some(first + line - 1) && problem.to_string().contains(reason)
        });
        assert!(hit, "{line}: {reason}: {found:#?}");
    }
    let warned = found
        .iter()
        .any(|problem| problem.reason.contains("is ipvs, which Kubernetes"));
    assert!(warned, "{found:#?}");
}

#[test]
fn every_reason_is_told_of_init() {
    check(&seed_of("init", INIT), 5, NETWORK);
    let lines = INIT
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect::<String>();
    let seed = format!(
        "#cloud-config\nruncmd: [kubeadm init --config /etc/kubeadm-config.yaml]\nwrite_files:\n- path: /etc/kubeadm-config.yaml\n  content: |\n{lines}"
    );
    check(&seed, 6, NETWORK);
}

#[test]
fn every_reason_is_told_of_join() {
    let found = problems_of(&seed_of("join", JOIN), None, "1.37.2");
    let lines: Vec<_> = found.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(9), Some(12)], "{found:#?}");
}

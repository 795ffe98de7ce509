//! The sections `kubelet` and `kube_proxy`: what they may not say, since the image or
//! another key does.

use super::file::RecipeFile;
use super::problems::Problems;
use super::source::Step;
use super::value::Domain;

/// KubeletConfiguration and KubeProxyConfiguration fields that have a key of
/// their own, or that must fit the rest of the image.
pub const OWNED_FIELDS: [(&str, &str, &str); 16] = [
    ("kubelet", "maxPods", "set `kubelet.max_pods`"),
    ("kubelet", "clusterDNS", "set `cluster.cluster_dns`"),
    ("kubelet", "clusterDomain", "set `cluster.cluster_domain`"),
    (
        "kubelet",
        "cgroupDriver",
        "it is `systemd` on both sides: kubelet and container runtime must agree",
    ),
    (
        "kubelet",
        "containerRuntimeEndpoint",
        "this image decides where the container runtime's socket is",
    ),
    (
        "kubelet",
        "tlsCertFile",
        "first boot puts the certificate where this image looks for it",
    ),
    (
        "kubelet",
        "tlsPrivateKeyFile",
        "first boot puts the key where this image looks for it",
    ),
    (
        "kubelet",
        "apiVersion",
        "nodeimg writes `kubelet.config.k8s.io/v1beta1`",
    ),
    ("kubelet", "kind", "nodeimg writes `KubeletConfiguration`"),
    (
        "kubelet",
        "imageServiceEndpoint",
        "this image decides where the container runtime's socket is",
    ),
    (
        "kube_proxy",
        "hostnameOverride",
        "first boot gives the node its name",
    ),
    ("kube_proxy", "mode", "set `kube_proxy.mode`"),
    ("kube_proxy", "clusterCIDR", "set `cluster.cluster_cidr`"),
    (
        "kube_proxy",
        "clientConnection",
        "first boot puts the kubeconfig where this image looks for it",
    ),
    (
        "kube_proxy",
        "apiVersion",
        "nodeimg writes `kubeproxy.config.k8s.io/v1alpha1`",
    ),
    (
        "kube_proxy",
        "kind",
        "nodeimg writes `KubeProxyConfiguration`",
    ),
];

/// Whether the sections hold only what may be said there.
pub fn check(file: &RecipeFile, problems: &mut Problems<'_>) {
    for (part, field, remedy) in OWNED_FIELDS {
        let config = if part == "kubelet" {
            &file.kubelet.config
        } else {
            &file.kube_proxy.config
        };
        if config.contains_key(field) {
            problems.add(
                &[Step::Key(part), Step::Key("config"), Step::Key(field)],
                &format!("not set here: {remedy}"),
            );
        }
    }
    for (key, value) in &file.kubelet.labels {
        let way = [Step::Key("kubelet"), Step::Key("labels"), Step::Key(key)];
        if !is_label_key(key) || !is_label_value(value) {
            problems.add(
                &way,
                "not a Kubernetes label: `prefix/name = \"value\"`, the name and \
                value at most 63 letters, digits, `-`, `_` and `.`",
            );
        }
    }
    for (part, args) in [
        ("kubelet", &file.kubelet.extra_args),
        ("kube_proxy", &file.kube_proxy.extra_args),
    ] {
        for (index, arg) in args.iter().enumerate() {
            if !arg.starts_with("--")
                || arg
                    .contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\$".contains(c))
            {
                let way = [Step::Key(part), Step::Key("extra_args"), Step::Index(index)];
                problems.add(
                    &way,
                    "not a flag: `--name=value` in one word, without quotes, `$` and backslash",
                );
            }
        }
    }
}

/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
pub fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').unwrap_or(("example.com", key));
    !name.is_empty() && is_label_value(name) && prefix.parse::<Domain>().is_ok()
}

pub fn is_label_value(value: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && edge(value.chars().next())
        && edge(value.chars().last())
}

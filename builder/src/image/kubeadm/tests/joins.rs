//! A JoinConfiguration with one thing changed.

use super::{JOIN, errors_of, problems_of, refused, seed_of};

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn joins_that_do_not_work() {
    refused(
        "join",
        JOIN,
        &[
            (
                "bootstrapToken",
                "bootStrapToken",
                "did you mean `bootstrapToken`?",
            ),
            ("10.0.0.1:6443", "10.0.0.1", "has no port"),
            ("10.0.0.1:6443", "https://10.0.0.1:6443", "is a URL"),
            (
                "10.0.0.1:6443",
                "10.0.0.300:6443",
                "not a valid IPv4 address",
            ),
            (
                "token: abcdef.0123456789abcdef",
                "token: <TOKEN>",
                "is not a bootstrap token",
            ),
            (
                "token: abcdef.0123456789abcdef",
                "token: 123456.0123456789012345",
                "must be text",
            ),
            ("sha256:8cb2", "sha256:", "is not the hash of a CA"),
            (
                "    caCertHashes: ['sha256:8cb2de97839780a412b93877f8507ad6c94f73add17d5d7058e91741c9d5ec78']\n",
                "",
                "has no `caCertHashes`",
            ),
            (
                "    caCertHashes",
                "    unsafeSkipCAVerification: true\n    caCertHashes",
                "whoever answers",
            ),
            (
                "  bootstrapToken:",
                "  file: {kubeConfigPath: /etc/x}\n  bootstrapToken:",
                "takes one of the two",
            ),
            ("  name: node-1", "  name: Node_1", "nodeRegistration.name"),
            (
                "unix:///run/containerd/containerd.sock",
                "unix:///var/run/crio/crio.sock",
                "crio",
            ),
            (
                "unix:///run/containerd/containerd.sock",
                "/var/run/dockershim.sock",
                "another container runtime",
            ),
            (
                "unix:///run/containerd/containerd.sock",
                "tcp://127.0.0.1:1",
                "is not a socket of `unix://`",
            ),
            (
                "unix:///run/containerd/containerd.sock",
                "unix:///run/mine.sock",
                "is not the socket of containerd",
            ),
            (
                "name: node-labels",
                "name: --node-labels",
                "write `node-labels`",
            ),
            (
                "name: node-labels",
                "name: node-lables",
                "did you mean `node-labels`?",
            ),
            (
                "name: node-labels",
                "name: network-plugin",
                "is not a flag of the kubelet",
            ),
            (
                "name: node-labels",
                "name: ''",
                "an argument without a name",
            ),
            (
                "name: node-labels",
                "name: config",
                "the image's unit of the kubelet sets",
            ),
            (
                "name: node-labels",
                "name: max-pods",
                "takes a whole number",
            ),
            (
                "name: node-labels",
                "name: fail-swap-on",
                "takes `true` or `false`",
            ),
            (
                "value: disk=ssd",
                "value: kubernetes.io/role=worker",
                "a kubelet may not set",
            ),
            (
                "value: disk=ssd",
                "value: 'disk=s s d'",
                "invalid characters",
            ),
            (
                "value: disk=ssd",
                "value: 5",
                "nodeRegistration.kubeletExtraArgs.value",
            ),
            (
                "name: node-labels\n    value: disk=ssd",
                "name: feature-gates\n    value: MemoryQOS=true",
                "did you mean `MemoryQoS`?",
            ),
            (
                "name: node-labels\n    value: disk=ssd",
                "name: volume-plugin-dir\n    value: /usr/libexec/mine",
                "read-only in this image",
            ),
            (
                "name: node-labels\n    value: disk=ssd",
                "name: cloud-provider\n    value: aws",
                "write `external`",
            ),
            (
                "taints: []",
                "taints: [{key: a, effect: NoShedule}]",
                "NoSchedule",
            ),
            (
                "taints: []",
                "taints: [{key: 'a b', effect: NoSchedule}]",
                "is not a valid key",
            ),
            ("taints: []", "taints: 'a=b:NoSchedule'", "must be a list"),
            (
                "taints: []",
                "imagePullPolicy: Sometimes",
                "imagePullPolicy",
            ),
            (
                "taints: []",
                "ignorePreflightErrors: [all, Swap]",
                "`all` beside others",
            ),
            (
                "kind: JoinConfiguration",
                "kind: JoinConfigurations",
                "did you mean `JoinConfiguration`?",
            ),
            ("v1beta4", "v1beta5", "does not know"),
            ("v1beta4", "v1beta3", "reads only up to 1.36"),
            ("v1beta4", "v1beta1", "reads only up to 1.21"),
            (
                "taints: []\n",
                "taints: []\n---\n# nothing\n",
                "is an empty document",
            ),
            (
                "taints: []\n",
                "taints: []\npatches: {directory: /etc/kubernetes/patches}\n",
                "neither the image nor the seed has",
            ),
            (
                "taints: []\n",
                "taints: []\n---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
                "which `kubeadm join` does not read",
            ),
            (
                "taints: []\n",
                "taints: []\ncontrolPlane: {certificateKey: abc, localAPIEndpoint: {advertiseAddress: host}}\n",
                "is not a certificate key",
            ),
        ],
    );
    let file = "  file:\n    kubeConfigPath: /etc/kubernetes/discovery.conf\n";
    let at = JOIN.find("  bootstrapToken").unwrap()..JOIN.find("nodeRegistration").unwrap();
    let mut text = JOIN.to_owned();
    text.replace_range(at, file);
    let found = errors_of("join", &text, "1.37.2");
    assert!(
        found.len() == 1 && found[0].contains("user-data:9: "),
        "{found:#?}"
    );
    let written = "write_files: [{path: /etc/kubernetes/discovery.conf, content: x}]\n";
    let seed = seed_of("join", &text) + written;
    assert_eq!(problems_of(&seed, None, "1.37.2"), []);
}

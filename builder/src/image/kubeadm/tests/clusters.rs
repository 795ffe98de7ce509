//! Documents of `kubeadm init` with one thing changed.

use super::{EXTERNAL, INIT, errors_of, refused};

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn clusters_that_do_not_work() {
    refused(
        "init",
        INIT,
        &[
            (
                "kubernetesVersion: v1.37.2",
                "kubernetesVersion: 1.37",
                "kubernetesVersion",
            ),
            ("v1.37.2", "v1.37", "is not a whole version"),
            (
                "v1.37.2",
                "v1.30.0",
                "sets up clusters of 1.36 and 1.37 only",
            ),
            ("v1.37.2", "v1.38.0", "is newer than this image's kubeadm"),
            ("v1.37.2", "stable-1", "asks the Internet"),
            ("v1.37.2", "newest", "neither a version nor a label"),
            (
                "10.200.0.0/16",
                "192.168.0.0/16",
                "overlaps this node's own network 192.168.56.0/24",
            ),
            (
                "10.200.0.0/16",
                "10.32.0.0/16",
                "overlaps the service network",
            ),
            ("10.200.0.0/16", "10.200.0.0/25", "is smaller than the /24"),
            ("10.200.0.0/16", "10.200.0.0", "is not a network"),
            (
                "10.200.0.0/16",
                "10.200.0.0/16,10.201.0.0/16",
                "more than one network of a family",
            ),
            (
                "10.200.0.0/16",
                "fd00::/48",
                "of a family that services have",
            ),
            ("10.32.0.0/24", "10.0.0.0/8", "is too large for services"),
            ("10.32.0.0/24", "10.32.0.0/30", "is too small"),
            (
                "10.32.0.0/24",
                "192.168.56.0/24",
                "overlaps this node's own network",
            ),
            (
                "dnsDomain: cluster.local",
                "dnsDomain: Cluster_Local",
                "networking.dnsDomain",
            ),
            (
                "server.kubernetes.local:6443",
                "https://server:6443",
                "is a URL",
            ),
            (
                "server.kubernetes.local:6443",
                "10.200.3.4:6443",
                "inside the pod network",
            ),
            ("/etc/kubernetes/pki", "/opt/pki", "read-only in this image"),
            ("/etc/kubernetes/pki", "pki", "is not an absolute path"),
            (
                "dataDir: /var/lib/etcd",
                "dataDir: /data/etcd",
                "read-only in this image",
            ),
            (
                "hostPath: /var/log/kubernetes",
                "hostPath: /srv/audit",
                "cannot be made there",
            ),
            (
                "hostPath: /var/log/kubernetes",
                "hostPath: log",
                "is not an absolute path",
            ),
            ("pathType: DirectoryOrCreate", "pathType: Dir", "pathType"),
            (
                "value: /var/lib/kubelet/volume-plugins",
                "value: /usr/libexec/x",
                "read-only in this image",
            ),
            (
                "encryptionAlgorithm: ECDSA-P256",
                "encryptionAlgorithm: RSA",
                "encryptionAlgorithm",
            ),
            ("clusterName: one", "clusterName: yes", "clusterName"),
            (
                "clusterName: one",
                "featureGates: {PublicKeysECDSA: true}",
                "not a feature gate of kubeadm 1.37",
            ),
            ("clusterName: one", "dns: {type: CoreDNS}", "no such field"),
            (
                "clusterName: one",
                "imageRepository: https://r.example",
                "is not a registry",
            ),
            (
                "certSANs: [server.kubernetes.local",
                "certSANs: ['https://x'",
                "neither an IP address nor a name",
            ),
            (
                "advertiseAddress: 192.168.56.101",
                "advertiseAddress: node-1",
                "is not an IP address",
            ),
            (
                "advertiseAddress: 192.168.56.101",
                "advertiseAddress: 1.2.3.4",
                "in no network that the seed",
            ),
            ("bindPort: 6443", "bindPort: '6443'", "bindPort"),
            ("bindPort: 6443", "bindPort: 70000", "is not a port"),
            (
                "usages: [signing,",
                "usages: [sign,",
                "is not a use of a token",
            ),
            ("ttl: 24h0m0s", "ttl: 1d", "ttl"),
            (
                "ttl: 24h0m0s",
                "groups: ['system:masters']",
                "is not a group of bootstrap tokens",
            ),
            (
                "cgroupDriver: systemd",
                "cgroupDriver: cgroupfs",
                "keeps its groups by systemd",
            ),
            ("maxPods: 50", "maxpods: 50", "did you mean `maxPods`?"),
            (
                "maxPods: 50",
                "staticPodPath: /etc/pods",
                "would never start",
            ),
            (
                "maxPods: 50",
                "volumePluginDir: /opt/x",
                "is read-only in this image",
            ),
            (
                "clusterDNS: [10.32.0.10]",
                "clusterDNS: [10.96.0.10]",
                "not in the service network",
            ),
            (
                "InPlacePodVerticalScaling",
                "InPlacePodVerticalScale",
                "is not a feature gate of Kubernetes 1.37",
            ),
            (
                "mode: nftables",
                "mode: nftable",
                "did you mean `nftables`?",
            ),
            ("mode: nftables", "mode: ipvs", "deprecated in 1.35"),
            (
                "clusterCIDR: 10.200.0.0/16",
                "clusterCIDR: 10.244.0.0/16",
                "is not the `podSubnet`",
            ),
            (
                "kubeproxy.config.k8s.io/v1alpha1",
                "kubeproxy.config.k8s.io/v1beta1",
                "does not know",
            ),
            (
                "kind: KubeProxyConfiguration",
                "kind: InitConfiguration",
                "is a second `InitConfiguration`",
            ),
            (
                "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n",
                "",
                "has no `apiVersion",
            ),
            (
                "kubeproxy.config.k8s.io/v1alpha1",
                "v1",
                "has no `apiVersion",
            ),
        ],
    );
    let external = INIT.replace("  local:\n    dataDir: /var/lib/etcd\n", EXTERNAL);
    let found = errors_of("init", &external, "1.37.2");
    assert_eq!(found.len(), 3, "{found:#?}");
    refused(
        "init",
        &external,
        &[
            ("https://10.0.0.9", "http://10.0.0.9", "is not an https URL"),
            (
                "    keyFile: /etc/kubernetes/pki/etcd.key\n",
                "",
                "one of `certFile` and `keyFile`",
            ),
            (
                "  external:",
                "  local: {}\n  external:",
                "takes one of the two",
            ),
            ("[https://10.0.0.9:2379]", "[]", "has no `endpoints`"),
        ],
    );
}

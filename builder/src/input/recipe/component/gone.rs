//! Flags that a kubelet of the recipe's version does not know any more: it
//! would print its usage and stop, on every node, at its first start.
//!
//! Only flags that people still copy from older instructions are listed, each
//! with the change of <https://github.com/kubernetes/kubernetes> that took it
//! away; its folder CHANGELOG has those of all versions.

struct Gone {
    flag: &'static str,
    /// The first minor version of Kubernetes 1 without it.
    since: u64,
    instead: &'static str,
}

const CNI: &str =
    "remove it: the container runtime makes pod networks, and its configuration has the folders";
const DOCKER: &str = "remove it: the image decides what the container runtime is";
const LOG: &str = "remove it: the kubelet logs to the journal; `--v` and `--vmodule` remain";
const NOTHING: &str = "remove it: nothing takes its place";

const GONE: &[Gone] = &[
    // Pull request 58367.
    gone(
        "require-kubeconfig",
        10,
        "remove it: nodeimg gives a kubeconfig",
    ),
    // 65707.
    gone(
        "cadvisor-port",
        12,
        "remove it: that server was removed as well",
    ),
    // 77820.
    gone(
        "allow-privileged",
        15,
        "remove it: the API server decides that",
    ),
    // 80043.
    gone(
        "containerized",
        16,
        "remove it: the kubelet runs on the host",
    ),
    // 106907, when dockershim went.
    gone("cni-bin-dir", 24, CNI),
    gone("cni-cache-dir", 24, CNI),
    gone("cni-conf-dir", 24, CNI),
    gone("network-plugin", 24, CNI),
    gone("network-plugin-mtu", 24, CNI),
    gone("docker-endpoint", 24, DOCKER),
    gone("experimental-dockershim-root-directory", 24, DOCKER),
    gone("image-pull-progress-deadline", 24, DOCKER),
    // 107096.
    gone("non-masquerade-cidr", 24, CNI),
    // 106932.
    gone(
        "dynamic-config-dir",
        24,
        "set fields of `kubelet.config` in the recipe",
    ),
    // 112120.
    gone("add-dir-header", 26, LOG),
    gone("alsologtostderr", 26, LOG),
    gone("log-backtrace-at", 26, LOG),
    gone("log-dir", 26, LOG),
    gone("log-file", 26, LOG),
    gone("log-file-max-size", 26, LOG),
    gone("logtostderr", 26, LOG),
    gone("one-output", 26, LOG),
    gone("skip-headers", 26, LOG),
    gone("skip-log-headers", 26, LOG),
    gone("stderrthreshold", 26, LOG),
    // 114017.
    gone("container-runtime", 27, "remove it: there is one kind only"),
    // 116015.
    gone("master-service-namespace", 27, NOTHING),
    // 122082.
    gone("keep-terminated-pod-volumes", 31, NOTHING),
    // 122363.
    gone("iptables-drop-bit", 31, NOTHING),
    gone("iptables-masquerade-bit", 31, NOTHING),
    // 130161.
    gone(
        "cloud-config",
        34,
        "remove it: cloud providers run outside of the kubelet",
    ),
    // 122384.
    gone(
        "register-schedulable",
        34,
        "give a taint with `nodeimg.taints` of the seed",
    ),
    // 133779.
    gone(
        "pod-infra-container-image",
        35,
        "name the image as `sandbox_image`",
    ),
];

const fn gone(flag: &'static str, since: u64, instead: &'static str) -> Gone {
    Gone {
        flag,
        since,
        instead,
    }
}

/// Why a kubelet of that minor version does not have the flag, if it once was one.
pub fn why(name: &str, minor: u64) -> Option<String> {
    let gone = GONE
        .iter()
        .find(|gone| gone.flag == name && minor >= gone.since)?;
    let (since, instead) = (gone.since, gone.instead);
    Some(format!("was removed in 1.{since}; {instead}"))
}

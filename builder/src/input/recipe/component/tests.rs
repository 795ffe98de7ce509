#![allow(clippy::unwrap_used)]
mod judged;
mod kubelet;

use super::{COMPONENTS, Component};
use crate::input::published;
use crate::input::recipe::problems::Problems;
use crate::input::recipe::tests::{load_text, recipe, refusal};

/// What is told of a configuration, by a minor version of Kubernetes.
fn of_config(component: &Component, minor: u64, config: &str) -> Vec<String> {
    let mut problems = Problems::new(&[]);
    let table = config.parse().unwrap();
    component.config(published::of(minor).unwrap(), &table, &mut problems);
    lines(problems)
}

fn of_flag(component: &Component, minor: u64, flag: &str) -> Vec<String> {
    let mut problems = Problems::new(&[]);
    let version = format!("1.{minor}.0").parse().unwrap();
    let release = published::of(minor).unwrap();
    component.flags(release, &version, &[flag.to_owned()], &mut problems);
    lines(problems)
}

fn lines(problems: Problems<'_>) -> Vec<String> {
    match problems.done() {
        Ok(warnings) => warnings,
        Err(error) => format!("{error:#}").lines().map(str::to_owned).collect(),
    }
}

#[test]
fn a_problem_is_at_its_line_with_a_near_name() {
    let said = refusal(
        "[kubelet.config]\nsyncFrequency = \"10s\"\nevictonHard = { \"memory.available\" = \"100Mi\" }\n",
    );
    for want in [
        "mine.toml:4:",
        "kubelet.config.evictonHard: KubeletConfiguration of Kubernetes 1.37 has no such field",
        "did you mean `evictionHard`?",
    ] {
        assert!(said.contains(want), "{said} should say {want}");
    }
    let said = refusal("[kubelet]\nlabels = { \"node-role.kubernetes.io/worker\" = \"\" }\n");
    assert!(
        said.contains("mine.toml:3:") && said.contains("kubectl label node"),
        "{said}"
    );
    let said = refusal("[kube_proxy.config.conntrack]\nmin = -1\n");
    assert!(
        said.contains("mine.toml:3:")
            && said.contains("kube_proxy.config.conntrack.min: must be 0 or more"),
        "{said}"
    );
}

#[test]
fn labels_of_another_are_refused() {
    for label in [
        "node-role.kubernetes.io/edge",
        "kubernetes.io/role",
        "a.k8s.io/b",
        "node-restriction.kubernetes.io/x",
    ] {
        let said = refusal(&format!("[kubelet]\nlabels = {{ \"{label}\" = \"a\" }}\n"));
        assert!(
            said.contains(label) && said.contains("not give its own node"),
            "{said}"
        );
        let said = refusal(&format!(
            "[kubelet]\nextra_args = [\"--node-labels=a=b,{label}=\"]\n"
        ));
        assert!(
            said.contains("kubelet.extra_args[0]") && said.contains("not give its own node"),
            "{said}"
        );
    }
    let good = "\"node.kubernetes.io/pool\" = \"a\", \"topology.kubernetes.io/zone\" = \"z\", disk = \"ssd\"";
    recipe(&format!(
        "[kubelet]\nlabels = {{ {good} }}\nextra_args = [\"--node-labels=a.b/c=d\"]\n"
    ));
}

/// Of kubelet (0) and kube-proxy (1).
const FLAGS: &[(usize, u64, &str, &str)] = &[
    (0, 37, "--config=/x", "the unit of this image gives it"),
    (
        0,
        37,
        "--cgroup_driver=cgroupfs",
        "kubelet and container runtime must agree",
    ),
    (0, 37, "--tls-cert-file=/x", "tls-cert-file"),
    (0, 37, "--node-ip=::1", "first boot gives it"),
    (0, 37, "--version", "print something and stop"),
    (0, 37, "--max-pod=5", "did you mean `--max-pods`?"),
    (
        0,
        37,
        "--containerd=/x",
        "it is one of Kubernetes 1.34, 1.35 and 1.36",
    ),
    (0, 36, "--containerd=/x", "will go"),
    (0, 36, "--network-plugin=cni", "was removed in 1.24"),
    (0, 37, "--v", "wants a value"),
    (
        0,
        37,
        "--image-gc-high-threshold=x",
        "must be a whole number, not `x`",
    ),
    (0, 37, "--fail-swap-on=maybe", "must be `true` or `false`"),
    (0, 37, "--sync-frequency=10", "must be a duration"),
    (
        0,
        37,
        "--eviction-hard=memory.available=5",
        "memory.available<100Mi",
    ),
    (0, 37, "--system-reserved=cpu", "pairs such as `name=value`"),
    (
        0,
        37,
        "--image-gc-high-threshold=80",
        "set `imageGCHighThresholdPercent` in `kubelet.config`",
    ),
    (
        0,
        37,
        "--feature-gates=NoSuch=true",
        "has no feature gate `NoSuch`",
    ),
    (0, 37, "--feature-gates=NodeSwap=false", "locked to `true`"),
    (0, 37, "--feature-gates=NodeSwap", "is not a feature gate"),
    (0, 37, "--node-labels=a b", "is not a label"),
    (1, 37, "--proxy-mode=ipvs", "set `kube_proxy.mode`"),
    (1, 37, "--cleanup", "print something and stop"),
    (
        1,
        37,
        "--conntrack-min=5",
        "ignores `--conntrack-min` beside its configuration",
    ),
    (
        1,
        37,
        "--foo=5",
        "kube-proxy 1.37.0 would not start: it has no flag `--foo`",
    ),
];

#[test]
fn flags_are_those_of_the_version() {
    let [kubelet, proxy] = &COMPONENTS;
    for (program, minor, flag, want) in FLAGS {
        let component = &COMPONENTS[*program];
        let told = of_flag(component, *minor, flag);
        assert!(
            told.len() == 1 && told[0].contains(want),
            "{flag}: {told:?} should say {want}"
        );
    }
    for flag in [
        "--v=4",
        "--vmodule=a=5",
        "--fail-cgroupv1=false",
        "--seccomp-default",
        "--node-labels=a=b",
    ] {
        assert_eq!(of_flag(kubelet, 37, flag), [""; 0], "{flag}");
    }
    assert_eq!(of_flag(proxy, 37, "--v=4"), [""; 0]);
}

const OF_KUBE_PROXY: &[(&str, &str, &str)] = &[
    (
        "conntrak = { min = 5 }",
        "conntrak",
        "did you mean `conntrack`?",
    ),
    (
        "conntrack = { min = \"5\" }",
        "conntrack.min",
        "a whole number",
    ),
    ("oomScoreAdj = 1001", "oomScoreAdj", "1000 or less"),
    (
        "nftables = { masqueradeBit = 32 }",
        "nftables.masqueradeBit",
        "31 or less",
    ),
    (
        "iptables = { minSyncPeriod = \"1m\" }",
        "iptables.minSyncPeriod",
        "syncPeriod",
    ),
    (
        "detectLocalMode = \"ClusterCidr\"",
        "detectLocalMode",
        "did you mean `ClusterCIDR`?",
    ),
    (
        "detectLocalMode = \"BridgeInterface\"",
        "detectLocalMode",
        "bridgeInterface",
    ),
    ("bindAddress = \"x\"", "bindAddress", "an IP address"),
    (
        "metricsBindAddress = \"0.0.0.0:\"",
        "metricsBindAddress",
        "with a port",
    ),
    (
        "nodePortAddresses = [\"secondary\"]",
        "nodePortAddresses[0]",
        "a network",
    ),
    (
        "ipvs = { excludeCIDRs = [\"10.0.0.1/40\"] }",
        "ipvs.excludeCIDRs[0]",
        "a network",
    ),
    (
        "featureGates = { Foo = true }",
        "featureGates.Foo",
        "kube-proxy 1.37 would not start",
    ),
];

#[test]
fn what_kube_proxy_would_stop_at_is_refused() {
    let [_, proxy] = &COMPONENTS;
    for (config, way, want) in OF_KUBE_PROXY {
        let told = of_config(proxy, 37, config);
        let want_way = format!("kube_proxy.config.{way}: ");
        assert!(
            told.len() == 1 && told[0].starts_with(&want_way) && told[0].contains(want),
            "{config}: {told:?} should be {want_way}{want}"
        );
    }
    let good = "conntrack = { maxPerCore = 0, min = 5, tcpEstablishedTimeout = \"1h\" }\nnodePortAddresses = [\"primary\"]\n\
                metricsBindAddress = \"[::]:10249\"\nnftables = { syncPeriod = \"1m\" }";
    assert_eq!(of_config(proxy, 37, good), [""; 0]);
}

#[test]
fn kernel_parameters_are_those_that_kubernetes_wants() {
    let said = refusal("[kubelet.config]\nprotectKernelDefaults = true\n");
    for want in [
        "`kernel.panic` = 10",
        "`kernel.panic_on_oops` = 1",
        "`vm.overcommit_memory` = 1",
    ] {
        assert!(said.contains(want), "{said}");
    }
    let sysctls = "[sysctl]\n\"kernel.panic\" = 10\n\"kernel/panic_on_oops\" = 1\n\"vm.overcommit_memory\" = \"1\"\n";
    recipe(&format!(
        "[kubelet.config]\nprotectKernelDefaults = true\n{sysctls}"
    ));
    let said = refusal(&format!(
        "[kubelet.config]\nprotectKernelDefaults = true\n{sysctls}\"vm.panic_on_oom\" = 1\n"
    ));
    assert!(
        said.contains("mine.toml:8:") && said.contains("wants 0 here"),
        "{said}"
    );
    let warned =
        load_text("[sysctl]\n\"kernel.panic\" = 60\n\"net.netfilter.nf_conntrack_max\" = 5\n")
            .unwrap()
            .warnings;
    assert!(
        warned
            .iter()
            .any(|w| w.contains("sets this parameter to 10")),
        "{warned:?}"
    );
    assert!(
        warned.iter().any(|w| w.contains("`conntrack`")),
        "{warned:?}"
    );
}

#[test]
fn a_version_that_is_not_known_is_told() {
    let warned = load_text("kubernetes = \"1.99.0\"\n[cluster]\napi_server_version = \"1.99.0\"\n[kubelet.config]\nfoo = 1\n").unwrap().warnings;
    assert!(
        warned
            .iter()
            .any(|w| w.contains("knows the fields and flags of Kubernetes 1.34 to 1.37")),
        "{warned:?}"
    );
}

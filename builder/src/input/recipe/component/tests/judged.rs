//! The same configurations judged by the programs themselves: the lab's kubelets and
//! kube-proxies (`ci/lab`) read each, and stop where they would wait for a cluster.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_test_support::judge;
use serde_json::{Value, json};

use super::super::{COMPONENTS, Component, json as as_json};
use super::{of_config, of_flag};
use crate::input::published::{self, Release};

/// What a kubelet says that has taken its flags and its configuration.
const TAKEN: &str = "cannot use webhook authentication";
/// What both say of a field that they ignore.
const PASSED_OVER: &str = "strict decoding error";

/// Whether the kubelet takes these; what it said.
fn kubelet(program: &Path, config: &Value, flags: &[&str]) -> (bool, String) {
    let place = tempfile::tempdir().unwrap();
    let mut document = config.clone();
    for (key, value) in [
        ("apiVersion", json!("kubelet.config.k8s.io/v1beta1")),
        ("kind", json!("KubeletConfiguration")),
        ("containerRuntimeEndpoint", json!("unix:///nothing.sock")),
        // Of the machine that runs the test.
        ("failCgroupV1", json!(false)),
    ] {
        document[key] = value;
    }
    let path = place.path().join("config.yaml");
    fs::write(&path, serde_saphyr::to_string(&document).unwrap()).unwrap();
    let output = Command::new(program)
        .args(["--config", path.to_str().unwrap()])
        .args(["--root-dir", place.path().to_str().unwrap()])
        .args(["--cert-dir", place.path().to_str().unwrap()])
        .args(flags)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (said.contains(TAKEN) && !said.contains(PASSED_OVER), said)
}

fn kube_proxy(program: &Path, config: &Value) -> (bool, String) {
    let place = tempfile::tempdir().unwrap();
    let mut document = config.clone();
    document["apiVersion"] = json!("kubeproxy.config.k8s.io/v1alpha1");
    document["kind"] = json!("KubeProxyConfiguration");
    let path = place.path().join("config.yaml");
    fs::write(&path, serde_saphyr::to_string(&document).unwrap()).unwrap();
    // It judges, writes its defaults, and changes nothing of the machine.
    let written = place.path().join("written.yaml");
    let output = Command::new(program)
        .args(["--config", path.to_str().unwrap()])
        .args(["--write-config-to", written.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_taken = output.status.success() && written.exists();
    (is_taken && !said.contains(PASSED_OVER), said)
}

/// The lab's programs by minor version.
fn programs(name: &str) -> Vec<(u64, PathBuf)> {
    let of_lab = judge::of_lab(name).into_iter();
    let minor = |version: &str| version.split('.').nth(1)?.parse().ok();
    of_lab
        .filter_map(|(version, folder)| Some((minor(&version)?, folder.join(name))))
        .filter(|(minor, _)| published::of(*minor).is_some())
        .collect()
}

/// How the verdicts differ, if they do.
fn compared(
    component: &Component,
    minor: u64,
    config: &str,
    theirs: (bool, String),
) -> Option<String> {
    let ours = of_config(component, minor, config);
    let (is_taken, said) = theirs;
    let tail = said.lines().rev().take(3).collect::<Vec<_>>();
    (ours.is_empty() != is_taken)
        .then(|| format!("1.{minor}: {config}\nours: {ours:?}\ntheirs: {tail:?}\n"))
}

fn document(config: &str) -> Value {
    let table: toml::Table = config.parse().unwrap();
    as_json(&toml::Value::Table(table))
}

/// Good and bad alike.
const OF_KUBELET: &[&str] = &[
    "",
    "evictonHard = { \"memory.available\" = \"5%\" }",
    "evictionHard = { \"memory.available\" = 5 }",
    "serializeImagePulls = \"no\"",
    "podPidsLimit = \"5\"",
    "podPidsLimit = 5.0",
    "podPidsLimit = 5.5",
    "registryBurst = 3000000000",
    "syncFrequency = 15",
    "syncFrequency = \"15\"",
    "syncFrequency = \"1.5h\"",
    "resolvConf = 5",
    "volumeStatsAggPeriod = 2020-01-01",
    "imageGCHighThresholdPercent = 80",
    "imageGCHighThresholdPercent = 101",
    "imageGCLowThresholdPercent = 85",
    "imageGCLowThresholdPercent = 84",
    "imageMaximumGCAge = \"1m\"",
    "imageMaximumGCAge = \"3m\"",
    "imageMinimumGCAge = \"-1s\"",
    "maxParallelImagePulls = 2\nserializeImagePulls = true",
    "maxParallelImagePulls = 2",
    "maxParallelImagePulls = 0",
    "oomScoreAdj = 1001",
    "port = 70000",
    "readOnlyPort = -1",
    "nodeStatusMaxImages = -2",
    "topologyManagerPolicy = \"Restricted\"",
    "topologyManagerScope = \"node\"",
    "hairpinMode = \"none\"",
    "hairpinMode = \"veth\"",
    "memorySwap = { swapBehavior = \"UnlimitedSwap\" }",
    "memorySwap = { swapBehavior = \"LimitedSwap\" }",
    "enforceNodeAllocatable = [\"pods\", \"pods\"]",
    "enforceNodeAllocatable = [\"none\", \"pods\"]",
    "enforceNodeAllocatable = [\"kube-reserved\"]",
    "enforceNodeAllocatable = [\"kube-reserved\"]\nkubeReservedCgroup = \"/a\"",
    "cgroupsPerQOS = false",
    "cgroupsPerQOS = false\nenforceNodeAllocatable = [\"none\"]",
    "cgroupsPerQOS = false\nenforceNodeAllocatable = []",
    "reservedSystemCPUs = \"3-1\"",
    "reservedSystemCPUs = \"0,2-3\"",
    "reservedSystemCPUs = \"0\"\nkubeReservedCgroup = \"/a\"",
    "reservedMemory = [{ numaNode = 0, limits = { memory = \"0\" } }]",
    "reservedMemory = [{ numaNode = 0, limits = { memory = \"1Gi\" } }]",
    "registerWithTaints = [{ key = \"a\", effect = \"NoSchedul\" }]",
    "registerWithTaints = [{ key = \"a\", effect = \"NoSchedule\" }]",
    "registerWithTaints = [{ key = \"a b\", effect = \"NoSchedule\" }]",
    "cpuCFSQuotaPeriod = \"10ms\"",
    "cpuCFSQuotaPeriod = \"10ms\"\nfeatureGates = { CustomCPUCFSQuotaPeriod = true }",
    "crashLoopBackOff = { maxContainerRestartPeriod = \"400s\" }",
    "crashLoopBackOff = { maxContainerRestartPeriod = \"60s\" }",
    "crashLoopBackOff = { maxContainerRestartPeriod = \"60s\" }\nfeatureGates = { KubeletCrashLoopBackOffMax = true }",
    "memoryThrottlingFactor = 1.5",
    "memoryThrottlingFactor = 0.5",
    "containerLogMonitorInterval = \"1s\"",
    "containerLogMaxFiles = 1",
    "containerLogMaxWorkers = 0",
    "podLogsDir = \"var/log\"",
    "podLogsDir = \"/var//log\"",
    "userNamespaces = { idsPerPod = 65537 }",
    "userNamespaces = { idsPerPod = 131072 }",
    "enableSystemLogQuery = true",
    "runOnce = true",
    "systemCgroups = \"/a\"",
    "logging = { format = \"xml\" }",
    "logging = { format = \"json\" }",
    "tlsCipherSuites = [\"TLS_FOO\"]",
    "tlsCipherSuites = [\"TLS_AES_128_GCM_SHA256\"]",
    "tlsMinVersion = \"VersionTLS14\"",
    "featureGates = { NoSuch = true }",
    "featureGates = { NodeSwap = \"on\" }",
    "featureGates = { AllBeta = true }",
    "featureGates = { AtomicFIFO = false }",
    "featureGates = { StorageVersionAPI = true, APIServerIdentity = false, UnknownVersionInteroperabilityProxy = false }",
    "featureGates = { MemoryQoS = true }\nmemoryThrottlingFactor = 0.5",
    "tracing = { samplingRatePerMillion = -1 }",
    "shutdownGracePeriod = \"500ms\"\nshutdownGracePeriodCriticalPods = \"0s\"",
    "shutdownGracePeriod = \"20s\"\nshutdownGracePeriodCriticalPods = \"30s\"",
    "showHiddenMetricsForVersion = \"1.30\"",
    "authentication = { anonymous = { enable = true } }",
];

#[test]
fn the_kubelet_says_the_same() {
    let [component, _] = &COMPONENTS;
    let mut differ = Vec::new();
    for (minor, program) in programs("kubelet") {
        for config in OF_KUBELET {
            differ.extend(compared(
                component,
                minor,
                config,
                kubelet(&program, &document(config), &[]),
            ));
        }
        for name in [
            "NodeSwap",
            "KubeletTracing",
            "CPUManagerPolicyAlphaOptions",
            "EventedPLEG",
        ] {
            let config = format!("featureGates = {{ {name} = false }}");
            differ.extend(compared(
                component,
                minor,
                &config,
                kubelet(&program, &document(&config), &[]),
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn the_kubelet_says_the_same_of_flags() {
    let [component, _] = &COMPONENTS;
    for (minor, program) in programs("kubelet") {
        for flag in [
            "--v=2",
            "--foo=1",
            "--seccomp-default",
            "--seccomp-default=perhaps",
            "--network-plugin=cni",
            "--node-labels=node-role.kubernetes.io/a=",
            "--node-labels=a=b,node.kubernetes.io/c=d",
            "--node-labels=a",
            "--node-labels=a=b/c",
            "--containerd=/x",
            "--vmodule=a=1",
            "--feature-gates=Foo=true",
            "--log-flush-frequency=5",
            "--pod-infra-container-image=a",
        ] {
            let (is_taken, said) = kubelet(&program, &json!({}), &[flag]);
            let ours = of_flag(component, minor, flag);
            // A warning does not refuse it.
            let is_refused = ours
                .iter()
                .any(|line| !line.contains("warns at each start"));
            let tail = said.lines().rev().take(3).collect::<Vec<_>>();
            assert_eq!(
                !is_refused, is_taken,
                "1.{minor}: {flag}\n{ours:?}\n{tail:?}"
            );
        }
    }
}

/// A value that a field of that type takes.
fn sample(release: &Release, api: &str, kind: &str, depth: usize) -> Value {
    if let Some(words) = kind.strip_prefix("enum ") {
        return json!(words.split('|').next());
    }
    if let Some(element) = kind.strip_prefix("[]") {
        return json!([sample(release, api, element, depth)]);
    }
    if let Some(element) = kind.strip_prefix("map[string]") {
        return json!({"a": sample(release, api, element, depth)});
    }
    match kind {
        "bool" => json!(true),
        "float" => json!(0.5),
        "duration" | "duration or int" => json!("5s"),
        "quantity" => json!("5"),
        "string" => json!("a"),
        _ if kind.starts_with("int") || kind.starts_with("uint") => json!(5),
        _ if depth > 4 => json!({}),
        _ => {
            let fields = release.fields_of(api, kind);
            let entries = fields.into_iter().flatten();
            entries
                .map(|(key, kind)| (key.clone(), sample(release, api, kind, depth + 1)))
                .collect()
        }
    }
}

/// Every field that is published, with a value of its type, is decoded by the program; and
/// no field under a name of ours is.
#[test]
fn the_published_fields_are_those_of_the_program() {
    let [component, _] = &COMPONENTS;
    for (minor, program) in programs("kubelet") {
        let release = published::of(minor).unwrap();
        let mut whole = sample(release, component.api, component.kind, 0);
        // Its form is checked while it is read.
        whole["registerWithTaints"] = json!([{"key": "a", "effect": "NoSchedule"}]);
        whole["featureGates"] = json!({});
        assert_eq!(release.check(component.api, component.kind, &whole), []);
        let (_, said) = kubelet(&program, &whole, &[]);
        assert!(
            !said.contains("failed to load kubelet config file") && !said.contains(PASSED_OVER),
            "1.{minor}: {said}"
        );
        whole["evictionHardd"] = json!({});
        whole["logging"]["optionz"] = json!({});
        let (_, said) = kubelet(&program, &whole, &[]);
        assert!(
            said.contains("evictionHardd") && said.contains("logging.optionz"),
            "{said}"
        );
    }
}

/// The flags and feature gates that the program tells of itself.
#[test]
fn the_published_flags_and_gates_are_those_of_the_program() {
    for component in &COMPONENTS {
        for (minor, program) in programs(component.program) {
            let release = published::of(minor).unwrap();
            let help = Command::new(&program).arg("--help").output().unwrap();
            let help = String::from_utf8_lossy(&help.stdout).into_owned();
            let mut seen = 0;
            for line in help.lines() {
                let line = line
                    .trim_start()
                    .trim_start_matches("-v, ")
                    .trim_start_matches("-h, ");
                if let Some(flag) = line.strip_prefix("--") {
                    let name = flag.split([' ', '[']).next().unwrap();
                    assert!(
                        release.flag(component.program, name).is_some(),
                        "1.{minor} {name}"
                    );
                    seen += 1;
                }
                let gate = line
                    .rsplit(' ')
                    .find_map(|word| word.strip_suffix("=true|false"));
                let gate = gate.or_else(|| {
                    line.split("=true|false")
                        .next()
                        .filter(|_| line.contains("=true|false"))
                });
                if let Some(name) = gate.and_then(|text| text.rsplit(' ').next()) {
                    assert!(release.gate(name).is_some(), "1.{minor} {name}");
                    seen += 1;
                }
            }
            assert!(seen > 150, "{} 1.{minor}: {seen}", component.program);
        }
    }
}

#[test]
fn kube_proxy_says_the_same() {
    let [_, component] = &COMPONENTS;
    let mut differ = Vec::new();
    for (minor, program) in programs("kube-proxy") {
        for config in [
            "",
            "conntrak = { min = 5 }",
            "conntrack = { min = \"5\" }",
            "conntrack = { min = -5 }",
            "conntrack = { min = 5, tcpEstablishedTimeout = \"-1s\" }",
            "oomScoreAdj = 1001",
            "oomScoreAdj = 1000",
            "iptables = { masqueradeBit = 32 }",
            "detectLocalMode = \"ClusterCidr\"",
            "detectLocalMode = \"BridgeInterface\"",
            "detectLocalMode = \"BridgeInterface\"\ndetectLocal = { bridgeInterface = \"a\" }",
            "bindAddress = \"x\"",
            "healthzBindAddress = \"0.0.0.0\"",
            "healthzBindAddress = \"x:5\"",
            "metricsBindAddress = \"0.0.0.0:70000\"",
            "nodePortAddresses = [\"secondary\"]",
            "nodePortAddresses = [\"primary\"]",
            "nodePortAddresses = [\"primary\", \"primary\"]",
            "nodePortAddresses = [\"10.0.0.0/8\"]",
            "featureGates = { NoSuch = true }",
            "logging = { format = \"xml\" }",
            "showHiddenMetricsForVersion = \"1.30\"",
            "configSyncPeriod = \"-1s\"",
            "configSyncPeriod = 5",
        ] {
            differ.extend(compared(
                component,
                minor,
                config,
                kube_proxy(&program, &document(config)),
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

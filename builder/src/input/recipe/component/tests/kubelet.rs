//! The rules of the kubelet's configuration.
use super::super::COMPONENTS;
use super::of_config;

const REFUSED: &[(&str, &str, &str)] = &[
    (
        "imageGCHighThresholdPercent = 70",
        "imageGCHighThresholdPercent",
        "must be less",
    ),
    (
        "imageGCLowThresholdPercent = 90",
        "imageGCLowThresholdPercent",
        "must be less",
    ),
    ("oomScoreAdj = -2000", "oomScoreAdj", "-1000 or more"),
    (
        "topologyManagerPolicy = \"best-efort\"",
        "topologyManagerPolicy",
        "`best-effort`?",
    ),
    (
        "cpuManagerPolicy = \"static\"",
        "cpuManagerPolicy",
        "reservedSystemCPUs",
    ),
    (
        "cpuManagerPolicyOptions = { full-pcpus-only = \"true\" }",
        "cpuManagerPolicyOptions",
        "only the `cpuManagerPolicy` `static`",
    ),
    (
        "memoryManagerPolicy = \"Static\"",
        "memoryManagerPolicy",
        "reservedMemory",
    ),
    (
        "evictionHard = { \"memory.free\" = \"5%\" }",
        "evictionHard.memory.free",
        "no eviction signal",
    ),
    (
        "evictionHard = { \"memory.available\" = \"500%\" }",
        "evictionHard.memory.available",
        "a percentage",
    ),
    (
        "evictionSoft = { \"memory.available\" = \"5%\" }",
        "evictionSoft.memory.available",
        "evictionSoftGracePeriod",
    ),
    (
        "kubeReserved = { gpu = \"1\" }",
        "kubeReserved.gpu",
        "cannot be reserved",
    ),
    (
        "systemReserved = { memory = \"1GB\" }",
        "systemReserved.memory",
        "must be a quantity",
    ),
    (
        "enforceNodeAllocatable = [\"pods\", \"system-reserved\"]",
        "enforceNodeAllocatable[1]",
        "systemReservedCgroup",
    ),
    (
        "enforceNodeAllocatable = [\"pod\"]",
        "enforceNodeAllocatable[0]",
        "did you mean `pods`?",
    ),
    ("cgroupsPerQOS = false", "cgroupsPerQOS", "[\"none\"]"),
    (
        "reservedSystemCPUs = \"0-\"",
        "reservedSystemCPUs",
        "ranges",
    ),
    (
        "shutdownGracePeriod = \"5s\"",
        "shutdownGracePeriod",
        "must not be longer",
    ),
    (
        "shutdownGracePeriod = \"1h\"",
        "shutdownGracePeriod",
        "10m at most",
    ),
    (
        "shutdownGracePeriodByPodPriority = [{ priority = 0, shutdownGracePeriodSeconds = 5 }]",
        "shutdownGracePeriodByPodPriority",
        "\"0s\"",
    ),
    (
        "maxParallelImagePulls = 5\nserializeImagePulls = true",
        "maxParallelImagePulls",
        "`false`",
    ),
    (
        "tlsCipherSuites = [\"TLS_FOO\"]",
        "tlsCipherSuites[0]",
        "no cipher suite",
    ),
    (
        "allowedUnsafeSysctls = [\"vm.swappiness\"]",
        "allowedUnsafeSysctls[0]",
        "`[sysctl]`",
    ),
    (
        "registerWithTaints = [{ key = \"a\" }]",
        "registerWithTaints[0]",
        "not a taint",
    ),
    (
        "cpuCFSQuotaPeriod = \"5s\"",
        "cpuCFSQuotaPeriod",
        "between 1ms and 1s",
    ),
    (
        "containerLogMaxSize = \"10 MB\"",
        "containerLogMaxSize",
        "10Mi",
    ),
    (
        "memorySwap = { swapBehavior = \"UnlimitedSwap\" }",
        "memorySwap.swapBehavior",
        "LimitedSwap",
    ),
    (
        "showHiddenMetricsForVersion = \"1.30\"",
        "showHiddenMetricsForVersion",
        "`1.36`",
    ),
    (
        "featureGates = { NodeSwop = true }",
        "featureGates.NodeSwop",
        "did you mean `NodeSwap`?",
    ),
    (
        "featureGates = { NodeSwap = false }",
        "featureGates.NodeSwap",
        "locked to `true`",
    ),
    (
        "featureGates = { StorageVersionAPI = true, APIServerIdentity = false, UnknownVersionInteroperabilityProxy = false }",
        "featureGates.StorageVersionAPI",
        "without `APIServerIdentity`",
    ),
    (
        "featureGates = { AtomicFIFO = false }",
        "featureGates.AtomicFIFO",
        "turn that off as well",
    ),
    (
        "featureGates = { GracefulNodeShutdown = false, GracefulNodeShutdownBasedOnPodPriority = false, WindowsGracefulNodeShutdown = false }",
        "featureGates.GracefulNodeShutdown",
        "is needed",
    ),
    (
        "reservedMemory = [{ numaNode = 0, limits = { cpu = \"1\" } }]",
        "reservedMemory[0]",
        "neither `memory`",
    ),
    ("syncFrequency = 2020-01-01", "syncFrequency", "a duration"),
];

#[test]
fn what_a_kubelet_would_stop_at_is_refused() {
    let [kubelet, _] = &COMPONENTS;
    for (config, way, want) in REFUSED {
        let told = of_config(kubelet, 37, config);
        let want_way = format!("kubelet.config.{way}: ");
        assert!(
            told.len() == 1 && told[0].starts_with(&want_way) && told[0].contains(want),
            "{config}: {told:?} should be {want_way}{want}"
        );
    }
}

#[test]
fn a_gate_is_off_in_one_version_and_on_in_another() {
    let [kubelet, _] = &COMPONENTS;
    let config = "cpuCFSQuotaPeriod = \"5ms\"";
    let told = of_config(kubelet, 34, config);
    assert!(told[0].contains("`CustomCPUCFSQuotaPeriod`"), "{told:?}");
    assert_eq!(of_config(kubelet, 37, config), [""; 0]);
}

const TAKEN: &[&str] = &[
    "cpuManagerPolicy = \"static\"\nreservedSystemCPUs = \"0-1,4\"\ncpuManagerPolicyOptions = { full-pcpus-only = \"true\" }",
    "cpuManagerPolicy = \"static\"\nkubeReserved = { cpu = \"500m\" }",
    "memoryManagerPolicy = \"Static\"\nreservedMemory = [{ numaNode = 0, limits = { memory = \"1124Mi\" } }]\nsystemReserved = { memory = \"1Gi\" }",
    "evictionHard = { \"memory.available\" = \"5%\", \"nodefs.inodesFree\" = \"1k\" }",
    "evictionSoft = { \"memory.available\" = \"1.5Gi\" }\nevictionSoftGracePeriod = { \"memory.available\" = \"1m30s\" }",
    "shutdownGracePeriod = \"0s\"\nshutdownGracePeriodCriticalPods = \"0s\"\nshutdownGracePeriodByPodPriority = [{ priority = 0, shutdownGracePeriodSeconds = 5 }]",
    "enforceNodeAllocatable = [\"none\"]\ncgroupsPerQOS = false",
    "imageGCHighThresholdPercent = 60\nimageGCLowThresholdPercent = 50",
    "maxParallelImagePulls = 5\nserializeImagePulls = false",
    "featureGates = { AllAlpha = false, CustomCPUCFSQuotaPeriod = true }\ncpuCFSQuotaPeriod = \"5ms\"",
    "allowedUnsafeSysctls = [\"net.core.somaxconn\", \"kernel.msg*\"]",
    "logging = { format = \"json\" }\ntracing = { samplingRatePerMillion = 5 }",
];

#[test]
fn what_a_kubelet_takes_is_good() {
    let [kubelet, _] = &COMPONENTS;
    for config in TAKEN {
        assert_eq!(of_config(kubelet, 37, config), [""; 0], "{config}");
    }
}

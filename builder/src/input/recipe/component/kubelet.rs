//! What the kubelet's own validation refuses, and what it stops at right after.
//!
//! <https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/apis/config/validation/validation.go>

mod resources;

use serde_json::Value;

use super::rules::{Range, Rules, Words};

/// nodeimg's own `shutdownGracePeriod` and `shutdownGracePeriodCriticalPods`.
pub const SHUTDOWN: &str = "30s";
pub const SHUTDOWN_CRITICAL: &str = "10s";
/// What logind of the image lets the kubelet delay a shutdown by, in seconds: a file of the
/// overlay says it.
const MOST_SHUTDOWN: f64 = 600.0;

const ANY: i64 = i64::MAX;

const RANGES: &[Range] = &[
    (&["containerLogMaxFiles"], 2, ANY),
    (&["containerLogMaxWorkers"], 1, ANY),
    (&["eventBurst"], 0, ANY),
    (&["eventRecordQPS"], 0, ANY),
    (&["healthzPort"], 0, 65535),
    (&["imageGCHighThresholdPercent"], 0, 100),
    (&["imageGCLowThresholdPercent"], 0, 100),
    (&["iptablesDropBit"], 0, 31),
    (&["iptablesMasqueradeBit"], 0, 31),
    (&["kubeAPIBurst"], 0, ANY),
    (&["kubeAPIQPS"], 0, ANY),
    (&["maxOpenFiles"], 0, ANY),
    (&["maxParallelImagePulls"], 1, ANY),
    (&["nodeLeaseDurationSeconds"], 0, ANY),
    (&["nodeStatusMaxImages"], -1, ANY),
    (&["oomScoreAdj"], -1000, 1000),
    (&["podsPerCore"], 0, ANY),
    (&["port"], 0, 65535),
    (&["readOnlyPort"], 0, 65535),
    (&["registryBurst"], 0, ANY),
    (&["registryPullQPS"], 0, ANY),
    (&["tracing", "samplingRatePerMillion"], 0, 1_000_000),
];

const WORDS: &[Words] = &[
    (&["cpuManagerPolicy"], &["none", "static"]),
    (
        &["hairpinMode"],
        &["hairpin-veth", "none", "promiscuous-bridge"],
    ),
    (&["logging", "format"], &["json", "text"]),
    (&["memoryManagerPolicy"], &["None", "Static"]),
    (&["memorySwap", "swapBehavior"], &["LimitedSwap", "NoSwap"]),
    (
        &["tlsMinVersion"],
        &[
            "VersionTLS10",
            "VersionTLS11",
            "VersionTLS12",
            "VersionTLS13",
        ],
    ),
    (
        &["topologyManagerPolicy"],
        &["best-effort", "none", "restricted", "single-numa-node"],
    ),
    (&["topologyManagerScope"], &["container", "pod"]),
];

/// Fields that are refused unless their feature gate is on.
const GATED: &[(&str, &str)] = &[
    ("defaultPodSysctls", "DefaultPodSysctls"),
    ("imageMaximumGCAge", "ImageMaximumGCAge"),
    ("qosReserved", "QOSReserved"),
    (
        "shutdownGracePeriodByPodPriority",
        "GracefulNodeShutdownBasedOnPodPriority",
    ),
];

pub fn rules(rules: &mut Rules<'_>) {
    rules.ranges(RANGES);
    rules.words(WORDS);
    rules.at_least(&[&["imageMinimumGCAge"], &["imageMaximumGCAge"]], 0.0);
    rules.at_least(&[&["containerLogMonitorInterval"]], 3.0);
    ciphers(rules);
    if rules.is_part {
        return;
    }
    gated(rules);
    images(rules);
    shutdown(rules);
    small(rules);
    resources::rules(rules);
}

fn gated(rules: &mut Rules<'_>) {
    for (field, gate) in GATED {
        let is_empty = match rules.value(&[field]) {
            None | Some(Value::Null) => true,
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(items)) => items.is_empty(),
            Some(Value::String(text)) => crate::input::published::seconds(text) == Some(0.0),
            Some(Value::Number(_) | Value::Bool(_)) => false,
        };
        if !is_empty && !rules.gate(gate) {
            rules.wrong(&[field], needs_gate(gate));
        }
    }
    let gate = "CustomCPUCFSQuotaPeriod";
    if let Some(period) = rules.seconds(&["cpuCFSQuotaPeriod"]) {
        if !rules.gate(gate) && period != 0.1 && period != 0.0 {
            rules.wrong(&["cpuCFSQuotaPeriod"], needs_gate(gate));
        } else if period != 0.0 && !(0.001..=1.0).contains(&period) {
            rules.wrong(&["cpuCFSQuotaPeriod"], "must be between 1ms and 1s");
        }
    }
    let way = ["crashLoopBackOff", "maxContainerRestartPeriod"];
    if let Some(period) = rules.seconds(&way) {
        if !rules.gate("KubeletCrashLoopBackOffMax") {
            rules.wrong(&way, needs_gate("KubeletCrashLoopBackOffMax"));
        } else if !(1.0..=300.0).contains(&period) {
            rules.wrong(&way, "must be between 1s and 300s");
        }
    }
    if rules.is("enableSystemLogQuery") == Some(true) {
        if !rules.gate("NodeLogQuery") {
            rules.wrong(&["enableSystemLogQuery"], needs_gate("NodeLogQuery"));
        }
        if rules.is("enableSystemLogHandler") == Some(false) {
            rules.wrong(&["enableSystemLogQuery"], "needs `enableSystemLogHandler`");
        }
    }
    if rules.is("serverTLSBootstrap") == Some(true) && !rules.gate("RotateKubeletServerCertificate")
    {
        rules.wrong(
            &["serverTLSBootstrap"],
            needs_gate("RotateKubeletServerCertificate"),
        );
    }
    memory_factor(rules);
}

fn memory_factor(rules: &mut Rules<'_>) {
    let way = ["memoryThrottlingFactor"];
    let Some(factor) = rules.number(&way) else {
        return;
    };
    // 0.9 was the default before the gate was asked for.
    let is_gated = rules.minor() >= 37 && factor != 0.9;
    if factor <= 0.0 || factor > 1.0 {
        rules.wrong(&way, "must be greater than 0, and 1 or less");
    } else if is_gated && !rules.gate("MemoryQoS") {
        rules.wrong(&way, needs_gate("MemoryQoS"));
    }
}

fn needs_gate(gate: &str) -> String {
    format!("is refused without the feature gate `{gate}`: set it in `featureGates`")
}

fn images(rules: &mut Rules<'_>) {
    // The kubelet's defaults stand for what is not given.
    let percent = |field, default| rules.int(&[field]).unwrap_or(default);
    let high = percent("imageGCHighThresholdPercent", 85);
    let low = percent("imageGCLowThresholdPercent", 80);
    let given = ["imageGCLowThresholdPercent", "imageGCHighThresholdPercent"];
    let field = given.iter().find(|field| rules.value(&[field]).is_some());
    if low >= high
        && let Some(field) = field
    {
        rules.wrong(
            &[field],
            format!(
                "imageGCLowThresholdPercent ({low}) must be less than \
                 imageGCHighThresholdPercent ({high})"
            ),
        );
    }
    let least = rules.seconds(&["imageMinimumGCAge"]).unwrap_or(120.0);
    let most = rules.seconds(&["imageMaximumGCAge"]).unwrap_or(0.0);
    if most > 0.0 && most <= least {
        rules.wrong(
            &["imageMaximumGCAge"],
            format!("must be greater than imageMinimumGCAge ({least}s)"),
        );
    }
    let many = rules.int(&["maxParallelImagePulls"]).is_some_and(|n| n > 1);
    if many && rules.is("serializeImagePulls") == Some(true) {
        rules.wrong(
            &["maxParallelImagePulls"],
            "must be 1 with `serializeImagePulls`: set that to `false`",
        );
    }
    let policy = "imagePullCredentialsVerificationPolicy";
    let allowed = "NeverVerifyAllowlistedImages";
    let list = "preloadedImagesVerificationAllowlist";
    if !rules.list(list).is_empty() && rules.text(&[policy]) != Some(allowed) {
        rules.wrong(
            &[list],
            format!("is refused unless `{policy}` is `{allowed}`"),
        );
    }
}

fn shutdown(rules: &mut Rules<'_>) {
    let (all, critical, by_priority) = (
        "shutdownGracePeriod",
        "shutdownGracePeriodCriticalPods",
        "shutdownGracePeriodByPodPriority",
    );
    let seconds = |field, default: &str| {
        let given = rules.seconds(&[field]);
        let of_nodeimg = || crate::input::published::seconds(default);
        given.or_else(|| of_nodeimg().filter(|_| rules.is_of_recipe))
    };
    let period = seconds(all, SHUTDOWN).unwrap_or_default();
    let of_critical = seconds(critical, SHUTDOWN_CRITICAL).unwrap_or_default();
    for (field, value) in [(all, period), (critical, of_critical)] {
        if value < 0.0 || (value > 0.0 && value < 1.0) {
            rules.wrong(&[field], "must be 0s, or 1s or more");
        }
    }
    if of_critical > period {
        let field = match rules.value(&[critical]) {
            Some(_) => critical,
            None => all,
        };
        rules.wrong(
            &[field],
            format!(
                "{critical} ({of_critical}s) must not be longer than {all} ({period}s); nodeimg \
                 sets {SHUTDOWN_CRITICAL} and {SHUTDOWN} if the recipe does not"
            ),
        );
    }
    let gate = "GracefulNodeShutdown";
    if !rules.gate(gate) && (period > 0.0 || of_critical > 0.0) {
        rules.wrong(
            &["featureGates", gate],
            format!("is needed: or set `{all}` and `{critical}` to \"0s\""),
        );
    }
    if period > MOST_SHUTDOWN {
        rules.wrong(
            &[all],
            "logind of this image delays a shutdown by 10m at most: use less",
        );
    }
    let has = rules.value(&[by_priority]).and_then(Value::as_array);
    if has.is_some_and(|items| !items.is_empty()) && (period > 0.0 || of_critical > 0.0) {
        rules.wrong(
            &[by_priority],
            format!("is refused beside the other two: set `{all}` and `{critical}` to \"0s\""),
        );
    }
}

/// Go's names of those that `crypto/tls` has.
fn ciphers(rules: &mut Rules<'_>) {
    const KNOWN: &str = "TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 \
        TLS_CHACHA20_POLY1305_SHA256 TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA \
        TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 \
        TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 \
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 \
        TLS_ECDHE_ECDSA_WITH_RC4_128_SHA TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA \
        TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256 \
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA \
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305 \
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 TLS_ECDHE_RSA_WITH_RC4_128_SHA \
        TLS_RSA_WITH_3DES_EDE_CBC_SHA TLS_RSA_WITH_AES_128_CBC_SHA \
        TLS_RSA_WITH_AES_128_CBC_SHA256 TLS_RSA_WITH_AES_128_GCM_SHA256 \
        TLS_RSA_WITH_AES_256_CBC_SHA TLS_RSA_WITH_AES_256_GCM_SHA384 TLS_RSA_WITH_RC4_128_SHA";
    for (index, name) in rules.list("tlsCipherSuites") {
        if !KNOWN.split_whitespace().any(|known| known == name) {
            let near = nodeimg_seed::text::suggest::nearest(name, KNOWN.split_whitespace());
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let message = format!("the kubelet knows no cipher suite `{name}`{near}");
            rules.wrong_item("tlsCipherSuites", index, message);
        }
    }
}

/// Kernel parameters of a namespace, as the kubelet has them.
fn is_of_a_namespace(name: &str) -> bool {
    let name = name.replace('/', ".");
    let prefixes = ["kernel.shm", "kernel.msg", "fs.mqueue.", "net."];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || name == "kernel.sem"
}

fn small(rules: &mut Rules<'_>) {
    for (index, name) in rules.list("allowedUnsafeSysctls") {
        if !is_of_a_namespace(name) {
            let message = format!(
                "the kubelet would not start: `{name}` is of the whole machine, not of a pod; set \
                 it in `[sysctl]`"
            );
            rules.wrong_item("allowedUnsafeSysctls", index, message);
        }
    }
    if rules.is("runOnce") == Some(true) {
        rules.wrong(&["runOnce"], "is refused: nodes cannot run once any more");
    }
    if rules.text(&["systemCgroups"]).is_some() && rules.text(&["cgroupRoot"]).is_none() {
        rules.wrong(&["systemCgroups"], "is refused without `cgroupRoot`");
    }
    // A relative one is below the folder of the configuration file.
    if let Some(path) = rules.text(&["podLogsDir"]) {
        let mut parts = path
            .strip_prefix('/')
            .into_iter()
            .flat_map(|path| path.split('/'));
        if !path.is_ascii() || parts.any(|part| ["", ".", ".."].contains(&part)) {
            rules.wrong(
                &["podLogsDir"],
                "must be a path of ASCII without `//`, `.` and `..`",
            );
        }
    }
    let way = ["userNamespaces", "idsPerPod"];
    if rules
        .int(&way)
        .is_some_and(|ids| ids < 65536 || ids % 65536 != 0 || ids > i64::from(u32::MAX))
    {
        rules.wrong(&way, "must be a multiple of 65536");
    }
    if let Some(size) = rules.text(&["containerLogMaxSize"]) {
        let quantity = resources::amount(size);
        if quantity.is_none_or(|bytes| bytes <= 0.0) {
            rules.wrong(&["containerLogMaxSize"], "must be a size such as \"10Mi\"");
        }
    }
    if let Some(version) = rules.text(&["showHiddenMetricsForVersion"]) {
        super::rules::hidden_metrics(rules, version);
    }
    taints(rules);
}

fn taints(rules: &mut Rules<'_>) {
    let items = rules
        .value(&["registerWithTaints"])
        .and_then(Value::as_array);
    for (index, taint) in items.into_iter().flatten().enumerate() {
        let text = |key: &str| taint.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_good = crate::input::recipe::services::is_label_key(text("key"))
            && crate::input::recipe::services::is_label_value(text("value"));
        if !is_good || text("effect").is_empty() {
            let message = "not a taint: `{ key = \"a.example/b\", value = \"c\", effect = \
                           \"NoSchedule\" }`";
            rules.wrong_item("registerWithTaints", index, message);
        } else if taint.get("timeAdded").is_some_and(|time| !time.is_null()) {
            rules.wrong_item("registerWithTaints", index, "is refused with `timeAdded`");
        }
    }
}

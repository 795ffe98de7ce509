//! What the kubelet keeps for the system, evicts pods for, and gives them of processors and
//! memory.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::rules::{Rules, not_one_of};
use crate::input::published::is_quantity;

/// <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#eviction-signals>
const SIGNALS: [&str; 8] = [
    "containerfs.available",
    "containerfs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "pid.available",
];
/// Another signal, which only the kubelet itself makes use of.
const ALLOCATABLE: &str = "allocatableMemory.available";
const RESERVABLE: [&str; 4] = ["cpu", "ephemeral-storage", "memory", "pid"];
const ENFORCED: [&str; 6] = [
    "kube-reserved",
    "kube-reserved-compressible",
    "none",
    "pods",
    "system-reserved",
    "system-reserved-compressible",
];

pub fn rules(rules: &mut Rules<'_>) {
    eviction(rules);
    reserved(rules);
    enforced(rules);
    processors(rules);
    reserved_memory(rules);
    topology(rules);
}

/// The number that a quantity says.
pub fn amount(text: &str) -> Option<f64> {
    if !is_quantity(text) {
        return None;
    }
    let units = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    units.iter().find_map(|(suffix, unit)| {
        let number: f64 = text.strip_suffix(suffix)?.parse().ok()?;
        Some(number * unit)
    })
}

fn is_percent(text: &str) -> Option<bool> {
    let number: f64 = text.strip_suffix('%')?.parse().ok()?;
    Some((0.0..=100.0).contains(&number))
}

fn eviction(rules: &mut Rules<'_>) {
    let fields = ["evictionHard", "evictionSoft", "evictionMinimumReclaim"];
    for field in fields {
        for (signal, text) in rules.pairs(&[field]) {
            if !SIGNALS.contains(&signal) && signal != ALLOCATABLE {
                let message = format!("no eviction signal: {}", not_one_of(signal, &SIGNALS));
                rules.wrong(&[field, signal], message);
                continue;
            }
            let is_good = is_percent(text)
                .unwrap_or_else(|| amount(text).is_some_and(|amount| amount >= 0.0));
            if !is_good {
                rules.wrong(
                    &[field, signal],
                    format!("must be a quantity or a percentage, not `{text}`"),
                );
            }
        }
    }
    let periods = rules.pairs(&["evictionSoftGracePeriod"]);
    for (signal, text) in &periods {
        let way = ["evictionSoftGracePeriod", signal];
        if !SIGNALS.contains(signal) && *signal != ALLOCATABLE {
            let message = format!("no eviction signal: {}", not_one_of(signal, &SIGNALS));
            rules.wrong(&way, message);
        } else if crate::input::published::seconds(text).is_none_or(|seconds| seconds < 0.0) {
            rules.wrong(&way, "must be a duration such as \"1m30s\"");
        }
    }
    for (signal, _) in rules.pairs(&["evictionSoft"]) {
        if !periods.iter().any(|(of, _)| *of == signal) {
            rules.wrong(
                &["evictionSoft", signal],
                format!("needs a period: set `\"{signal}\"` in `evictionSoftGracePeriod`"),
            );
        }
    }
}

fn reserved(rules: &mut Rules<'_>) {
    for field in ["kubeReserved", "systemReserved"] {
        for (name, text) in rules.pairs(&[field]) {
            if !RESERVABLE.contains(&name) {
                let message = format!("cannot be reserved: {}", not_one_of(name, &RESERVABLE));
                rules.wrong(&[field, name], message);
            } else if !is_quantity(text) || text.starts_with('-') {
                rules.wrong(
                    &[field, name],
                    format!("must be a quantity such as \"500m\" or \"1Gi\", not `{text}`"),
                );
            }
        }
    }
    for (name, text) in rules.pairs(&["qosReserved"]) {
        if name != "memory" || is_percent(text) != Some(true) {
            rules.wrong(&["qosReserved", name], "must be `memory = \"50%\"`");
        }
    }
}

fn enforced(rules: &mut Rules<'_>) {
    let field = "enforceNodeAllocatable";
    let list = rules.list(field);
    let has = |name: &str| list.iter().any(|(_, item)| *item == name);
    let mut found: Vec<(usize, String)> = Vec::new();
    for (index, name) in &list {
        let twin = format!("{name}-compressible");
        let cgroup = match *name {
            "system-reserved" | "system-reserved-compressible" => Some("systemReservedCgroup"),
            "kube-reserved" | "kube-reserved-compressible" => Some("kubeReservedCgroup"),
            _ => None,
        };
        if !ENFORCED.contains(name) {
            found.push((*index, not_one_of(name, &ENFORCED)));
        } else if list
            .iter()
            .any(|(other, item)| other < index && item == name)
        {
            found.push((*index, format!("`{name}` is there twice")));
        } else if *name == "none" && list.len() > 1 {
            found.push((*index, "`none` must be alone".to_owned()));
        } else if has(&twin) {
            found.push((*index, format!("is refused beside `{twin}`")));
        } else if let Some(cgroup) = cgroup.filter(|cgroup| rules.text(&[cgroup]).is_none()) {
            found.push((*index, format!("`{name}` needs `{cgroup}`")));
        }
    }
    for (index, message) in found {
        rules.wrong_item(field, index, message);
    }
    // Without the field it is `["pods"]`.
    let is_given = rules.value(&[field]).is_some();
    let is_none = is_given && list.iter().all(|(_, name)| *name == "none");
    if rules.is("cgroupsPerQOS") == Some(false) && !is_none {
        rules.wrong(
            &["cgroupsPerQOS"],
            "is refused unless `enforceNodeAllocatable` is `[\"none\"]`",
        );
    }
}

fn processors(rules: &mut Rules<'_>) {
    let cpus = rules.text(&["reservedSystemCPUs"]);
    if let Some(text) = cpus {
        if !is_cpuset(text) {
            rules.wrong(
                &["reservedSystemCPUs"],
                "must be numbers and ranges such as \"0-1,4\"",
            );
        }
        let cgroups = ["systemReservedCgroup", "kubeReservedCgroup"];
        if let Some(field) = cgroups.iter().find(|field| rules.text(&[field]).is_some()) {
            rules.wrong(
                &["reservedSystemCPUs"],
                format!("is refused beside `{field}`"),
            );
        }
    }
    let is_static = rules.text(&["cpuManagerPolicy"]) == Some("static");
    let kept = |field| {
        let pairs = rules.pairs(&[field]);
        let cpu = pairs.iter().find(|(name, _)| *name == "cpu");
        cpu.and_then(|(_, text)| amount(text)).unwrap_or_default()
    };
    if is_static && cpus.is_none() && kept("kubeReserved") + kept("systemReserved") <= 0.0 {
        rules.wrong(
            &["cpuManagerPolicy"],
            "the kubelet would not start: `static` needs a processor for the system; set \
             `reservedSystemCPUs`, or `cpu` in `kubeReserved` or `systemReserved`",
        );
    }
    policy_options(
        rules,
        "cpuManagerPolicyOptions",
        &[
            ("align-by-socket", "CPUManagerPolicyAlphaOptions"),
            (
                "distribute-cpus-across-cores",
                "CPUManagerPolicyAlphaOptions",
            ),
            ("distribute-cpus-across-numa", "CPUManagerPolicyBetaOptions"),
            ("full-pcpus-only", ""),
            // Of a lower stage until 1.35.
            ("prefer-align-cpus-by-uncorecache", ""),
            ("strict-cpu-reservation", ""),
        ],
    );
    if !is_static && !rules.pairs(&["cpuManagerPolicyOptions"]).is_empty() {
        rules.wrong(
            &["cpuManagerPolicyOptions"],
            "the kubelet would not start: only the `cpuManagerPolicy` `static` has options",
        );
    }
}

/// Options of a manager, each with the feature gate that it needs, if there is one.
fn policy_options(rules: &mut Rules<'_>, field: &str, known: &[(&str, &str)]) {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    for (name, value) in rules.pairs(&[field]) {
        let message = match known.iter().find(|(known, _)| *known == name) {
            None => format!("no option: {}", not_one_of(name, &names)),
            Some((_, gate)) if !gate.is_empty() && !rules.gate(gate) => {
                format!("is refused without the feature gate `{gate}`")
            }
            Some(_) if name == "max-allowable-numa-nodes" => {
                if value.parse::<u32>().is_ok_and(|nodes| nodes >= 8) {
                    continue;
                }
                "must be a number of 8 or more, in quotes".to_owned()
            }
            Some(_) if crate::input::published::is_bool(value) => continue,
            Some(_) => "must be \"true\" or \"false\", in quotes".to_owned(),
        };
        rules.wrong(&[field, name], message);
    }
}

fn topology(rules: &mut Rules<'_>) {
    let known = [
        ("max-allowable-numa-nodes", ""),
        ("prefer-closest-numa-nodes", ""),
    ];
    policy_options(rules, "topologyManagerPolicyOptions", &known);
}

/// As k8s.io/utils/cpuset reads it: `0-3,7`.
fn is_cpuset(text: &str) -> bool {
    text.split(',').all(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) => first <= last,
            _ => false,
        }
    })
}

fn reserved_memory(rules: &mut Rules<'_>) {
    let field = "reservedMemory";
    let items = rules.value(&[field]).and_then(Value::as_array);
    let mut kept: BTreeMap<(i64, &str), f64> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, item) in items.into_iter().flatten().enumerate() {
        let node = item.get("numaNode").and_then(Value::as_i64).unwrap_or(0);
        let limits = item.get("limits").and_then(Value::as_object);
        for (name, value) in limits.into_iter().flatten() {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let Some(bytes) = amount(&text) else { continue };
            if name != "memory" && !name.starts_with("hugepages-") {
                found.push((
                    index,
                    format!("`{name}` is neither `memory` nor `hugepages-SIZE`"),
                ));
            } else if bytes == 0.0 {
                found.push((index, format!("`{name}` must not be 0")));
            } else if kept.insert((node, name), bytes).is_some() {
                found.push((
                    index,
                    format!("`{name}` of NUMA node {node} is there twice"),
                ));
            }
        }
    }
    for (index, message) in found {
        rules.wrong_item(field, index, message);
    }
    if rules.text(&["memoryManagerPolicy"]) == Some("Static") {
        let memory = kept.iter().filter(|((_, name), _)| *name == "memory");
        let sum: f64 = memory.map(|(_, bytes)| bytes).sum();
        static_memory(rules, sum);
    }
}

/// The sum of `reservedMemory` must be that of what is reserved otherwise.
fn static_memory(rules: &mut Rules<'_>, sum: f64) {
    let of = |field: &str, name: &str| {
        let pairs = rules.pairs(&[field]);
        let text = pairs.iter().find(|(of, _)| *of == name)?.1;
        Some(amount(text))
    };
    // Of a percentage nothing is known before the node is.
    let Some(evicted) = of("evictionHard", "memory.available").unwrap_or(Some(104_857_600.0))
    else {
        return;
    };
    let kube = of("kubeReserved", "memory").flatten().unwrap_or_default();
    let system = of("systemReserved", "memory").flatten().unwrap_or_default();
    let wanted = kube + system + evicted;
    if (sum - wanted).abs() >= 1.0 {
        rules.wrong(
            &["memoryManagerPolicy"],
            format!(
                "the kubelet would not start: `Static` wants `reservedMemory` to be what \
                 kubeReserved, systemReserved and evictionHard's memory.available (100Mi if it \
                 is not set) are together: {wanted} bytes, not {sum}"
            ),
        );
    }
}

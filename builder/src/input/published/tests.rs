#![allow(clippy::unwrap_used)]
use nodeimg_seed::text::yaml;
use serde_json::{Value, json};

use super::value::is_quantity;
use super::{Age, NEWEST, OLDEST, Part, Stage, of, of_yaml, seconds};

const KUBELET: (&str, &str) = ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration");
const JOIN: &str = "JoinConfiguration";

fn told(minor: u64, (api, kind): (&str, &str), document: &Value) -> Vec<(String, String)> {
    let found = of(minor).unwrap().check(api, kind, document);
    let dotted = |way: &[Part]| {
        let part = |part: &Part| match part {
            Part::Key(key) => key.clone(),
            Part::Index(index) => index.to_string(),
        };
        way.iter().map(part).collect::<Vec<_>>().join(".")
    };
    let found = found.iter();
    found
        .map(|wrong| (dotted(&wrong.way), wrong.message.clone()))
        .collect()
}

#[test]
fn every_minor_version_is_read() {
    for minor in OLDEST..=NEWEST {
        let release = of(minor).unwrap();
        assert_eq!(release.minor(), format!("1.{minor}"));
        assert_eq!(release.kinds(KUBELET.0), [KUBELET.1]);
        assert!(release.gate_names().count() > 200);
        assert!(release.flag_names("kubelet").count() > 120);
        assert!(release.flag_names("kube-proxy").count() > 50);
        for (program, least) in [
            ("etcd", 120),
            ("kube-apiserver", 170),
            ("kube-controller-manager", 140),
            ("kube-scheduler", 55),
        ] {
            assert!(release.flag_names(program).count() > least, "{program}");
        }
        let plugins = release.words("kube-apiserver", "enable-admission-plugins");
        assert!(plugins.iter().any(|plugin| plugin == "NodeRestriction"));
        let controllers = release.words("kube-controller-manager", "controllers");
        for name in ["tokencleaner", "token-cleaner-controller"] {
            assert!(controllers.iter().any(|controller| controller == name));
        }
        assert!(release.etcd().starts_with("3."));
    }
    assert!(of(OLDEST - 1).is_none() && of(NEWEST + 1).is_none());
}

#[test]
fn fields_have_names_and_types() {
    for (document, way, message) in [
        (
            json!({"evictonHard": {}}),
            "evictonHard",
            "KubeletConfiguration of Kubernetes 1.36 has no such field; did you mean `evictionHard`?",
        ),
        (
            json!({"memoryReservationPolicy": 1, "registerWithTaints": [{"effects": "x"}]}),
            "registerWithTaints.0.effects",
            "did you mean `effect`?",
        ),
        (
            json!({"serializeImagePulls": "no"}),
            "serializeImagePulls",
            "`true` or `false`, not \"no\"",
        ),
        (
            json!({"maxPods": "5"}),
            "maxPods",
            "a whole number, not a string",
        ),
        (
            json!({"maxPods": 1.5}),
            "maxPods",
            "a whole number, not the number 1.5",
        ),
        (
            json!({"maxPods": 3_000_000_000_u64}),
            "maxPods",
            "between -2147483648 and 2147483647",
        ),
        (
            json!({"syncFrequency": "soon"}),
            "syncFrequency",
            "a duration such as",
        ),
        (
            json!({"syncFrequency": 15}),
            "syncFrequency",
            "not the number 15",
        ),
        (
            json!({"clusterDNS": "10.0.0.10"}),
            "clusterDNS",
            "a list, not a string",
        ),
        (
            json!({"evictionHard": {"memory.available": 1}}),
            "evictionHard.memory.available",
            "a string",
        ),
        (
            json!({"evictionHard": []}),
            "evictionHard",
            "a mapping, not a list",
        ),
        (
            json!({"memorySwap": {"behavior": "x"}}),
            "memorySwap.behavior",
            "did you mean `swapBehavior`?",
        ),
        (
            json!({"registerWithTaints": [{"key": "a", "effect": "noschedule"}]}),
            "registerWithTaints.0.effect",
            "did you mean `NoSchedule`?",
        ),
        (
            json!({"reservedMemory": [{"numaNode": 0, "limits": {"memory": "1GB"}}]}),
            "reservedMemory.0.limits.memory",
            "a quantity",
        ),
    ] {
        let found = told(36, KUBELET, &document);
        let hit = found
            .iter()
            .any(|(at, text)| at == way && text.contains(message));
        assert!(hit, "{document}: {found:?} should have {way}: {message}");
    }
    let good = json!({
        "apiVersion": KUBELET.0, "kind": KUBELET.1, "syncFrequency": "1h30m0.5s", "maxPods": 5,
        "evictionHard": {"memory.available": "100Mi"}, "featureGates": {"X": true},
        "registerWithTaints": [{"key": "a", "effect": "NoSchedule"}], "clusterDNS": ["a"], "podPidsLimit": 5.0,
        "logging": {"options": {"json": {"infoBufferSize": "0"}}}, "kubeAPIQPS": 5,
    });
    assert_eq!(told(36, KUBELET, &good), []);
}

#[test]
fn a_field_of_another_version_is_named_as_one() {
    let found = told(34, KUBELET, &json!({"memoryReservationPolicy": "None"}));
    let (_, message) = &found[0];
    assert!(
        message.contains("1.34 has no such field: it is one of Kubernetes 1.36"),
        "{message}"
    );
}

#[test]
fn kubeadm_has_its_versions() {
    let arguments = json!({"nodeRegistration": {"kubeletExtraArgs": {"a": "b"}}});
    assert_eq!(told(36, ("kubeadm.k8s.io/v1beta3", JOIN), &arguments), []);
    let found = told(36, ("kubeadm.k8s.io/v1beta4", JOIN), &arguments);
    assert_eq!(found[0].0, "nodeRegistration.kubeletExtraArgs");
    assert_eq!(found[0].1, "must be a list, not a mapping");
    let (old, new) = (of(36).unwrap(), of(37).unwrap());
    assert_eq!(old.age("kubeadm.k8s.io/v1beta3"), Age::Deprecated);
    assert_eq!(new.age("kubeadm.k8s.io/v1beta3"), Age::Retired("1.36"));
    assert_eq!(new.age("kubeadm.k8s.io/v1beta4"), Age::Current);
    assert_eq!(new.age("kubeadm.k8s.io/v1"), Age::Experimental);
    assert_eq!(new.age("kubeadm.k8s.io/v2"), Age::Unknown);
    assert_eq!(
        old.versions("kubeadm.k8s.io"),
        ["kubeadm.k8s.io/v1beta3", "kubeadm.k8s.io/v1beta4"]
    );
}

#[test]
fn gates_and_flags() {
    let release = of(37).unwrap();
    let gate = release.gate("NodeSwap").unwrap();
    assert_eq!(
        (gate.stage, gate.is_on, gate.is_locked),
        (Stage::Ga, true, true)
    );
    assert!(!release.gate("AllAlpha").unwrap().is_on);
    assert_eq!(release.needs("EventedPLEG"), ["PLEGOnDemandRelist"]);
    let flag = release.flag("kubelet", "max-pods").unwrap();
    assert_eq!((flag.kind.as_str(), flag.is_deprecated), ("int", true));
    assert!(
        !release
            .flag("kubelet", "node-labels")
            .unwrap()
            .is_deprecated
    );
    assert!(release.flag("kubelet", "containerd").is_none());
    assert!(of(36).unwrap().flag("kubelet", "containerd").is_some());
}

#[test]
fn values_are_read_as_go_does() {
    for (text, want) in [
        ("1h30m", 5400.0),
        ("0", 0.0),
        ("-1.5s", -1.5),
        ("250ms", 0.25),
        (".5s", 0.5),
    ] {
        assert_eq!(seconds(text), Some(want), "{text}");
    }
    for text in ["", "1", "s", "1 s", "1d", "1.2.3s", "+"] {
        assert_eq!(seconds(text), None, "{text}");
    }
    for text in ["1", "1.5Gi", ".5", "5.", "-2k", "1e3", "1E-3", "500m", "1E"] {
        assert!(is_quantity(text), "{text}");
    }
    for text in ["", "Gi", "1GB", "1 Gi", "1gi", "1.2.3", "0x5", "1e", "."] {
        assert!(!is_quantity(text), "{text}");
    }
    let node = yaml::parse("a: yes\nb: 5\nc: '5'\nd:\ne: [1.5, x]\n")
        .unwrap()
        .unwrap();
    assert_eq!(
        of_yaml(&node),
        json!({"a": true, "b": 5, "c": "5", "d": null, "e": [1.5, "x"]})
    );
}

/// As go-yaml reads each, which `kubeadm config validate` showed.
#[test]
fn plain_text_is_what_go_takes_it_for() {
    for (text, expected) in [
        ("y", json!(true)),
        ("Off", json!(false)),
        ("~", Value::Null),
        ("0o17", json!(15)),
        ("017", json!(15)),
        ("08", json!(8.0)),
        ("1_000", json!(1000)),
        ("0x1F", json!(31)),
        ("-0b11", json!(-3)),
        ("1e3", json!(1000.0)),
        (".5", json!(0.5)),
        ("1.37", json!(1.37)),
        ("1.37.1", json!("1.37.1")),
        ("190:20:30", json!("190:20:30")),
        ("2024-01-01", json!("2024-01-01")),
        (
            "18446744073709551615",
            json!(18_446_744_073_709_551_615_u64),
        ),
        ("nan", json!("nan")),
        ("inf", json!("inf")),
        ("--1", json!("--1")),
        ("+", json!("+")),
        ("'1'", json!("1")),
    ] {
        let root = yaml::parse(&format!("k: {text}\n")).unwrap().unwrap();
        assert_eq!(of_yaml(&root)["k"], expected, "{text}");
    }
}

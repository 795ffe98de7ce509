//! The real kubelet and kube-proxy of the image, in a booted root of it.
//!
//! They run by chroot in name spaces of their own, without a network and
//! without cgroups: far enough to have read all flags and files, and then they
//! end by themselves, before they would change anything.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::first_boot::{Node, PLAIN};
use super::support::judge;
use super::support::run::{Ran, clean};

/// The words of a unit's ExecStart=, its variables from its environment files.
fn exec_start(node: &Node, unit: &str) -> Vec<String> {
    let text = node
        .text(&format!("/etc/systemd/system/{unit}"))
        .replace("\\\n", " ");
    let values = |key: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        lines.map(str::to_owned).collect()
    };
    let mut variables = BTreeMap::new();
    for file in values("EnvironmentFile") {
        for line in node
            .text(&file)
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let (name, value) = line.split_once('=').unwrap();
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    let words = values("ExecStart").remove(0);
    let fill = |word: &str| -> Vec<String> {
        let Some(name) = word.strip_prefix('$') else {
            return vec![word.to_owned()];
        };
        variables[name]
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    words.split_whitespace().flat_map(fill).collect()
}

/// Runs `words` in the node's root; `None` where this machine has no name
/// spaces for us.
fn run(node: &Node, words: &[String]) -> Option<Ran> {
    for directory in ["proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(node.root().join(directory)).unwrap();
    }
    // A fresh /sys has no cgroups in it, and nothing of this machine can be
    // written to.
    let script = "cd \"$1\" && mount --rbind /proc proc && mount -o remount,bind,ro proc && \
                  mount -t sysfs -o ro sysfs sys && mount --rbind /dev dev || exit 99; \
                  shift; exec chroot . \"$@\"";
    // Ended by timeout if it does not end by itself.
    let mut command = clean(Command::new("timeout"));
    command.args(["-k", "2", "15", "unshare"]);
    let how: &[&str] = if judge::is_root() {
        &["-n", "-m"]
    } else {
        &["-r", "-n", "-m"]
    };
    command
        .args(how)
        .args(["sh", "-c", script, "sh"])
        .arg(node.root())
        .args(words);
    let ran = Ran::of(&mut command);
    if ran.code == Some(99) || ran.err.starts_with("unshare:") {
        judge::missing(&format!(
            "name spaces to run the image's programs in ({})",
            ran.err.trim()
        ));
        return None;
    }
    assert_ne!(ran.code, Some(124), "it did not end by itself: {}", ran.err);
    Some(ran)
}

/// Past flags, configuration, certificates and CA, to where it wants cgroups.
fn accepted(ran: &Ran) -> bool {
    ran.err.contains(
        "Loaded a new CA Bundle and Verifier for \"client-ca-bundle::/var/lib/kubelet/ca.crt\"",
    ) && ran.err.contains("failed to run Kubelet: mountpoint for c")
}

#[test]
fn the_kubelet_accepts_its_flags_and_its_configuration() {
    let full = "  node_ip: 192.168.10.101\n  pod_subnet: 10.200.0.0/24\n  \
                labels: {zone: a, disk: ssd}\n  taints: ['dedicated=gpu:NoSchedule']\n";
    // A plain seed leaves --node-ip=, --node-labels= and --register-with-taints= empty.
    for (values, flag) in [
        (PLAIN, "--node-labels="),
        (full, "--node-labels=disk=ssd,zone=a"),
    ] {
        let Some(node) = Node::new(values) else {
            return;
        };
        node.boot().good();
        let words = exec_start(&node, "kubelet.service");
        assert!(words.iter().any(|word| word == flag), "{words:?}");
        let Some(ran) = run(&node, &words) else {
            return;
        };
        assert!(accepted(&ran), "{words:?}\n{}", ran.err);
        for sign in [
            "lenient decoding",
            "unknown flag",
            "unrecognized feature gate",
        ] {
            assert!(!ran.err.contains(sign), "{sign}: {}", ran.err);
        }
    }
}

/// What is wrong would be seen, and before that point.
#[test]
fn the_kubelet_would_refuse_what_is_wrong() {
    let Some(node) = Node::new(PLAIN) else { return };
    node.boot().good();
    let good = exec_start(&node, "kubelet.service");
    for bad in [
        "--no-such-flag",
        "--register-with-taints=nonsense",
        "--config=/no/such.yaml",
    ] {
        let mut words = good.clone();
        words.push(bad.to_owned());
        let Some(ran) = run(&node, &words) else {
            return;
        };
        assert!(!accepted(&ran), "{bad}\n{}", ran.err);
    }
}

/// kube-proxy reads its configuration, and writes down what it has read.
#[test]
fn kube_proxy_accepts_its_flags_and_its_configuration() {
    let Some(node) = Node::new(PLAIN) else { return };
    node.boot().good();
    let mut words = exec_start(&node, "kube-proxy.service");
    words.push("--write-config-to=/tmp/read.yaml".to_owned());
    let Some(ran) = run(&node, &words) else {
        return;
    };
    let ran = ran.good();
    assert!(!ran.err.contains("lenient decoding"), "{}", ran.err);
    let read = node.text("/tmp/read.yaml");
    for line in [
        "clusterCIDR: 10.200.0.0/16",
        "mode: iptables",
        "  kubeconfig: /var/lib/kube-proxy/kubeconfig",
    ] {
        assert!(
            read.lines().any(|found| found == line),
            "no {line:?} in\n{read}"
        );
    }
}

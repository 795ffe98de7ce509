//! The real kubelet and kube-proxy of the image, in a booted root of it.
//!
//! They run by chroot in name spaces of their own, without a network and
//! without cgroups: far enough to have read all flags and files, not so far
//! that they would change anything.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::first_boot::{Node, PLAIN};
use nodeimg_test_support::judge;
use nodeimg_test_support::run::{Ran, clean};

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

/// Runs `words` in the node's root for so many seconds at most; `None` where this machine has no name
/// spaces for us.
fn run(node: &Node, words: &[String], seconds: u32) -> Option<Ran> {
    for directory in ["proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(node.root().join(directory)).unwrap();
    }
    // The kubelet runs only where cgroups are of version 2. Nothing of this machine
    // can be written to.
    let script = "cd \"$1\" && mount --rbind /proc proc && mount -o remount,bind,ro proc && \
                  mount -t sysfs -o ro sysfs sys && mount -t cgroup2 -o ro cgroup2 sys/fs/cgroup && \
                  mount --rbind /dev dev || exit 99; \
                  shift; exec chroot . \"$@\"";
    let mut command = clean(Command::new("timeout"));
    command.args(["-k", "2", &seconds.to_string(), "unshare"]);
    let how: &[&str] = if judge::is_root() {
        &["-n", "-m", "-C"]
    } else {
        &["-r", "-n", "-m", "-C"]
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
    Some(ran)
}

/// Past flags, configuration, certificates and CA, to where it wants containerd.
fn accepted(ran: &Ran) -> bool {
    ran.err.contains(
        "\"Loaded a new CA Bundle and Verifier\" name=\"client-ca-bundle::/var/lib/kubelet/ca.crt\"",
    ) && ran
        .err
        .contains("failed to run Kubelet: validate service connection")
}

#[test]
fn the_kubelet_accepts_its_flags_and_its_configuration() {
    let full = "  node_ip: 192.168.10.101\n  pod_subnet: 10.200.0.0/24\n  \
                labels: {zone: a, disk: ssd}\n  taints: ['dedicated=gpu:NoSchedule']\n";
    // A plain seed leaves --node-ip= and --node-labels= empty.
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
        let Some(ran) = run(&node, &words, 15) else {
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

/// Problems would be seen before that point.
#[test]
fn the_kubelet_would_refuse_what_is_wrong() {
    let Some(node) = Node::new(PLAIN) else { return };
    node.boot().good();
    let good = exec_start(&node, "kubelet.service");
    for bad in [
        "--no-such-flag",
        "--node-labels=kubernetes.io/nonsense=x",
        "--config=/no/such.yaml",
    ] {
        let mut words = good.clone();
        words.push(bad.to_owned());
        let Some(ran) = run(&node, &words, 15) else {
            return;
        };
        assert!(!accepted(&ran), "{bad}\n{}", ran.err);
    }
}

/// kube-proxy has read and validated everything when it asks for its node, by
/// the kubeconfig that first boot wrote; in here it asks for ever.
#[test]
fn kube_proxy_accepts_its_flags_and_its_configuration() {
    let asked =
        "failed to list *v1.Node: Get \\\"https://server.kubernetes.local:6443/api/v1/nodes";
    let Some(node) = Node::new(PLAIN) else { return };
    node.boot().good();
    let words = exec_start(&node, "kube-proxy.service");
    let Some(ran) = run(&node, &words, 2) else {
        return;
    };
    assert!(ran.err.contains(asked), "{}", ran.err);
    assert!(!ran.err.contains("lenient decoding"), "{}", ran.err);

    // Problems would be seen before that point.
    let path = node.root().join("usr/lib/nodeimg/kube-proxy-config.yaml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("mode: nftables"));
    fs::remove_file(&path).unwrap();
    fs::write(&path, text.replace("mode: nftables", "mode: nftable")).unwrap();
    let Some(ran) = run(&node, &words, 2) else {
        return;
    };
    assert!(
        !ran.err.contains(asked) && ran.err.contains("Mode"),
        "{}",
        ran.err
    );
}

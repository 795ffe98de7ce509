//! What a node goes through while its pods run: services that restart, a reboot, a
//! drain.

use serde_json::Value;

use super::control::Cluster;
use super::node::{Node, SOON};

/// The kubelet and the container runtime restart below running pods, whose containers stay.
#[track_caller]
pub fn services_restart(node: &mut Node, runtime: &str) {
    let containers = "crictl --timeout 60s ps --quiet --no-trunc | sort";
    let before = node.comes_to("containers", &format!("{containers} | grep ."));
    for unit in ["kubelet", runtime] {
        let id = |node: &Node| node.shell(&format!("systemctl show -P MainPID {unit}"));
        let was = id(node);
        node.shell(&format!("systemctl restart {unit}"));
        assert_ne!(was, id(node), "{unit} runs on");
        // A runtime that has just started may not answer yet.
        node.comes_to(
            &format!("the same containers after a restart of {unit}"),
            &format!("now=$({containers}); echo \"$now\"; test \"$now\" = '{before}'"),
        );
    }
    node.until("a healthy kubelet", SOON, |node| {
        let said = node.asks(10248, "/healthz");
        (said == "ok").then_some(()).ok_or(said)
    });
    node.ready();
}

/// Its pods go when an administrator wants the node for himself, and only then.
#[track_caller]
pub fn drains(cluster: &Cluster, node: &str, pods: &[&str]) {
    let words = ["drain", node, "--force", "--timeout=300s"];
    cluster.kubectl(&words).good();
    for pod in pods {
        assert!(cluster.get(&["pod", pod]).is_none(), "{pod} is there");
    }
    let cordoned = |node: &str| cluster.node(node).unwrap()["spec"]["unschedulable"].clone();
    assert_eq!(cordoned(node), true);
    cluster.kubectl(&["uncordon", node]).good();
    assert_eq!(cordoned(node), Value::Null);
}

/// A pod that takes note of the signal that it ends by.
pub fn noting(node: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: noting}}
spec:
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  terminationGracePeriodSeconds: 20
  containers:
  - name: main
    image: docker.io/library/busybox:1.37
    imagePullPolicy: Never
    command: [sh, -c, \"trap 'sleep 7; echo ended >/notes/ended; exit' TERM; sleep 100000 & wait\"]
    volumeMounts: [{{name: notes, mountPath: /notes}}]
  volumes: [{{name: notes, hostPath: {{path: /var/lib/notes, type: DirectoryOrCreate}}}}]
---
"
    )
}

/// The machine went down after its pods, which had the time that they asked for: more
/// than logind's 5 s. The API server's view of them proves nothing: the kubelet may
/// stop before it has reported it.
#[track_caller]
pub fn went_gracefully(node: &Node) {
    let done = "Shutdown manager completed processing shutdown event";
    node.shell(&format!(
        "test \"$(cat /var/lib/notes/ended)\" = ended; \
         completed=$(journalctl -b -1 -u kubelet -o short-unix --no-pager | sed -n 's/^\\([0-9]*\\)\\..*{done}.*/\\1/p'); \
         ended=$(stat -c %Y /var/lib/notes/ended); \
         echo \"ended at $ended, the kubelet's end of waiting $completed\"; \
         test \"$ended\" -le \"$completed\""
    ));
}

//! What pods take over from their node: its hosts, name servers and time zone, and the
//! confinement that the runtime gives to whoever asks for its default.

use super::control::{Cluster, is_true, until};
use super::node::{Node, SOON};

/// One pod on the node's network, and one with files of the node, confined by name.
fn pods(node: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: host-network}}
spec:
  hostNetwork: true
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: docker.io/library/busybox:1.37
    imagePullPolicy: Never
    command: [sh, -c, 'sleep 100000 & trap exit TERM; wait']
---
apiVersion: v1
kind: Pod
metadata: {{name: host-files}}
spec:
  dnsPolicy: Default
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  terminationGracePeriodSeconds: 1
  securityContext: {{appArmorProfile: {{type: RuntimeDefault}}}}
  containers:
  - name: main
    image: docker.io/library/busybox:1.37
    imagePullPolicy: Never
    command: [sh, -c, 'sleep 100000 & trap exit TERM; wait']
    volumeMounts:
    - {{name: localtime, mountPath: /etc/localtime, readOnly: true}}
    - {{name: timezone, mountPath: /etc/timezone, readOnly: true}}
  volumes:
  - {{name: localtime, hostPath: {{path: /etc/localtime, type: File}}}}
  - {{name: timezone, hostPath: {{path: /etc/timezone, type: File}}}}
"
    )
}

/// On a node in that time zone.
#[track_caller]
pub fn expect(cluster: &Cluster, node: &Node, name: &str, zone: &str) {
    cluster.apply(&pods(name));
    for pod in ["host-network", "host-files"] {
        until(&format!("pod {pod} Ready"), SOON, || {
            let pod = cluster.get(&["pod", pod]).ok_or("it is not there")?;
            is_true(&pod, "Ready")
                .then_some(())
                .ok_or(pod["status"].to_string())
        });
    }
    let says = |pod: &str, script: &str| {
        let ran = cluster.kubectl(&["exec", pod, "--", "sh", "-c", script]);
        ran.good().out.trim().to_owned()
    };
    let hosts = says("host-network", "cat /etc/hosts");
    for line in ["127.0.0.1 localhost", name] {
        assert!(hosts.contains(line), "{line} is not in\n{hosts}");
    }
    // A network of the tests need not have one.
    let servers = |file: &str| format!("grep ^nameserver {file} || true");
    let known = node.shell(&servers("/run/systemd/resolve/resolv.conf"));
    for pod in ["host-network", "host-files"] {
        let given = says(pod, &servers("/etc/resolv.conf"));
        assert!(!given.contains("127.0.0.53"), "{pod}: {given}");
        assert_eq!(given, known.trim(), "{pod}");
    }
    assert_eq!(says("host-files", "cat /etc/timezone"), zone);
    let here = node.shell("date +%z");
    assert_eq!(says("host-files", "date +%z"), here.trim());
    let confined = says("host-files", "cat /proc/1/attr/current");
    assert!(confined.ends_with("(enforce)"), "{confined}");
}

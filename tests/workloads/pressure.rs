//! When there is too little of something: a container that takes more memory than
//! it may, and a disk that is full.

use serde_json::Value;

use crate::cluster::control::{Cluster, is_true, until};
use crate::cluster::node::{Node, SOON};
use crate::suites::setting::Setting;

const GREEDY: &str = "
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox
    command: [tail, /dev/zero]
    resources: {limits: {memory: 24Mi}}
";

/// Writes what it has no request for: the first to go.
const LARGE: &str = "
apiVersion: v1
kind: Pod
metadata: {name: large}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox
    command: [sh, -c, 'dd if=/dev/zero of=/scratch/file bs=1M count=64; exec sleep 86400']
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes: [{name: scratch, emptyDir: {}}]
";

/// The kernel ends a container that takes too much, and no other.
///
/// The reason is `Error` if systemd removed the scope of the container before its shim
/// read why it ended (<https://github.com/containerd/containerd/pull/12714>), so the
/// kernel is asked too.
pub fn memory(cluster: &Cluster, node: &Node) {
    cluster.apply(GREEDY);
    let end = until("the end of a greedy container", SOON, || {
        let pod = cluster.get(&["pod", "greedy"]).ok_or("it is not there")?;
        let end = pod["status"]["containerStatuses"][0]["state"]["terminated"].clone();
        if end.is_null() {
            Err(pod["status"].to_string())
        } else {
            Ok(end)
        }
    });
    assert_eq!(end["exitCode"], 137, "{end}");
    let reason = end["reason"].as_str().unwrap_or_default();
    assert!(["OOMKilled", "Error"].contains(&reason), "{end}");
    let id = end["containerID"].as_str().unwrap();
    let id = id.strip_prefix("containerd://").unwrap();
    // The journal may have the kernel's line later than the kubelet the end.
    node.shell(&format!(
        "timeout 120 sh -c 'until journalctl --dmesg --quiet \
         --grep \"oom-kill:constraint=CONSTRAINT_MEMCG.*cri-containerd-{id}\"; do sleep 1; done'"
    ));
}

/// A full disk: the node says so, and evicts the pod that fills it.
pub fn expect_eviction(setting: &Setting, node: &mut Node) {
    let cluster = &setting.scene.cluster;
    node.ready();
    cluster.apply(LARGE);
    until("pod large Ready", SOON, || {
        let pod = cluster.get(&["pod", "large"]).ok_or("it is not there")?;
        is_true(&pod, "Ready")
            .then_some(())
            .ok_or(pod["status"].to_string())
    });
    // All but three of a hundred parts: the kubelet acts below ten.
    node.shell(
        "free=$(df -k --output=avail /var | tail -n1); size=$(df -k --output=size /var | tail -n1); \
         fallocate -l $((free - size * 3 / 100))K /var/tmp/fill",
    );
    let pod = until("the eviction of pod large", SOON, || {
        let pod = cluster.get(&["pod", "large"]).ok_or("it is gone")?;
        let status = pod["status"].clone();
        (status["phase"] == "Failed")
            .then_some(pod)
            .ok_or(status.to_string())
    });
    assert_eq!(pod["status"]["reason"], "Evicted", "{}", pod["status"]);
    assert!(
        tells(&pod).contains("ephemeral-storage"),
        "{}",
        pod["status"]
    );
    // The kubelet reports the condition with its next status, after the pod's.
    until("the condition DiskPressure", SOON, || {
        let object = cluster.node(node.name).ok_or("the node is not there")?;
        is_true(&object, "DiskPressure")
            .then_some(())
            .ok_or(object["status"]["conditions"].to_string())
    });
    node.shell("rm /var/tmp/fill");
}

fn tells(pod: &Value) -> &str {
    pod["status"]["message"].as_str().unwrap_or_default()
}

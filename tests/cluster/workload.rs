//! Pods to try a node with, of the image busybox, which is on the node already:
//! nothing is pulled.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::control::{Cluster, is_true, until};
use super::node::{Node, SOON};

/// Busybox with a web server that serves `told` on port 8080, tied to a node. It
/// ends when it is told to, which a container's first process does not by itself:
/// a node that shuts down waits for its pods.
pub fn web(name: &str, node: &str, told: &str) -> String {
    let script = format!(
        "mkdir -p /www; echo {told} >/www/index.html; echo serving {told}; httpd -f -p 8080 -h /www & trap exit TERM; wait"
    );
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: docker.io/library/busybox:1.37
    imagePullPolicy: Never
    command: [sh, -c, \"{script}\"]
---
"
    )
}

/// The same, run by a handler: by the RuntimeClass of its name.
pub fn web_of_class(class: &str, name: &str, node: &str, told: &str) -> String {
    let of_class = format!("\nspec:\n  runtimeClassName: {class}\n");
    web(name, node, told).replace("\nspec:\n", &of_class)
}

/// The RuntimeClasses of an image's handlers, which a build writes beside it.
pub fn classes(output: &Path) -> String {
    fs::read_to_string(output.join("runtime-classes.yaml")).unwrap()
}

/// crun keeps a file `status` of each container, in the runtime's folder `state`; runc another.
#[track_caller]
pub fn expect_crun(node: &Node, pod: &str, state: &str) {
    let label = format!("io.kubernetes.pod.name={pod}");
    node.shell(&format!(
        "id=$(crictl ps --quiet --no-trunc --label {label}) && test -s {state}/$id/status"
    ));
}

/// A Service of pods by the label `app`, port 80.
pub fn service(name: &str, address: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  clusterIP: {address}
  selector: {{app: {name}}}
  ports: [{{port: 80, targetPort: 8080}}]
---
"
    )
}

/// The pod when it is Ready, on its node's part of the pod network.
#[track_caller]
pub fn ready(cluster: &Cluster, name: &str, subnet: &str) -> Value {
    let pod = until(&format!("pod {name} Ready"), SOON, || {
        let pod = cluster.get(&["pod", name]).ok_or("there is no such pod")?;
        match is_true(&pod, "Ready") {
            true => Ok(pod),
            false => Err(pod["status"].to_string()),
        }
    });
    let address = pod["status"]["podIP"].as_str().unwrap();
    let prefix = subnet.strip_suffix("0/24").unwrap();
    assert!(
        address.starts_with(prefix),
        "pod {name} has {address}, which is not in {subnet}"
    );
    pod
}

/// What a web server says to a pod: the request goes out of `pod`'s network.
#[track_caller]
pub fn fetches(cluster: &Cluster, pod: &str, url: &str, told: &str) {
    let ask = [
        "exec", pod, "--", "timeout", "10", "wget", "-q", "-O", "-", url,
    ];
    until(&format!("{url} from pod {pod}"), SOON, || {
        let ran = cluster.kubectl(&ask);
        (ran.out.trim() == told)
            .then_some(())
            .ok_or_else(|| format!("{:?} {}", ran.out, ran.err))
    });
}

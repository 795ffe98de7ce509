//! metrics-server asks the kubelet, and `kubectl top` shows what it said.

use crate::cluster::control::{Cluster, until};
use crate::cluster::node::{Node, SOON};

const OBJECTS: &str = include_str!("metrics.yaml");

pub fn begin(cluster: &Cluster) {
    cluster.apply(OBJECTS);
}

pub fn tell(cluster: &Cluster, node: &Node) {
    let top = |words: &[&str]| {
        until(&format!("kubectl {}", words.join(" ")), SOON, || {
            let ran = cluster.kubectl(words);
            (ran.code == Some(0)).then_some(ran.out).ok_or(ran.err)
        })
    };
    let nodes = top(&["top", "node", "--no-headers"]);
    // NAME CPU(cores) CPU(%) MEMORY(bytes) MEMORY(%)
    let fields: Vec<&str> = nodes.split_whitespace().collect();
    assert_eq!(fields.first(), Some(&node.name), "{nodes}");
    assert!(
        fields[1].ends_with('m') && fields[3].ends_with("Mi"),
        "{nodes}"
    );
    let pods = top(&["top", "pod", "page", "--no-headers"]);
    assert!(pods.starts_with("page ") && pods.contains("Mi"), "{pods}");
    // What another suite finds is the cluster as it was.
    let words = ["delete", "apiservice", "v1beta1.metrics.k8s.io"];
    cluster.kubectl(&words).good();
}

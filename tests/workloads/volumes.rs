//! A pod with every kind of volume, filled by an init container, and a CronJob.

use crate::cluster::control::{Cluster, until};
use crate::cluster::node::{Node, SOON};

const OBJECTS: &str = include_str!("volumes.yaml");

pub fn begin(cluster: &Cluster) {
    cluster.apply(OBJECTS);
}

/// The pod itself looks at what it was given, and says so.
pub fn hold(cluster: &Cluster, node: &Node) {
    until("a pod of many volumes", SOON, || {
        let ran = cluster.kubectl(&["logs", "holds"]);
        let good = ran.out.trim() == "all is there";
        good.then_some(()).ok_or_else(|| {
            let pod = cluster.get(&["pod", "holds"]).unwrap_or_default();
            format!("{}{} {}", ran.out, ran.err, pod["status"])
        })
    });
    assert_eq!(node.shell("cat /var/lib/workload/told"), "from a pod");
}

/// At the next minute, a Job of the CronJob has come to its end.
pub fn scheduled(cluster: &Cluster) {
    until("a Job of the CronJob", SOON, || {
        let jobs = cluster.get(&["jobs"]).unwrap_or_default();
        let all = jobs["items"].as_array().cloned().unwrap_or_default();
        let done = all.iter().any(|job| job["status"]["succeeded"] == 1);
        done.then_some(()).ok_or(jobs["items"].to_string())
    });
    let words = ["delete", "cronjob", "each-minute", "--wait=false"];
    cluster.kubectl(&words).good();
}

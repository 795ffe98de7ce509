//! What real clusters run, on the node of `suites`: names, volumes, jobs, kubectl's
//! ways into a pod, metrics, and what happens when memory or the disk is full.
//!
//! | file | what |
//! |---|---|
//! | `dns` | CoreDNS, in and out |
//! | `volumes` | every kind of volume, init containers, a CronJob |
//! | `kubectl` | exec, logs, cp, port-forward, a hostPort |
//! | `credentials` | a registry's login by a program that the kubelet asks |
//! | `metrics` | metrics-server, `kubectl top` |
//! | `pressure` | an OOM kill, eviction by a full disk |
//! | `network` | flannel as a DaemonSet; with `NODEIMG_TEST_FULL` kube-router too, and across nodes |

pub mod credentials;
pub mod dns;
pub mod kubectl;
mod metrics;
pub mod network;
pub mod pressure;
mod volumes;

use crate::cluster::node::Node;
use crate::suites::setting::Setting;

/// All that leave the node as it was.
pub fn run(setting: &Setting, node: &Node) {
    let cluster = &setting.scene.cluster;
    // Those that take a while by themselves begin first.
    metrics::begin(cluster);
    volumes::begin(cluster);
    credentials::begin(cluster);
    kubectl::works(cluster, node);
    credentials::were_asked_for(cluster, node);
    pressure::memory(cluster, node);
    volumes::hold(cluster, node);
    metrics::tell(cluster, node);
    volumes::scheduled(cluster);
}

//! A hard-way worker without kube-proxy, as networks need it that implement Services
//! themselves: its seed has no credentials for it. Only if `NODEIMG_TEST_FULL` is set;
//! a node of kubeadm's shows the same in every run.

use super::Scene;
use super::images::HARD_WAY;
use super::node::{Machine, Node, Place, alone};
use super::seed::Seed;
use super::workload::{ready, web};

const PLACE: Place = Place {
    name: "node-9",
    number: 19,
};
const SUBNET: &str = "10.200.9.0/24";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_worker_without_kube_proxy_is_ready() {
    let Some((scene, _slots, image)) = alone(Scene::of_full("no-proxy"), &HARD_WAY, "amd64", 2)
    else {
        return;
    };
    let cluster = &scene.cluster;
    let certificates = cluster.certificates(PLACE.name, &[PLACE.address()]);
    cluster.route(SUBNET, &PLACE.address());
    let seed = Seed::new(&scene, &PLACE)
        .value("pod_subnet", SUBNET)
        .cluster(&scene)
        .certificate("kubelet", &certificates, "kubelet")
        .write(&scene, &PLACE);
    let mut node = Node::start(&scene, &Machine::worker(&PLACE, &image, &seed));
    node.ready();
    cluster.apply(&web("proxyless", PLACE.name, "by-itself"));
    ready(cluster, "proxyless", SUBNET);
    let words = [
        "exec",
        "proxyless",
        "--",
        "wget",
        "-qO-",
        "http://127.0.0.1:8080/",
    ];
    assert_eq!(cluster.kubectl(&words).good().out.trim(), "by-itself");
    expect_no_kube_proxy(&node);
    // It did not fail: it was not wanted, and the report says so.
    let state = "systemctl show -P ActiveState -P ConditionResult kube-proxy";
    assert_eq!(node.shell(state), "inactive\nno");
    let verdict = node.shell("nodeimg-firstboot status || test $? = 3");
    assert!(verdict.contains("kube-proxy is not started"), "{verdict}");
}

/// None runs, and no unit misses it.
#[track_caller]
pub fn expect_no_kube_proxy(node: &Node) {
    node.shell("! pidof kube-proxy");
    assert_eq!(node.shell("systemctl is-system-running --wait"), "running");
}

//! Workers with CRI-O, of the hard way and by kubeadm, where `NODEIMG_TEST_CRIO` names a folder with one.

use super::control::Cluster;
use super::images::{HARD_WAY_CRIO, KUBEADM_CRIO, image};
use super::kubeadm::{Worker, joins};
use super::node::{Node, Place};
use super::skew::expect_use;
use super::workload::{classes, expect_crun, fetches, ready, web, web_of_class};
use super::{Scene, journal, life};
use nodeimg_test_support::judge;

const PLACE: Place = Place {
    name: "node-7",
    number: 75,
};
const PODS: [&str; 2] = ["server-node-7", "client-node-7"];
const SUBNET: &str = "10.200.75.0/24";
const URL: &str = "http://10.32.0.75/";

#[test]
#[ignore = "boots for minutes, with a real CRI-O"]
fn a_worker_with_crio_is_of_use() {
    let scene = judge::crio().and_then(|_| Scene::new(PLACE.name));
    let used = expect_use(scene, &HARD_WAY_CRIO, &PLACE, "v1.36.3", "cri-o://1.36.");
    let Some((scene, _slots, mut node)) = used else {
        return;
    };
    let cluster = &scene.cluster;
    journal::judge(&node, "hard-way-crio");
    expect_nothing_of_containerd(&node);
    // Baked, and nothing pulls here.
    let images = node.shell("crictl images --output json");
    for name in ["registry.k8s.io/pause:", "docker.io/library/busybox:"] {
        assert!(images.contains(name), "no {name} in {images}");
    }
    by_its_class(cluster, &node);
    life::services_restart(&mut node, "crio");
    crashes(&mut node);
    fetches(cluster, PODS[1], URL, "served");

    // The same pods begin again.
    node.loses_power();
    serve(cluster);
    node.reboots();
    // These have ended with the machine: whoever makes pods makes others.
    let words = ["delete", "pod", PODS[0], PODS[1], "--now"];
    cluster.kubectl(&words).good();
    let again = PODS.map(|pod| web(pod, PLACE.name, "served"));
    cluster.apply(&again.concat());
    serve(cluster);
    life::drains(cluster, PLACE.name, &PODS);
}

/// Both pods are Ready, and reach the Service.
#[track_caller]
fn serve(cluster: &Cluster) {
    for pod in PODS {
        ready(cluster, pod, SUBNET);
    }
    fetches(cluster, PODS[1], URL, "served");
}

#[test]
#[ignore = "boots for minutes, with a real CRI-O"]
fn a_worker_joins_by_kubeadm_with_crio() {
    let worker = Worker {
        variant: &KUBEADM_CRIO,
        socket: "unix:///var/run/crio/crio.sock",
        place: Place {
            name: "node-8",
            number: 76,
        },
        subnet: "10.200.76.0/24",
    };
    let scene = judge::crio().and_then(|_| Scene::new(worker.place.name));
    joins(scene, &worker, "kubeadm-crio");
}

/// crun is CRI-O's own choice, and a handler by that name.
#[track_caller]
fn by_its_class(cluster: &Cluster, node: &Node) {
    cluster.apply(&classes(&image(&HARD_WAY_CRIO, "amd64").unwrap()));
    cluster.apply(&web_of_class("crun", "classed", PLACE.name, "by-crun"));
    ready(cluster, "classed", SUBNET);
    for pod in [PODS[0], "classed"] {
        expect_crun(node, pod, "/run/crun");
    }
    let words = ["delete", "pod", "classed", "--now"];
    cluster.kubectl(&words).good();
}

#[track_caller]
fn expect_nothing_of_containerd(node: &Node) {
    let found = node.shell(
        "ls -d /etc/containerd /var/lib/containerd /run/containerd /usr/bin/containerd* \
         /usr/bin/ctr /usr/local/bin/runc /etc/systemd/system/containerd.service 2>/dev/null || :",
    );
    assert_eq!(found, "");
}

/// Killed without a warning, CRI-O starts again, and the containers are the same.
#[track_caller]
fn crashes(node: &mut Node) {
    let containers = "crictl --timeout 60s ps --quiet --no-trunc | sort";
    let before = node.shell(containers);
    assert!(!before.is_empty());
    node.shell("systemctl kill --signal KILL --kill-whom main crio");
    node.comes_to(
        "the same containers after a crash of CRI-O",
        &format!("now=$({containers}); echo \"$now\"; test \"$now\" = '{before}'"),
    );
    let images = node.shell("crictl images --quiet");
    assert!(!images.is_empty());
    node.ready();
}

//! A worker of the hard way with CRI-O, where `NODEIMG_TEST_CRIO` names a folder with one.

use super::images::HARD_WAY_CRIO;
use super::node::{Node, Place};
use super::skew::expect_use;
use super::workload::{fetches, ready};
use super::{Scene, journal, life};
use nodeimg_test_support::judge;

const PLACE: Place = Place {
    name: "crio",
    number: 75,
};
const CLIENT: &str = "client-crio";
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
    life::services_restart(&mut node, "crio");
    crashes(&mut node);
    fetches(cluster, CLIENT, URL, "served");

    node.reboots();
    for pod in ["server-crio", CLIENT] {
        ready(cluster, pod, "10.200.75.0/24");
    }
    fetches(cluster, CLIENT, URL, "served");
    life::drains(cluster, PLACE.name, &["server-crio", CLIENT]);
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

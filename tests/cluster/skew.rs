//! Which kubelets a cluster accepts: none that is newer than its API server. Workers of
//! other versions than the cluster's, if `NODEIMG_TEST_FULL` is set; that of the minor
//! version before is in every run.

use super::Scene;
use super::images::{CONTAINERD_2_4, THREE_OLDER, TWO_OLDER, Variant};
use super::node::{Machine, Node, Place, alone};
use super::seed::Seed;
use super::workload::{fetches, ready, service, web};
use nodeimg_test_support::slots::Slots;

#[test]
#[ignore = "wants a cluster; ci/test runs it"]
fn a_kubelet_newer_than_the_api_server_is_refused() {
    let Some(scene) = Scene::new("skew") else {
        return;
    };
    let cluster = &scene.cluster;
    for version in ["1.37.2", "v1.36.3", "1.34.4"] {
        cluster.admits(version).good();
    }
    let newer = [
        "kubelet 1.38.0 is newer than the API server 1.37",
        "1.37 or older",
    ];
    let older = ["kubelet 1.33.1 is more than three", "1.34 or newer"];
    for (version, why) in [("1.38.0", newer), ("1.33.1", older)] {
        let ran = cluster.admits(version);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        for part in why {
            assert!(ran.err.contains(part), "{version}: {}", ran.err);
        }
    }
}

#[test]
#[ignore = "boots for minutes; ci/test --shard skew runs it"]
fn a_worker_that_is_two_minor_versions_older_is_of_use() {
    let place = Place {
        name: "two-older",
        number: 70,
    };
    let scene = Scene::of_full(place.name);
    expect_use(scene, &TWO_OLDER, &place, "v1.35.4", "containerd://2.3.");
}

#[test]
#[ignore = "boots for minutes; ci/test --shard skew runs it"]
fn a_worker_that_is_three_minor_versions_older_is_of_use() {
    let place = Place {
        name: "three-older",
        number: 71,
    };
    let scene = Scene::of_full(place.name);
    expect_use(scene, &THREE_OLDER, &place, "v1.34.4", "containerd://2.3.");
}

#[test]
#[ignore = "boots for minutes; ci/test --shard skew runs it"]
fn a_worker_of_the_next_containerd_is_of_use() {
    let place = Place {
        name: "containerd",
        number: 72,
    };
    let scene = Scene::of_full(place.name);
    expect_use(
        scene,
        &CONTAINERD_2_4,
        &place,
        "v1.37.2",
        "containerd://2.4.",
    );
}

/// Ready with the versions that are expected; its pods run, say what they log, and
/// reach a Service. `None` if the test cannot run; the pods are `server-NAME` and
/// `client-NAME`.
pub fn expect_use(
    scene: Option<Scene>,
    variant: &Variant,
    place: &Place,
    kubelet: &str,
    runtime: &str,
) -> Option<(Scene, Slots, Node)> {
    let (scene, slots, image) = alone(scene, variant, "amd64", 1)?;
    let cluster = &scene.cluster;
    let number = place.number;
    let subnet = format!("10.200.{number}.0/24");
    let seed = Seed::hard_way(&scene, place, &subnet).write(&scene, place);
    let mut node = Node::start(&scene, &Machine::worker(place, &image, &seed));
    let object = node.ready();
    let info = &object["status"]["nodeInfo"];
    assert_eq!(info["kubeletVersion"], kubelet);
    let found = info["containerRuntimeVersion"].as_str().unwrap();
    assert!(found.starts_with(runtime), "{found}");

    let [server, client] = ["server", "client"].map(|part| format!("{part}-{}", place.name));
    let address = format!("10.32.0.{number}");
    cluster.apply(
        &[
            web(&server, place.name, "served"),
            web(&client, place.name, "client"),
            service(&server, &address),
        ]
        .concat(),
    );
    for pod in [&server, &client] {
        ready(cluster, pod, &subnet);
    }
    fetches(cluster, &client, &format!("http://{address}/"), "served");
    assert_eq!(node.asks(10249, "/proxyMode"), "nftables");
    let log = cluster.kubectl(&["logs", &server]).good();
    assert_eq!(log.out.trim(), "serving served");
    Some((scene, slots, node))
}

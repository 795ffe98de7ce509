//! Two workers of the hard way: certificates from their seeds, pods on a bridge
//! with the nodes' own subnets, routes between them. One is a minor version older than
//! its cluster.

use serde_json::Value;

use super::control::Cluster;
use super::images::{HARD_WAY, OLDER, Variant, image};
use super::node::{Machine, Node, Place};
use super::seed::Seed;
use super::workload::{classes, expect_crun, fetches, ready, service, web, web_of_class};
use super::{Scene, journal, life};
use nodeimg_test_support::slots;

const FIRST: Place = Place {
    name: "node-0",
    number: 10,
};
const SECOND: Place = Place {
    name: "node-1",
    number: 11,
};
const SUBNETS: [&str; 2] = ["10.200.0.0/24", "10.200.1.0/24"];
const SERVICE: &str = "10.32.0.50";
const SERVICE_URL: &str = "http://10.32.0.50/";

fn start(
    scene: &Scene,
    variant: &Variant,
    place: &Place,
    others: &Place,
    subnets: [&str; 2],
) -> Option<Node> {
    let image = image(variant, "amd64")?;
    let seed = Seed::hard_way(scene, place, subnets[0])
        .value("labels", "{disk: ssd}")
        .route(subnets[1], others)
        .write(scene, place);
    let machine = Machine::worker(place, &image, &seed);
    Some(Node::start(scene, &machine))
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn two_workers_run_pods_and_reach_each_other() {
    let Some(scene) = Scene::new("hard-way") else {
        return;
    };
    let mut slots = slots::take(1, 4);
    let cluster = &scene.cluster;
    let [one, two] = SUBNETS;
    let Some(mut first) = start(&scene, &HARD_WAY, &FIRST, &SECOND, [one, two]) else {
        return;
    };
    // Not both at once, for which a place would stand empty until there are two.
    slots.more(1, 4);
    let mut second = start(&scene, &OLDER, &SECOND, &FIRST, [two, one]).unwrap();
    expect_the_seeds(&first.ready(), &first, "v1.37.2");
    expect_the_seeds(&second.ready(), &second, "v1.36.3");

    cluster.apply(&classes(&image(&OLDER, "amd64").unwrap()));
    cluster.apply(
        &[
            web("web", FIRST.name, "from-node-0"),
            web("beside", FIRST.name, "beside"),
            web_of_class("crun", "across", SECOND.name, "from-node-1"),
            service("web", SERVICE),
        ]
        .concat(),
    );
    let pod = ready(cluster, "web", one);
    ready(cluster, "beside", one);
    let across = ready(cluster, "across", two);
    // A boot like any other until here.
    journal::judge(&first, "hard-way");
    journal::judge(&second, "older");
    expect_traffic(cluster, &pod, &across);
    expect_crun(&second, "across", "/run/containerd/runc/k8s.io");
    assert_eq!(first.asks(10249, "/proxyMode"), "nftables");
    assert_eq!(second.asks(10249, "/proxyMode"), "iptables");
    let log = cluster.kubectl(&["logs", "web"]).good();
    assert_eq!(log.out.trim(), "serving from-node-0");

    // One node is enough from here on.
    drop(second);
    slots.less(1);
    life::services_restart(&mut first, "containerd");
    fetches(cluster, "beside", SERVICE_URL, "from-node-0");
    life::drains(cluster, FIRST.name, &["web", "beside"]);
    let again = [
        web("web", FIRST.name, "again"),
        web("beside", FIRST.name, "beside"),
        life::noting(FIRST.name),
    ];
    cluster.apply(&again.concat());
    for pod in ["web", "beside", "noting"] {
        ready(cluster, pod, one);
    }
    fetches(cluster, "beside", SERVICE_URL, "again");

    first.reboots();
    life::went_gracefully(&first);
    // A pod that ended so need not begin again: whoever made it makes another.
    let words = ["delete", "pod", "web", "beside", "noting", "--now"];
    cluster.kubectl(&words).good();
    cluster.apply(&again[..2].concat());
    ready(cluster, "web", one);
    ready(cluster, "beside", one);
    fetches(cluster, "beside", SERVICE_URL, "again");
}

/// On one node, between nodes, and by the Service: nftables, also to itself, then iptables.
#[track_caller]
fn expect_traffic(cluster: &Cluster, web: &Value, across: &Value) {
    let url = |pod: &Value| format!("http://{}:8080/", pod["status"]["podIP"].as_str().unwrap());
    fetches(cluster, "beside", &url(web), "from-node-0");
    fetches(cluster, "beside", &url(across), "from-node-1");
    fetches(cluster, "across", &url(web), "from-node-0");
    for pod in ["beside", "web", "across"] {
        fetches(cluster, pod, SERVICE_URL, "from-node-0");
    }
}

/// What the API server knows is what the seed says.
#[track_caller]
fn expect_the_seeds(object: &Value, node: &Node, kubelet: &str) {
    let addresses = object["status"]["addresses"].as_array().unwrap();
    let of = |kind: &str| {
        let all = addresses.iter().filter(|one| one["type"] == kind);
        all.map(|one| one["address"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("InternalIP"), [node.address.as_str()]);
    assert_eq!(of("Hostname"), [node.name]);
    let info = &object["status"]["nodeInfo"];
    assert_eq!(info["kubeletVersion"], kubelet);
    assert_eq!(info["architecture"], "amd64");
    let runtime = info["containerRuntimeVersion"].as_str().unwrap();
    assert!(runtime.starts_with("containerd://2.3."), "{runtime}");
    assert_eq!(object["metadata"]["labels"]["disk"], "ssd");
}

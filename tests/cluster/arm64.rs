//! A worker of the other architecture. Only if `NODEIMG_TEST_FULL` is set.

use super::Scene;
use super::images::HARD_WAY;
use super::node::{Machine, Node, Place, alone};
use super::seed::Seed;
use super::workload::{fetches, ready, service, web};

const PLACE: Place = Place {
    name: "node-4",
    number: 14,
};
const SUBNET: &str = "10.200.4.0/24";
const SERVICE: &str = "10.32.0.54";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_worker_of_arm64_is_ready_and_runs_a_pod() {
    let Some((scene, _slots, image)) = alone(Scene::of_full("arm64"), &HARD_WAY, "arm64", 3) else {
        return;
    };
    let cluster = &scene.cluster;
    let seed = Seed::hard_way(&scene, &PLACE, SUBNET).write(&scene, &PLACE);
    let mut node = Node::start(&scene, &Machine::worker(&PLACE, &image, &seed));
    let object = node.ready();
    let info = &object["status"]["nodeInfo"];
    assert_eq!(info["architecture"], "arm64");
    assert_eq!(info["kubeletVersion"], "v1.37.2");
    let web = web("on-arm64", PLACE.name, "arm64");
    cluster.apply(&(web + &service("on-arm64", SERVICE)));
    ready(cluster, "on-arm64", SUBNET);
    // By nftables, whose modules are this kernel's own.
    fetches(cluster, "on-arm64", &format!("http://{SERVICE}/"), "arm64");
    assert_eq!(node.asks(10249, "/proxyMode"), "nftables");
    let machine = cluster.kubectl(&["exec", "on-arm64", "--", "uname", "-m"]);
    assert_eq!(machine.good().out.trim(), "aarch64");
}

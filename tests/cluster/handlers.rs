//! Pods by RuntimeClasses that no package of Debian has a program for: gVisor and youki, of a
//! folder that `NODEIMG_TEST_HANDLERS` names (tests/README.md tells how to make it).

use super::Scene;
use super::images::{HANDLERS, image};
use super::node::{Machine, Node, Place, SOON};
use super::seed::Seed;
use super::workload::{classes, fetches, ready, web, web_of_class};
use nodeimg_test_support::{judge, slots};

const PLACE: Place = Place {
    name: "handlers-0",
    number: 74,
};
const SUBNET: &str = "10.200.74.0/24";

#[test]
#[ignore = "boots for minutes, with programs of NODEIMG_TEST_HANDLERS"]
fn pods_run_by_their_classes() {
    let Some(scene) = judge::handlers().and_then(|_| Scene::new("handlers")) else {
        return;
    };
    let _slots = slots::take(1, 4);
    let Some(output) = image(&HANDLERS, "amd64") else {
        return;
    };
    let cluster = &scene.cluster;
    let seed = Seed::hard_way(&scene, &PLACE, SUBNET).write(&scene, &PLACE);
    let machine = Machine {
        memory: "2 GiB",
        ..Machine::worker(&PLACE, &output, &seed)
    };
    let mut node = Node::start(&scene, &machine);
    node.ready();
    cluster.apply(&classes(&output));
    cluster.apply(&web("client-of-classes", PLACE.name, "client"));
    ready(cluster, "client-of-classes", SUBNET);
    for (class, is_its_own) in [
        ("youki", by_youki as fn(&mut Node, &str)),
        ("runsc", by_gvisor),
    ] {
        let name = format!("by-{class}");
        cluster.apply(&web_of_class(class, &name, PLACE.name, class));
        let pod = ready(cluster, &name, SUBNET);
        let address = pod["status"]["podIP"].as_str().unwrap();
        let url = format!("http://{address}:8080/");
        fetches(cluster, "client-of-classes", &url, class);
        is_its_own(&mut node, &name);
        let said = cluster.kubectl(&["exec", &name, "--", "cat", "/www/index.html"]);
        assert_eq!(said.good().out.trim(), class);
    }
}

/// It keeps a file of that name with a container's state.
#[track_caller]
fn by_youki(node: &mut Node, pod: &str) {
    let label = format!("io.kubernetes.pod.name={pod}");
    node.shell(&format!(
        "id=$(crictl ps --quiet --no-trunc --label {label}) && \
         test -s /run/containerd/runc/k8s.io/$id/youki_config.json"
    ));
}

/// The kernel that a pod sees is gVisor's own, which says so.
#[track_caller]
fn by_gvisor(node: &mut Node, pod: &str) {
    let label = format!("io.kubernetes.pod.name={pod}");
    let said = node.until("gVisor's kernel", SOON, |node| {
        let ran = node.tries(&format!(
            "crictl --timeout 60s exec $(crictl ps --quiet --label {label}) dmesg"
        ));
        match ran.code {
            Some(0) => Ok(ran.out),
            _ => Err(ran.err),
        }
    });
    assert!(said.contains("gVisor"), "{said}");
}

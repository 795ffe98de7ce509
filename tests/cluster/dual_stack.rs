//! A cluster of both families: a node that has both, and one that has IPv6 only. Only
//! if `NODEIMG_TEST_FULL` is set.

use serde_json::Value;

use super::control::{Cluster, is_true, until};
use super::images::{DUAL_STACK, image};
use super::node::{BOOT, Machine, Node, Place};
use super::seed::Seed;
use super::workload::{fetches, web};
use super::{Scene, directory};
use nodeimg_test_support::{judge, slots};

const BOTH: Place = Place {
    name: "dual-0",
    number: 15,
};
const SIX: Place = Place {
    name: "six-0",
    number: 16,
};
const BOTHS_SUBNETS: [&str; 2] = ["10.200.5.0/24", "fd00:10:200:5::/64"];
const SIXS_SUBNETS: [&str; 1] = ["fd00:10:200:6::/64"];

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn nodes_of_both_families_and_of_ipv6_only() {
    if !judge::is_full("a dual-stack cluster") {
        return;
    }
    let name = "dual-stack";
    let Some(own) = Cluster::start(name, &[("CLUSTER_FAMILIES", "dual")]) else {
        return;
    };
    let scene = Scene {
        cluster: own.0.clone(),
        directory: directory(name),
        name,
    };
    let mut slots = slots::take(1, 4);
    let Some(image) = image(&DUAL_STACK, "amd64") else {
        return;
    };
    let cluster = &scene.cluster;
    let seed = Seed::hard_way_of(&scene, &BOTH, &BOTHS_SUBNETS)
        .route(SIXS_SUBNETS[0], &SIX)
        .write(&scene, &BOTH);
    let mut both = Node::start(&scene, &Machine::worker(&BOTH, &image, &seed));
    slots.more(1, 4);
    let seed = Seed::hard_way_of(&scene, &SIX, &SIXS_SUBNETS)
        .route(BOTHS_SUBNETS[1], &BOTH)
        .write(&scene, &SIX);
    let machine = Machine::worker(&SIX, &image, &seed);
    let mut six = Node::start_at(&scene, &machine, SIX.address6());
    let addresses = [BOTH.address(), BOTH.address6()];
    assert_eq!(internal(&both.ready()), addresses);
    assert_eq!(internal(&six.ready()), [SIX.address6()]);
    // It has no address of the other family on any interface.
    six.shell("test -z \"$(ip -4 -brief address show scope global)\"");

    cluster.apply(
        &[
            web("both", BOTH.name, "from-both"),
            web("six", SIX.name, "from-six"),
            service("both", "RequireDualStack", "[IPv4, IPv6]"),
            service("six", "SingleStack", "[IPv6]"),
        ]
        .concat(),
    );
    expect_traffic(cluster);
    for node in [&both, &six] {
        assert_eq!(node.asks(10249, "/proxyMode"), "nftables");
        assert_eq!(node.shell("systemctl is-system-running"), "running");
    }
}

/// Itself, by either family; the other node's pod; Services of each family, on a node that
/// has that family.
#[track_caller]
fn expect_traffic(cluster: &Cluster) {
    let [four, of_both] = &addresses_of(cluster, "both", &BOTHS_SUBNETS)[..] else {
        panic!("two subnets, two addresses");
    };
    let [of_six] = &addresses_of(cluster, "six", &SIXS_SUBNETS)[..] else {
        panic!("one subnet, one address");
    };
    fetches(cluster, "both", &url(four, 8080), "from-both");
    fetches(cluster, "both", &url(of_both, 8080), "from-both");
    fetches(cluster, "both", &url(of_six, 8080), "from-six");
    fetches(cluster, "six", &url(of_both, 8080), "from-both");
    let [by_four, by_six] = &service_addresses(cluster, "both")[..] else {
        panic!("a Service of two families has two addresses");
    };
    fetches(cluster, "both", &url(by_four, 80), "from-both");
    fetches(cluster, "both", &url(by_six, 80), "from-both");
    fetches(cluster, "six", &url(by_six, 80), "from-both");
    let [by_six] = &service_addresses(cluster, "six")[..] else {
        panic!("a Service of one family has one address");
    };
    fetches(cluster, "six", &url(by_six, 80), "from-six");
    fetches(cluster, "both", &url(by_six, 80), "from-six");
}

/// The node's addresses, as the API server has them.
fn internal(object: &Value) -> Vec<&str> {
    let all = object["status"]["addresses"].as_array().unwrap().iter();
    let own = all.filter(|one| one["type"] == "InternalIP");
    own.map(|one| one["address"].as_str().unwrap()).collect()
}

/// A Service of pods by the label `app`, port 80, whose addresses the API server finds.
fn service(name: &str, policy: &str, families: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  ipFamilyPolicy: {policy}
  ipFamilies: {families}
  selector: {{app: {name}}}
  ports: [{{port: 80, targetPort: 8080}}]
---
"
    )
}

fn service_addresses(cluster: &Cluster, name: &str) -> Vec<String> {
    let service = cluster.get(&["service", name]).unwrap();
    texts(service["spec"]["clusterIPs"].as_array().unwrap())
}

/// Those of a pod once it is Ready: one of each of its node's subnets.
#[track_caller]
fn addresses_of(cluster: &Cluster, name: &str, subnets: &[&str]) -> Vec<String> {
    let pod = until(&format!("pod {name} Ready"), BOOT, || {
        let pod = cluster.get(&["pod", name]).ok_or("there is no such pod")?;
        match is_true(&pod, "Ready") {
            true => Ok(pod),
            false => Err(pod["status"].to_string()),
        }
    });
    let all = pod["status"]["podIPs"].as_array().unwrap().iter();
    let addresses: Vec<Value> = all.map(|one| one["ip"].clone()).collect();
    let addresses = texts(&addresses);
    assert_eq!(addresses.len(), subnets.len(), "{addresses:?}");
    for (address, subnet) in addresses.iter().zip(subnets) {
        let network = subnet.split_once("0/24").or(subnet.split_once(":/64"));
        let (prefix, _) = network.unwrap();
        assert!(address.starts_with(prefix), "{address} is not in {subnet}");
    }
    addresses
}

fn texts(values: &[Value]) -> Vec<String> {
    let text = |one: &Value| one.as_str().unwrap().to_owned();
    values.iter().map(text).collect()
}

fn url(address: &str, port: u16) -> String {
    match address.contains(':') {
        true => format!("http://[{address}]:{port}/"),
        false => format!("http://{address}:{port}/"),
    }
}

//! Network plugins that come as DaemonSets: flannel by vxlan and kube-router. What they
//! write to `/opt/cni/bin` and `/etc/cni/net.d` of the sealed node counts at once: the
//! next pod has its network from them, ahead of the node's own bridge.

use serde_json::Value;

use crate::cluster::control::{Cluster, is_true, until};
use crate::cluster::node::{Node, Place, SOON};
use crate::cluster::seed::Seed;
use crate::suites::JUDGED;
use crate::suites::setting::Setting;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::{judge, slots};

/// A network that a DaemonSet brings.
struct Network {
    name: &'static str,
    namespace: &'static str,
    objects: &'static str,
    /// Where its configuration is on the node, and its bridge.
    file: &'static str,
    bridge: &'static str,
    plugin: &'static str,
}

const FLANNEL: Network = Network {
    name: "flannel",
    namespace: "kube-flannel",
    objects: include_str!("flannel.yaml"),
    file: "/etc/cni/net.d/05-flannel.conflist",
    bridge: "cni1",
    plugin: "/opt/cni/bin/flannel-bridge",
};

const KUBE_ROUTER: Network = Network {
    name: "kube-router",
    namespace: "kube-system",
    objects: include_str!("kube-router.yaml"),
    file: "/etc/cni/net.d/04-router.conflist",
    bridge: "kube-bridge",
    plugin: "/opt/cni/bin/bridge",
};

/// flannel on the one node that every run has; it is left there.
pub fn flannel(setting: &Setting, node: &Node) {
    FLANNEL.expect_used(&setting.scene.cluster, &[node]);
}

const PLACES: [Place; 2] = [
    Place {
        name: "net-a",
        number: 63,
    },
    Place {
        name: "net-b",
        number: 64,
    },
];

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn flannel_crosses_nodes() {
    FLANNEL.expect_to_cross_nodes();
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn kube_router_crosses_nodes() {
    KUBE_ROUTER.expect_to_cross_nodes();
}

impl Network {
    /// On two nodes of a cluster that has no other.
    fn expect_to_cross_nodes(&self) {
        if !judge::is_full("networks of DaemonSets across nodes") {
            return;
        }
        let Some(setting) = Setting::start(self.name, &[("CLUSTER_NODE_CIDRS", "yes")]) else {
            return;
        };
        let _slots = slots::take(2, 4);
        let mut nodes = Vec::new();
        for (place, subnet) in PLACES.iter().zip(["10.200.63.0/24", "10.200.64.0/24"]) {
            let seed = Seed::hard_way(&setting.scene, place, subnet);
            let Some(node) = setting.node(&JUDGED, place, seed, 1) else {
                return;
            };
            nodes.push(node);
        }
        nodes.iter_mut().for_each(|node| _ = node.ready());
        let nodes: Vec<&Node> = nodes.iter().collect();
        self.expect_used(&setting.scene.cluster, &nodes);
    }

    /// The DaemonSet runs, and a pod of each node reaches that of the next by it.
    fn expect_used(&self, cluster: &Cluster, nodes: &[&Node]) {
        let Network {
            name,
            file,
            bridge,
            plugin,
            ..
        } = self;
        cluster.apply(self.objects);
        for node in nodes {
            let script = format!("test -x {plugin} && grep -o subnet {file}");
            until(&format!("{name} on {}", node.name), SOON, || {
                let ran = node.tries(&script);
                (ran.code == Some(0))
                    .then_some(())
                    .ok_or_else(|| self.state(cluster))
            });
        }
        let pods: Vec<Value> = nodes.iter().map(|node| self.pod(cluster, node)).collect();
        for (number, pod) in pods.iter().enumerate() {
            let other = &pods[(number + 1) % pods.len()];
            let url = format!(
                "http://{}:8080/",
                other["status"]["podIP"].as_str().unwrap()
            );
            let from = pod["metadata"]["name"].as_str().unwrap();
            let told = other["spec"]["nodeName"].as_str().unwrap();
            crate::cluster::workload::fetches(cluster, from, &url, told);
        }
        for (node, pod) in nodes.iter().zip(&pods) {
            let links = node.shell(&format!("ip -brief address show dev {bridge}"));
            let address = pod["status"]["podIP"].as_str().unwrap();
            let network = address.rsplit_once('.').unwrap().0;
            assert!(
                links.contains(network),
                "{address} is not of {bridge}: {links}"
            );
        }
    }

    /// What its pods say.
    fn state(&self, cluster: &Cluster) -> String {
        let pods = ["get", "pods", "--all-namespaces", "--output=wide"];
        let logs = [
            "logs",
            "--all-pods",
            "--all-containers",
            "--prefix",
            "--tail=30",
        ];
        let mut of_daemonset = cluster.kubectl_command(&logs);
        of_daemonset.args([
            "--namespace",
            self.namespace,
            &format!("daemonset/{}", self.name),
        ]);
        let said = Ran::of(&mut of_daemonset);
        cluster.kubectl(&pods).out + &said.out + &said.err
    }

    /// A pod on the node that began when the network was there.
    fn pod(&self, cluster: &Cluster, node: &Node) -> Value {
        let name = format!("{}-{}", self.name, node.name);
        let told = node.name;
        cluster.apply(&format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeName: {told}
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox
    command: [sh, -c, 'mkdir /www; echo {told} >/www/index.html; exec httpd -f -p 8080 -h /www']
"
        ));
        until(&format!("pod {name} Ready"), SOON, || {
            let pod = cluster.get(&["pod", &name]).ok_or("it is not there")?;
            let state = pod["status"].to_string();
            is_true(&pod, "Ready").then_some(pod).ok_or(state)
        })
    }
}

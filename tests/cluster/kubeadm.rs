//! A worker that kubeadm sets up at first boot, from the kind of data that Cluster
//! API makes.

use super::images::KUBEADM;
use super::no_proxy::expect_no_kube_proxy;
use super::node::{Machine, Node, Place, alone};
use super::seed::{Seed, indented, public_key};
use super::workload::{fetches, ready, web};
use super::{Scene, journal};

const WORKER: Place = Place {
    name: "node-3",
    number: 13,
};
const SUBNET: &str = "10.200.3.0/24";

/// As Cluster API's kubeadm bootstrap provider writes it
/// ([its template](https://github.com/kubernetes-sigs/cluster-api/blob/v1.5.0/bootstrap/kubeadm/internal/cloudinit/node.go)).
fn cluster_api(scene: &Scene) -> Seed {
    let join = format!(
        "---
apiVersion: kubeadm.k8s.io/v1beta4
caCertPath: \"\"
discovery:
  bootstrapToken:
    apiServerEndpoint: 10.240.0.1:6443
    caCertHashes:
    - {}
    token: {}
kind: JoinConfiguration
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
  name: '{{{{ ds.meta_data.local_hostname }}}}'
  kubeletExtraArgs:
  - name: node-labels
    value: cni=daemonset
",
        scene.cluster.ca_hash(),
        scene.cluster.token()
    );
    Seed::of(format!(
        "## template: jinja
#cloud-config

ssh_authorized_keys:
- {}
write_files:
-   path: /run/kubeadm/kubeadm-join-config.yaml
    owner: root:root
    permissions: '0640'
    content: |
{}
-   path: /run/cluster-api/placeholder
    owner: root:root
    permissions: '0640'
    content: \"This placeholder file is used to create the /run/cluster-api sub directory\"
runcmd:
  - \"kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml  && echo success > /run/cluster-api/bootstrap-success.complete\"
",
        public_key(scene),
        indented(&join, 6)
    ))
}

/// A network plugin as clusters bring them: a DaemonSet that copies a program to
/// /opt/cni/bin and its configuration to /etc/cni/net.d.
fn network_plugin() -> String {
    let configuration = format!(
        r#"{{"cniVersion":"0.4.0","name":"daemonset","plugins":[{{"type":"of-daemonset","bridge":"cni1","isGateway":true,"ipMasq":true,"ipam":{{"type":"host-local","ranges":[[{{"subnet":"{SUBNET}"}}]],"routes":[{{"dst":"0.0.0.0/0"}}]}}}}]}}"#
    );
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: network}}
data:
  05-daemonset.conflist: '{configuration}'
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: network}}
spec:
  selector: {{matchLabels: {{app: network}}}}
  template:
    metadata: {{labels: {{app: network}}}}
    spec:
      hostNetwork: true
      nodeSelector: {{cni: daemonset}}
      tolerations: [{{operator: Exists}}]
      terminationGracePeriodSeconds: 1
      containers:
      - name: install
        image: docker.io/library/busybox:1.37
        imagePullPolicy: Never
        command: [sh, -c, 'cp /bin-dir/bridge /bin-dir/of-daemonset && cp /files/05-daemonset.conflist /net-dir/; sleep 100000 & trap exit TERM; wait']
        volumeMounts:
        - {{name: bin, mountPath: /bin-dir}}
        - {{name: net, mountPath: /net-dir}}
        - {{name: files, mountPath: /files}}
      volumes:
      - {{name: bin, hostPath: {{path: /opt/cni/bin}}}}
      - {{name: net, hostPath: {{path: /etc/cni/net.d}}}}
      - {{name: files, configMap: {{name: network}}}}
"
    )
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_worker_joins_from_cluster_apis_data_and_keeps_its_network_plugin() {
    let Some((scene, _slots, image)) = alone(Scene::new("kubeadm-worker"), &KUBEADM, "amd64", 4)
    else {
        return;
    };
    let cluster = &scene.cluster;
    cluster.apply(&network_plugin());
    cluster.route(SUBNET, &WORKER.address());
    let seed = cluster_api(&scene).write(&scene, &WORKER);
    let mut node = Node::start(&scene, &Machine::worker(&WORKER, &image, &seed));
    node.ready();
    node.comes_to(
        "Cluster API's sign of success",
        "test \"$(cat /run/cluster-api/bootstrap-success.complete)\" = success",
    );
    let status = node.comes_to(
        "the report on the commands",
        "nodeimg-firstboot status --json | grep -q '\"commands\": *\"done\"' && nodeimg-firstboot status",
    );
    assert!(status.contains("node-3"), "{status}");
    cluster.approve_serving(WORKER.name);
    cluster.apply(&web("joined", WORKER.name, "by-kubeadm"));
    let pod = ready(cluster, "joined", SUBNET);
    journal::judge(&node, "kubeadm");
    // This cluster has no DaemonSet of it.
    expect_no_kube_proxy(&node);
    let address = pod["status"]["podIP"].as_str().unwrap();
    fetches(
        cluster,
        "joined",
        &format!("http://{address}:8080/"),
        "by-kubeadm",
    );

    node.reboots();
    node.shell("test -x /opt/cni/bin/of-daemonset && test -s /etc/cni/net.d/05-daemonset.conflist");
    // Not joined a second time.
    node.comes_to(
        "the report after the reboot",
        "nodeimg-firstboot status --json | grep -q '\"outcome\": *\"unchanged\"'",
    );
}

//! A worker that kubeadm sets up at first boot, from the kind of data that Cluster
//! API makes.

use super::images::{KUBEADM, Variant};
use super::no_proxy::expect_no_kube_proxy;
use super::node::{Machine, Node, Place, alone};
use super::seed::{Seed, indented, public_key};
use super::workload::{fetches, ready, web};
use super::{Scene, inherited, journal};

/// A worker to join: its image, its container runtime's socket, and where it is.
pub struct Worker {
    pub variant: &'static Variant,
    pub socket: &'static str,
    pub place: Place,
    pub subnet: &'static str,
}

const WORKER: Worker = Worker {
    variant: &KUBEADM,
    socket: "unix:///run/containerd/containerd.sock",
    place: Place {
        name: "node-3",
        number: 13,
    },
    subnet: "10.200.3.0/24",
};

const ZONE: &str = "Asia/Kolkata";
const PLUGINS: &str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";

/// As Cluster API's kubeadm bootstrap provider writes it
/// ([its template](https://github.com/kubernetes-sigs/cluster-api/blob/v1.5.0/bootstrap/kubeadm/internal/cloudinit/node.go)).
fn cluster_api(scene: &Scene, worker: &Worker) -> Seed {
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
  criSocket: {}
  name: '{{{{ ds.meta_data.local_hostname }}}}'
  kubeletExtraArgs:
  - name: node-labels
    value: cni={}
",
        scene.cluster.ca_hash(),
        scene.cluster.token(),
        worker.socket,
        worker.place.name
    );
    Seed::of(format!(
        "## template: jinja
#cloud-config

timezone: {ZONE}
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
fn network_plugin(worker: &Worker) -> String {
    let (subnet, name) = (worker.subnet, worker.place.name);
    let configuration = format!(
        r#"{{"cniVersion":"0.4.0","name":"daemonset","plugins":[{{"type":"of-daemonset","bridge":"cni1","isGateway":true,"ipMasq":true,"ipam":{{"type":"host-local","ranges":[[{{"subnet":"{subnet}"}}]],"routes":[{{"dst":"0.0.0.0/0"}}]}}}}]}}"#
    );
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: network-{name}}}
data:
  05-daemonset.conflist: '{configuration}'
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: network-{name}}}
spec:
  selector: {{matchLabels: {{app: network-{name}}}}}
  template:
    metadata: {{labels: {{app: network-{name}}}}}
    spec:
      hostNetwork: true
      nodeSelector: {{cni: {name}}}
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
      - {{name: files, configMap: {{name: network-{name}}}}}
"
    )
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_worker_joins_from_cluster_apis_data_and_keeps_its_network_plugin() {
    joins(Scene::new("kubeadm-worker"), &WORKER, "kubeadm");
}

/// Joins, runs a pod on the network that a DaemonSet brings, and is the same after a reboot.
/// `boot` is for [`journal::judge`].
#[track_caller]
pub fn joins(scene: Option<Scene>, worker: &Worker, boot: &'static str) {
    let Some((scene, _slots, image)) = alone(scene, worker.variant, "amd64", 4) else {
        return;
    };
    let (cluster, place) = (&scene.cluster, &worker.place);
    cluster.apply(&network_plugin(worker));
    cluster.route(worker.subnet, &place.address());
    let seed = cluster_api(&scene, worker).write(&scene, place);
    let mut node = Node::start(&scene, &Machine::worker(place, &image, &seed));
    node.ready();
    node.comes_to(
        "Cluster API's sign of success",
        "test \"$(cat /run/cluster-api/bootstrap-success.complete)\" = success",
    );
    let status = node.comes_to(
        "the report on the commands",
        "nodeimg-firstboot status --json | grep -q '\"commands\": *\"done\"' && { nodeimg-firstboot status || test $? = 3; }",
    );
    assert!(status.contains(place.name), "{status}");
    cluster.approve_serving(place.name);
    let name = format!("joined-{}", place.name);
    cluster.apply(&web(&name, place.name, "by-kubeadm"));
    let pod = ready(cluster, &name, worker.subnet);
    journal::judge(&node, boot);
    // This cluster has no DaemonSet of it.
    expect_no_kube_proxy(&node);
    let address = pod["status"]["podIP"].as_str().unwrap();
    fetches(
        cluster,
        &name,
        &format!("http://{address}:8080/"),
        "by-kubeadm",
    );
    inherited::expect(cluster, &node, place.name, ZONE);
    // kubeadm's own default for volume plugins, and where manifests of others install some.
    node.shell(&format!(
        "mkdir -p {PLUGINS}/a~b && ! touch /usr/libexec/x 2>/dev/null"
    ));

    node.reboots();
    node.shell(&format!("test -d {PLUGINS}/a~b"));
    node.shell("test -x /opt/cni/bin/of-daemonset && test -s /etc/cni/net.d/05-daemonset.conflist");
    // Not joined a second time.
    node.comes_to(
        "the report after the reboot",
        "nodeimg-firstboot status --json | grep -q '\"outcome\": *\"unchanged\"'",
    );
}

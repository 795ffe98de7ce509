//! CoreDNS as a Deployment: it resolves the cluster's names and, by the node's own
//! server, those of the world; and it does not find itself there (plugin `loop`).

use crate::cluster::control::{Cluster, is_true, until};
use crate::cluster::node::SOON;
use crate::suites::setting::{OUTSIDE, OUTSIDE_ADDRESS, Setting};

const CLIENT: &str = "
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox
    command: [sleep, '86400']
";

pub fn resolves(setting: &Setting) {
    let cluster = &setting.scene.cluster;
    cluster.apply(CLIENT);
    let words = ["--namespace", "kube-system", "deployment", "coredns"];
    until("CoreDNS available", SOON, || {
        let deployment = cluster.get(&words).ok_or("it is not there")?;
        let state = deployment["status"].to_string();
        is_true(&deployment, "Available").then_some(()).ok_or(state)
    });
    answers(cluster, "kubernetes.default.svc.cluster.local", "10.32.0.1");
    answers(cluster, OUTSIDE, OUTSIDE_ADDRESS);
    let asked = setting.names.says();
    assert!(
        asked.contains(&format!("A IN {OUTSIDE}. ")),
        "the server outside of the cluster was never asked: {asked}"
    );
    let logs = [
        "--namespace",
        "kube-system",
        "logs",
        "--selector",
        "k8s-app=kube-dns",
    ];
    let told = cluster.kubectl(&logs).good().out;
    assert!(!told.contains("plugin/loop"), "{told}");
    assert!(!told.contains("[FATAL]"), "{told}");
    let words = [
        "--namespace",
        "kube-system",
        "pods",
        "--selector",
        "k8s-app=kube-dns",
    ];
    let pods = cluster.get(&words).unwrap();
    let restarts = &pods["items"][0]["status"]["containerStatuses"][0]["restartCount"];
    assert_eq!(*restarts, 0, "CoreDNS has been started again: {told}");
}

fn answers(cluster: &Cluster, name: &str, address: &str) {
    let ask = ["exec", "client", "--", "nslookup", "-type=a", name];
    until(&format!("{name} from a pod"), SOON, || {
        let ran = cluster.kubectl(&ask);
        let good = ran.code == Some(0) && ran.out.contains(address);
        good.then_some(()).ok_or(ran.out + &ran.err)
    });
}

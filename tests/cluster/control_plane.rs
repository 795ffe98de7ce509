//! A control plane by `kubeadm init` at first boot, its images in the image: a
//! cluster of its own, of one node. Only where `NODEIMG_TEST_FULL` is set. There is no DNS add-on's image to be had from
//! Debian, and none is needed for an API server that answers.

use std::fs;

use serde_json::Value;

use super::Scene;
use super::control::{is_true, until};
use super::images::image;
use super::node::{BOOT, Machine, Node, Place};
use super::seed::Seed;
use crate::support::slots;

const PLACE: Place = Place {
    name: "cp-0",
    number: 40,
};

/// The waiting time is for an emulated processor; the other setting is for /usr,
/// which is read-only.
const INIT: &str = "apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.240.0.40}
nodeRegistration:
  criSocket: /run/containerd/containerd.sock
  ignorePreflightErrors: [ImagePull]
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
clusterName: own
networking: {podSubnet: 10.200.0.0/16, serviceSubnet: 10.32.0.0/24}
apiServer: {timeoutForControlPlane: 15m0s}
controllerManager:
  extraArgs: {flex-volume-plugin-dir: /var/lib/kubelet/volume-plugins}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn kubeadm_init_makes_a_control_plane() {
    let Some(scene) = Scene::of_full("control-plane") else {
        return;
    };
    // kubeadm wants two processors.
    let _slots = slots::take(2);
    let Some(image) = image("control-plane", "amd64") else {
        return;
    };
    let seed = Seed::new(&scene, &PLACE)
        .nested("kubeadm", "init", INIT)
        .write(&scene, &PLACE);
    let machine = Machine {
        place: &PLACE,
        image: &image,
        seed: &seed,
        cpus: 2,
        memory: "2 GiB",
    };
    let mut node = Node::start(&scene, &machine);
    let admin = node.until("kubeadm's end", 2 * BOOT, |node| {
        let ran = node.tries(
            "nodeimg-firstboot status --json | grep -q '\"commands\": *\"done\"' && cat /etc/kubernetes/admin.conf",
        );
        (ran.code == Some(0)).then_some(ran.out).ok_or(ran.err)
    });
    // It holds a token.
    node.shell("test ! -e /var/lib/nodeimg/kubeadm.yaml");
    let kubeconfig = scene.directory.join("admin.conf");
    fs::write(&kubeconfig, admin).unwrap();
    // From outside of the node, as an administrator would.
    let get = |words: &[&str]| -> Option<Value> {
        let mut all = vec!["--kubeconfig", kubeconfig.to_str().unwrap()];
        all.extend(["get", "-o", "json"]);
        all.extend(words);
        let ran = scene.cluster.kubectl(&all);
        (ran.code == Some(0)).then(|| serde_json::from_str(&ran.out).unwrap())
    };
    let object = until("the node at its own API server", BOOT, || {
        get(&["node", PLACE.name]).ok_or("there is none".to_owned())
    });
    let addresses = object["status"]["addresses"].as_array().unwrap();
    let own = addresses.iter().find(|one| one["type"] == "InternalIP");
    assert_eq!(own.unwrap()["address"], node.address.as_str());
    for part in [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ] {
        let name = format!("{part}-{}", PLACE.name);
        until(&format!("pod {name} Ready"), BOOT, || {
            let pod = get(&["--namespace", "kube-system", "pod", &name]).ok_or("there is none")?;
            match is_true(&pod, "Ready") {
                true => Ok(()),
                false => Err(pod["status"].to_string()),
            }
        });
    }
}

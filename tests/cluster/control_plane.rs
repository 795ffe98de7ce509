//! A control plane by `kubeadm init` at first boot, its images in the image: a
//! cluster of its own, of one node. kubeadm's preflight passes without
//! ignored errors.

use std::fs;

use serde_json::Value;

use super::Scene;
use super::control::until;
use super::images::{CONTROL_PLANE, image};
use super::node::{BOOT, Machine, Node, Place};
use super::seed::Seed;
use crate::support::slots;

const PLACE: Place = Place {
    name: "cp-0",
    number: 40,
};

const CONTROLLERS: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";

/// The waiting times and the kind of keys (a dozen of RSA are half a minute) are for
/// an emulated processor; the tag is of the lab's etcd.
const INIT: &str = "apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.240.0.40}
nodeRegistration: {criSocket: 'unix:///run/containerd/containerd.sock'}
timeouts: {controlPlaneComponentHealthCheck: 15m0s, kubernetesAPICall: 5m0s}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
clusterName: own
controlPlaneEndpoint: 10.240.0.40:6443
encryptionAlgorithm: ECDSA-P256
networking: {podSubnet: 10.200.0.0/16, serviceSubnet: 10.32.0.0/24}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn kubeadm_init_makes_a_control_plane() {
    let Some(scene) = Scene::new("control-plane") else {
        return;
    };
    // kubeadm wants two processors.
    let _slots = slots::take(2, 5);
    let Some(image) = image(&CONTROL_PLANE, "amd64") else {
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
    // The node waits by itself: asking it again and again takes a tenth of its time.
    let admin = node.until("kubeadm's end", 2 * BOOT, |node| {
        let ran = node.tries(
            "for _ in $(seq 60); do \
             if grep -q '\"commands\": *\"done\"' /run/nodeimg/result.json; \
             then exec cat /etc/kubernetes/admin.conf; fi; sleep 5; done; \
             nodeimg-firstboot status; exit 1",
        );
        match ran.code {
            Some(0) => Ok(ran.out),
            _ => Err(ran.out + &ran.err),
        }
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
    is_a_control_plane(get, &node);
}

/// What its own API server says of it, which has it from etcd.
fn is_a_control_plane(get: impl Fn(&[&str]) -> Option<Value>, node: &Node) {
    let object = until("the node at its own API server", BOOT, || {
        get(&["node", PLACE.name]).ok_or("there is none".to_owned())
    });
    let addresses = object["status"]["addresses"].as_array().unwrap();
    let own = addresses.iter().find(|one| one["type"] == "InternalIP");
    assert_eq!(own.unwrap()["address"], node.address.as_str());
    for part in ["etcd", "kube-apiserver", CONTROLLERS, SCHEDULER] {
        let name = format!("{part}-{}", PLACE.name);
        until(&format!("pod {name} Running"), BOOT, || {
            let pod = get(&["--namespace", "kube-system", "pod", &name]).ok_or("there is none")?;
            match pod["status"]["phase"] == "Running" {
                true => Ok(()),
                false => Err(pod["status"].to_string()),
            }
        });
    }
    // Who holds its lease is at work, which says more than a probe of its port.
    for part in [CONTROLLERS, SCHEDULER] {
        until(&format!("the lease of {part}"), BOOT, || {
            let lease = get(&["--namespace", "kube-system", "lease", part]);
            let lease = lease.ok_or("there is none")?;
            let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
            match holder.split_once('_') {
                Some((name, _)) if name == PLACE.name => Ok(()),
                _ => Err(lease["spec"].to_string()),
            }
        });
    }
}

//! A control plane by `kubeadm init` at first boot, its images in the image, and a
//! second one that joins it by the key to its certificates (only if `NODEIMG_TEST_FULL`
//! is set): a separate cluster. kubeadm's preflight passes without ignored errors.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Scene;
use super::control::{Cluster, until};
use super::images::{CONTROL_PLANE, image};
use super::node::{BOOT, Machine, Node, Place};
use super::seed::Seed;
use nodeimg_test_support::{judge, slots};

const FIRST: Place = Place {
    name: "cp-0",
    number: 40,
};
const SECOND: Place = Place {
    name: "cp-1",
    number: 41,
};

const CONTROLLERS: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";
const PARTS: [&str; 4] = ["etcd", "kube-apiserver", CONTROLLERS, SCHEDULER];

/// Of the kind that `kubeadm certs certificate-key` prints.
const KEY: &str = "5f0c1ab1f0e3f5b2f0d6a3a8c9f1e4d7b2a6958473625140f1e2d3c4b5a69788";

/// The waiting times, those of etcd and of the leases too, and the kind of keys (a
/// dozen of RSA are half a minute) are for an emulated processor: whoever loses its
/// lease there ends, and its next start has others lose theirs.
const INIT: &str = "apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.240.0.40}
nodeRegistration: {criSocket: 'unix:///run/containerd/containerd.sock'}
timeouts: TIMEOUTS
certificateKey: CERTIFICATE_KEY
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
clusterName: own
controlPlaneEndpoint: 10.240.0.40:6443
encryptionAlgorithm: ECDSA-P256
networking: {podSubnet: 10.200.0.0/16, serviceSubnet: 10.32.0.0/24}
etcd:
  local:
    extraArgs:
    - {name: heartbeat-interval, value: '1000'}
    - {name: election-timeout, value: '10000'}
controllerManager: {extraArgs: LEASES}
scheduler: {extraArgs: LEASES}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
";

const LEASES: &str = "[{name: leader-elect-lease-duration, value: 5m}, {name: leader-elect-renew-deadline, value: 4m}, {name: leader-elect-retry-period, value: 10s}]";

const TIMEOUTS: &str = "{controlPlaneComponentHealthCheck: 15m0s, discovery: 10m0s, etcdAPICall: 5m0s, kubernetesAPICall: 5m0s, tlsBootstrap: 15m0s}";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn kubeadm_makes_a_control_plane_and_another_one_joins_it() {
    let Some(scene) = Scene::new("control-plane") else {
        return;
    };
    let mut slots = slots::take(2, 10);
    let Some(image) = image(&CONTROL_PLANE, "amd64") else {
        return;
    };
    let start = |place: &Place, seed: Seed| {
        let seed = seed.write(&scene, place);
        Node::start_of_many(&scene, &machine(place, &image, &seed))
    };
    let init = INIT.replace("CERTIFICATE_KEY", KEY);
    let init = init.replace("LEASES", LEASES).replace("TIMEOUTS", TIMEOUTS);
    let mut first = start(
        &FIRST,
        Seed::new(&scene, &FIRST).nested("kubeadm", "init", &init),
    );
    commands_are_done(&mut first);
    // It holds a token, and the key, which the journal has not either.
    first.shell(&format!(
        "test ! -e /var/lib/nodeimg/kubeadm.yaml && ! journalctl --no-pager | grep {KEY}"
    ));
    let admin = Administrator::of(&scene, &first);
    admin.expect_control_plane(&first);
    admin.expect_leaders(FIRST.name);
    // The certificates of the cluster, which another control plane begins with.
    admin.get("secret", "kubeadm-certs");

    // Two of them on emulated processors take more than all the others' time.
    if !judge::is_full("a second control plane") {
        return;
    }
    slots.more(1, 4);
    let mut second = start(&SECOND, admin.invites(&scene));
    commands_are_done(&mut second);
    for node in [&first, &second] {
        admin.expect_control_plane(node);
    }
    let members = admin.etcd_members(&second);
    assert_eq!(members, [FIRST.name, SECOND.name]);
    // By its own API server, which has a certificate for its own address.
    let server = format!("--server=https://{}:6443", second.address);
    let nodes = admin.says(&[&server, "get", "nodes", "--output=name"]);
    assert_eq!(nodes, "node/cp-0\nnode/cp-1");
}

/// kubeadm asks for two processors and 1,700 MB.
fn machine<'a>(place: &'a Place, image: &'a Path, seed: &'a Path) -> Machine<'a> {
    Machine {
        cpus: 2,
        memory: "2 GiB",
        ..Machine::worker(place, image, seed)
    }
}

/// The node waits by itself: asking it again and again takes a tenth of its time.
#[track_caller]
fn commands_are_done(node: &mut Node) {
    node.until("kubeadm's end", 3 * BOOT, |node| {
        let ran = node.tries(
            "for _ in $(seq 60); do \
             if grep -q '\"commands\": *\"done\"' /run/nodeimg/result.json; \
             then exit; fi; sleep 5; done; \
             nodeimg-firstboot status; exit 1",
        );
        match ran.code {
            Some(0) => Ok(()),
            _ => Err(ran.out + &ran.err),
        }
    });
}

/// Who has the cluster's `admin.conf`, outside of its nodes.
struct Administrator {
    cluster: Cluster,
    kubeconfig: String,
}

impl Administrator {
    fn of(scene: &Scene, node: &Node) -> Administrator {
        let path = scene.directory.join("admin.conf");
        fs::write(&path, node.shell("cat /etc/kubernetes/admin.conf")).unwrap();
        Administrator {
            cluster: scene.cluster.clone(),
            kubeconfig: path.to_str().unwrap().to_owned(),
        }
    }

    /// What `kubectl` says, in the end.
    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        let mut all = vec!["--kubeconfig", &self.kubeconfig];
        all.extend(words);
        until(&format!("kubectl {}", words.join(" ")), BOOT, || {
            let ran = self.cluster.kubectl(&all);
            match ran.code {
                Some(0) => Ok(ran.out.trim().to_owned()),
                _ => Err(ran.err),
            }
        })
    }

    /// An object of the namespace kube-system, or a node.
    #[track_caller]
    fn get(&self, kind: &str, name: &str) -> Value {
        let words = ["--namespace=kube-system", "get", "-o", "json", kind, name];
        serde_json::from_str(&self.says(&words)).unwrap()
    }

    /// A node of the control plane, its parts running.
    #[track_caller]
    fn expect_control_plane(&self, node: &Node) {
        let object = self.get("node", node.name);
        let addresses = object["status"]["addresses"].as_array().unwrap();
        let own = addresses.iter().find(|one| one["type"] == "InternalIP");
        assert_eq!(own.unwrap()["address"], node.address.as_str());
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["node-role.kubernetes.io/control-plane"], "");
        for part in PARTS {
            let name = format!("{part}-{}", node.name);
            until(&format!("pod {name} Running"), BOOT, || {
                let pod = self.get("pod", &name);
                match pod["status"]["phase"] == "Running" {
                    true => Ok(()),
                    false => Err(pod["status"].to_string()),
                }
            });
        }
    }

    /// Who holds its lease is at work, which says more than a probe of its port.
    #[track_caller]
    fn expect_leaders(&self, node: &str) {
        for part in [CONTROLLERS, SCHEDULER] {
            until(&format!("the lease of {part}"), BOOT, || {
                let lease = self.get("lease", part);
                let holder = lease["spec"]["holderIdentity"].as_str();
                match holder.unwrap_or_default().split_once('_') {
                    Some((name, _)) if name == node => Ok(()),
                    _ => Err(lease["spec"].to_string()),
                }
            });
        }
    }

    /// What the second node is given: what `kubeadm token create` prints for one that
    /// joins the control plane.
    fn invites(&self, scene: &Scene) -> Seed {
        let words = ["token", "create", "--kubeconfig", &self.kubeconfig];
        let more = ["--print-join-command", "--certificate-key", KEY];
        let ran = self.cluster.kubeadm(&[&words[..], &more[..]].concat());
        let printed = ran.good().out;
        let words: Vec<&str> = printed.split_whitespace().collect();
        let after = |flag: &str| {
            let at = words.iter().position(|word| *word == flag);
            words[at.unwrap_or_else(|| panic!("no {flag}: {printed}")) + 1]
        };
        assert!(words.contains(&"--control-plane"), "{printed}");
        let join = format!(
            "apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    apiServerEndpoint: {}
    token: {}
    caCertHashes: ['{}']
controlPlane:
  localAPIEndpoint: {{advertiseAddress: {}}}
  certificateKey: {}
nodeRegistration: {{criSocket: 'unix:///run/containerd/containerd.sock'}}
timeouts: {TIMEOUTS}
",
            after("join"),
            after("--token"),
            after("--discovery-token-ca-cert-hash"),
            SECOND.address(),
            after("--certificate-key"),
        );
        Seed::new(scene, &SECOND).nested("kubeadm", "join", &join)
    }

    /// The names of etcd's voting members, as the one of `node` knows them.
    #[track_caller]
    fn etcd_members(&self, node: &Node) -> Vec<String> {
        let pod = format!("etcd-{}", node.name);
        let pki = "/etc/kubernetes/pki/etcd";
        let listed = self.says(&[
            "--namespace=kube-system",
            "exec",
            &pod,
            "--",
            "etcdctl",
            "--endpoints=https://127.0.0.1:2379",
            &format!("--cacert={pki}/ca.crt"),
            &format!("--cert={pki}/server.crt"),
            &format!("--key={pki}/server.key"),
            "member",
            "list",
            "--write-out=json",
        ]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let all = listed["members"].as_array().unwrap().iter();
        // A member that only learns says so.
        let voting = all.filter(|member| member["isLearner"] != true);
        let mut names: Vec<String> = voting
            .map(|member| member["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

//! Nodes built by `nodeimg build`, personalised by seeds, booted in QEMU and joined to
//! a real control plane: Kubernetes 1.37, which `ci/cluster` starts in a network
//! namespace of its own. The tests check what the API server reports about them, and
//! what their pods do.
//!
//! ```text
//!  netns  ci/cluster: etcd, API server, controllers, scheduler at 10.240.0.1
//!           |  bridge `lan`, no way out
//!           +-- node-0, node-1     hard-way; kube-proxy by nftables, and 1.36 by iptables
//!           +-- node-2             bootstrap: a token only; kube-proxy by ipvs
//!           +-- node-3             kubeadm join, from Cluster API's data
//!           +-- node-4             arm64 (NODEIMG_TEST_FULL=1)
//!           +-- two-older and others   1.35, 1.34, containerd 2.4 (NODEIMG_TEST_FULL=1)
//!           +-- handlers-0         gVisor and youki (NODEIMG_TEST_HANDLERS)
//!           +-- node-5, node-6     containerd and CRI-O, measured (NODEIMG_TEST_CRIO)
//!           +-- node-7, node-8     1.36 with CRI-O: hard-way, kubeadm join (NODEIMG_TEST_CRIO)
//!           +-- node-9             hard-way without kube-proxy (NODEIMG_TEST_FULL=1)
//!           +-- updated-0          hard-way, updated three times (NODEIMG_TEST_FULL=1)
//!           +-- cp-0, cp-1         kubeadm init, and a join (NODEIMG_TEST_FULL=1), a cluster of its own
//!  a second one, of both families (NODEIMG_TEST_FULL=1)
//!           +-- dual-0, six-0      IPv4 and IPv6, and IPv6 only
//! ```
//!
//! | file | what |
//! |---|---|
//! | `control` | the control plane: `ci/cluster` and `kubectl` |
//! | `images` | the disks, built once |
//! | `seed` | what nodes are given |
//! | `node` | a running node: its console, its shell by SSH |
//! | `workload` | pods and Services to try a node with |
//! | the others | the tests |
//!
//! `ci/test` starts the cluster and names it in `NODEIMG_TEST_CLUSTER`. A test
//! that fails leaves consoles, the control plane's logs and what `kubectl` says in
//! `tmp/cluster-logs` of the build directory, and says so.

mod arm64;
mod bootstrap;
pub(crate) mod control;
mod control_plane;
mod crio;
mod dual_stack;
mod examples;
mod handlers;
mod hard_way;
pub(crate) mod images;
mod inherited;
mod journal;
mod kubeadm;
mod life;
mod no_proxy;
pub(crate) mod node;
mod runtimes;
pub(crate) mod seed;
mod skew;
mod update;
pub(crate) mod workload;

use std::fs;
use std::path::PathBuf;

use control::Cluster;
use nodeimg_test_support::{judge, place};

/// The folder of consoles and collected logs.
pub(crate) fn logs() -> PathBuf {
    let path = place::tmp().join("cluster-logs");
    fs::create_dir_all(&path).unwrap();
    path
}

/// An empty directory for one test.
pub(crate) fn directory(name: &str) -> PathBuf {
    let path = place::tmp().join("cluster-work").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// One test: its cluster and its directory. When it fails, what a person wants
/// to see of the cluster is collected.
pub(crate) struct Scene {
    pub cluster: Cluster,
    pub directory: PathBuf,
    pub name: &'static str,
}

impl Scene {
    /// Of a test that only `NODEIMG_TEST_FULL` asks for.
    pub fn of_full(name: &'static str) -> Option<Scene> {
        judge::is_full(name).then(|| Scene::new(name))?
    }

    /// `None`, with a printed skip, if there is no cluster.
    pub fn new(name: &'static str) -> Option<Scene> {
        Some(Scene {
            cluster: Cluster::of_environment()?,
            directory: directory(name),
            name,
        })
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // Disks take room.
            let _ = fs::remove_dir_all(&self.directory);
            return;
        }
        let to = logs().join(format!("{}-failed", self.name));
        let _ = fs::remove_dir_all(&to);
        self.cluster.collect(&to);
        eprintln!(
            "{}: consoles are in {}, what the cluster says in {}",
            self.name,
            logs().display(),
            to.display()
        );
    }
}

//! Other people's suites judge a node, and the workloads of a real cluster run on it:
//! two nodes of `hard-way`, each in a cluster of its own, so that two processors are busy
//! until the end.
//!
//! | file | what |
//! |---|---|
//! | `setting` | the cluster, a registry, a server of names |
//! | `goss` | image-builder's checks of a node, met or answered |
//! | `conformance` | Kubernetes' own suite, `e2e.test` |
//! | `complete` | all of it, where `NODEIMG_TEST_FULL` asks for that |
//! | `critest` | the suite of container runtimes |
//! | `crio` | the same with CRI-O, and a change of the node's image under what it has pulled |
//! | `lists`, `report` | what was to pass, and what did |
//! | `lab`, `registry`, `server` | programs and images of the lab |
//!
//! docs/how-it-works/what-is-tested.md has what is run and what is not.

mod complete;
pub mod conformance;
mod crio;
pub mod critest;
pub mod goss;
pub mod lab;
pub mod lists;
pub mod registry;
pub mod report;
pub mod server;
pub mod setting;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::cluster::images::{HARD_WAY, Variant};
use crate::cluster::node::{Node, Place};
use crate::cluster::seed::Seed;
use crate::workloads;
use nodeimg_test_support::{real, slots};
use report::say;
use setting::Setting;

/// Of conformance and workloads, of the runtime's judges, and of all of critest.
const PLACES: [Place; 3] = [
    Place {
        name: "judged-0",
        number: 60,
    },
    Place {
        name: "judged-1",
        number: 65,
    },
    Place {
        name: "judged-2",
        number: 67,
    },
];
const SUBNETS: [&str; 3] = ["10.200.60.0/24", "10.200.65.0/24", "10.200.67.0/24"];

/// Nothing is baked: images come from the registry.
pub const JUDGED: Variant = Variant {
    name: "judged",
    tables: &[workloads::credentials::PROVIDER],
    images: &[],
    ..HARD_WAY
};

/// Parts of a test, on one node: what one finds does not keep the next from
/// its own. `NODEIMG_TEST_PARTS` (names separated by commas) runs only some.
struct Parts {
    wanted: Option<String>,
    wrong: Vec<String>,
}

impl Parts {
    fn new() -> Parts {
        Parts {
            wanted: std::env::var("NODEIMG_TEST_PARTS").ok(),
            wrong: Vec::new(),
        }
    }

    fn wants(&self, name: &str) -> bool {
        let wanted = self.wanted.as_ref();
        wanted.is_none_or(|names| names.split(',').any(|one| one == name))
    }

    fn run(&mut self, name: &str, part: impl FnOnce()) {
        if !self.wants(name) {
            return say(&format!("== {name}: left out by NODEIMG_TEST_PARTS"));
        }
        let begun = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(part));
        let seconds = begun.elapsed().as_secs();
        let word = if ended.is_ok() { "passed" } else { "FAILED" };
        say(&format!("== {name}: {word} in {seconds} s"));
        if ended.is_err() {
            self.wrong.push(name.to_owned());
        }
    }

    #[track_caller]
    fn end(self) {
        let wrong = self.wrong;
        assert!(wrong.is_empty(), "failed: {}; see above", wrong.join(", "));
    }
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_node_passes_kubernetes_conformance() {
    judged("conformance", 0, |setting, node, parts| {
        setting.resolves();
        parts.run("names", || workloads::dns::resolves(setting));
        parts.run("workloads", || workloads::run(setting, node));
        parts.run("conformance", || {
            conformance::passes_the_chosen(setting, node)
        });
    });
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_node_passes_what_others_ask_of_it() {
    judged("others", 1, |setting, node, parts| {
        parts.run("image-builder's checks", || goss::met(node, &versions()));
        parts.run("critest", || critest::passes_the_chosen(node));
        parts.run("flannel", || workloads::network::flannel(setting, node));
        parts.run("pressure", || {
            workloads::pressure::expect_eviction(setting, node)
        });
    });
}

/// Has the node of [`PLACES`] judged, in a cluster of that name.
fn judged(name: &'static str, number: usize, judge: impl FnOnce(&Setting, &mut Node, &mut Parts)) {
    let _slots = slots::take(1, 9);
    let Some(setting) = Setting::start(name, &[("CLUSTER_NODE_CIDRS", "yes")]) else {
        return;
    };
    let place = &PLACES[number];
    let seed = Seed::hard_way(&setting.scene, place, SUBNETS[number]);
    let Some(mut node) = setting.node(&JUDGED, place, seed, 1) else {
        return;
    };
    node.ready();
    let mut parts = Parts::new();
    judge(&setting, &mut node, &mut parts);
    parts.end();
}

/// Of the node's own lock, as assignments of a shell: the lab may have others too.
fn versions() -> String {
    let lock = real::recipe("hard-way").with_extension("lock");
    let lock: toml::Table = fs::read_to_string(lock).unwrap().parse().unwrap();
    let of = |name: &str| {
        let mut all = lock["artifact"].as_array().unwrap().iter();
        let found = all.find(|one| one["name"].as_str() == Some(name));
        found.unwrap()["version"].as_str().unwrap().to_owned()
    };
    format!(
        "KUBERNETES={} CONTAINERD={} CNI={}",
        of("kubelet"),
        of("containerd"),
        of("cni-plugins")
    )
}

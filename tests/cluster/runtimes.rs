//! What a node's container runtime costs: the same recipe with containerd and with CRI-O, where
//! `NODEIMG_TEST_CRIO` names one, booted one after the other on this machine. Prints the rows of
//! docs/reference/measured.md.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use super::Scene;
use super::images::{HARD_WAY_CRIO, Variant, image};
use super::node::{Machine, Node, Place};
use super::seed::Seed;
use super::workload::{ready, web};
use nodeimg_test_support::{judge, slots};

const SUBNET: &str = "10.200.77.0/24";
/// The recipe of [`HARD_WAY_CRIO`] with its own runtime.
const HARD_WAY_CONTAINERD: Variant = Variant::of("with-containerd", "hard-way-1.36");

/// A variant, the unit of its runtime, the program that watches each of its pods, and where its
/// state is.
const RUNTIMES: [(Variant, &str, &str, &str); 2] = [
    (
        HARD_WAY_CONTAINERD,
        "containerd",
        "containerd-shim",
        "/var/lib/containerd",
    ),
    (HARD_WAY_CRIO, "crio", "conmon", "/var/lib/containers"),
];

#[test]
#[ignore = "boots for minutes, with a real CRI-O"]
fn what_each_runtime_costs() {
    let Some(scene) = judge::crio().and_then(|_| Scene::new("runtimes")) else {
        return;
    };
    // Nothing beside it.
    let _slots = slots::take(3, 9);
    let mut rows: Vec<(&str, Vec<String>)> = Vec::new();
    let places = ["node-5", "node-6"].map(|name| Place { name, number: 77 });
    for ((variant, unit, monitor, state), place) in RUNTIMES.iter().zip(&places) {
        let Some(output) = image(variant, "amd64") else {
            return;
        };
        let megabytes = fs::metadata(output.join("disk.raw")).unwrap().blocks() * 512 / 1_000_000;
        let mut add = |what, value: String| match rows.iter_mut().find(|row| row.0 == what) {
            Some(row) => row.1.push(value),
            None => rows.push((what, vec![value])),
        };
        add(
            "the disk's size, without its holes, MB",
            megabytes.to_string(),
        );
        let seed = Seed::hard_way(&scene, place, SUBNET).write(&scene, place);
        scene
            .cluster
            .apply(&web(place.name, place.name, "measured"));
        let begun = Instant::now();
        let mut node = Node::start(&scene, &Machine::worker(place, &output, &seed));
        node.ready();
        ready(&scene.cluster, place.name, SUBNET);
        add(
            "start of QEMU to the first pod Ready, s",
            begun.elapsed().as_secs().to_string(),
        );
        // Until nothing of the boot is left to do.
        node.comes_to("an idle node", "test \"$(cut -d. -f1 /proc/loadavg)\" = 0");
        for (what, script, divisor) in scripts(unit, monitor, state) {
            let numbers = node.shell(&script);
            let numbers = numbers
                .split_whitespace()
                .map(|one| one.parse::<f64>().unwrap());
            add(what, format!("{:.1}", numbers.sum::<f64>() / divisor));
        }
    }
    let mut said = "| what | containerd | CRI-O |\n|---|---|---|\n".to_owned();
    for (what, values) in rows {
        said.push_str(&format!("| {what} | {} |\n", values.join(" | ")));
    }
    // Straight to the terminal: the test harness keeps what passing tests print.
    let _ = io::stderr().lock().write_all(said.as_bytes());
}

/// What is asked of a node: a script that prints whole numbers, and what their sum is divided by.
fn scripts(unit: &str, monitor: &str, state: &str) -> [(&'static str, String, f64); 5] {
    let resident = |program: &str| format!("ps -o rss= -C {program}");
    [
        (
            "the runtime's start to ready, s",
            format!(
                "systemctl show -P ActiveEnterTimestampMonotonic {unit}; \
                 echo -$(systemctl show -P InactiveExitTimestampMonotonic {unit})"
            ),
            1e6,
        ),
        (
            "processor time of the runtime and of the import of images until the node is idle, s",
            format!("systemctl show -P CPUUsageNSec {unit} nodeimg-images | grep '^[0-9]' || :"),
            1e9,
        ),
        (
            "the daemon's resident memory, idle, MB",
            resident(unit),
            1e3,
        ),
        (
            "resident memory of what watches the one pod, MB",
            resident(monitor),
            1e3,
        ),
        ("on the state, MB", format!("du -sm {state} | cut -f1"), 1.0),
    ]
}

//! A node with CRI-O, where `NODEIMG_TEST_CRIO` names a folder with one: judged by critest,
//! then given another image, which lacks a container image that its state rests on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::setting::{Setting, machine};
use super::{Parts, critest};
use crate::cluster::control::Cluster;
use crate::cluster::images::{CRIO_TABLES, HARD_WAY_CRIO, Variant, image};
use crate::cluster::node::{Machine, Node, Place};
use crate::cluster::seed::Seed;
use crate::cluster::workload::{fetches, ready, web};
use crate::workloads::kubectl::asks;
use nodeimg_test_support::run::{Ran, host_program};
use nodeimg_test_support::{judge, slots};

const PLACE: Place = Place {
    name: "judged-crio",
    number: 66,
};
const SUBNET: &str = "10.200.66.0/24";
/// critest asks for metrics, which CRI-O has only if it is told to.
const JUDGED: Variant = Variant {
    name: "judged-crio",
    tables: &[CRIO_TABLES, METRICS],
    ..HARD_WAY_CRIO
};
/// The same node without the image that its pods were made of.
const WITHOUT: Variant = Variant {
    name: "judged-crio-without",
    images: &[],
    ..JUDGED
};
const METRICS: &str = "[crio.config.stats]\nincluded_pod_metrics = [\"all\"]\n";
/// Of the very layers that are baked.
const PULLED: &str = "registry.k8s.io/e2e-test-images/nginx:1.14-2";
/// The very image that is baked, by another name.
const TWIN: &str = "registry.k8s.io/e2e-test-images/busybox:1.29-2";
const BAKED: &str = "docker.io/library/busybox:1.37";

#[test]
#[ignore = "boots for minutes, with a real CRI-O"]
fn a_node_with_crio_is_judged_and_outlives_its_image() {
    if judge::crio().is_none() {
        return;
    }
    let _slots = slots::take(1, 9);
    let Some(setting) = Setting::start("crio", &[("CLUSTER_NODE_CIDRS", "yes")]) else {
        return;
    };
    let (Some(first), Some(second)) = (image(&JUDGED, "amd64"), image(&WITHOUT, "amd64")) else {
        return;
    };
    let seed = Seed::hard_way(&setting.scene, &PLACE, SUBNET);
    let seed = setting.seed(&JUDGED, &PLACE, seed);
    let keep = setting.scene.directory.join("keep");
    let kept = Machine {
        keep: Some(&keep),
        ..machine(&PLACE, &first, &seed)
    };
    let mut node = Node::start(&setting.scene, &kept);
    node.ready();
    let mut parts = Parts::new();
    parts.run("critest", || critest::passes(&node, &critest::CRIO));
    parts.run("another image", || {
        let updated = |node: Node| {
            node.powers_off();
            update(&keep.join("disk.qcow2"), &second, &setting.scene.directory)
        };
        outlives(&setting, node, &seed, updated);
    });
    parts.end();
}

/// What was pulled stays and can be run, whatever it shared with what was baked.
#[track_caller]
fn outlives(setting: &Setting, mut node: Node, seed: &Path, updated: impl FnOnce(Node) -> PathBuf) {
    let cluster = &setting.scene.cluster;
    node.ready();
    let port = "    ports: [{containerPort: 8080, hostPort: 8089}]\n    imagePullPolicy";
    let pulled = pod("pulled", PULLED, "IfNotPresent").replace("    imagePullPolicy", port);
    let pods = [
        pod("baked", BAKED, "Never"),
        pod("twin", TWIN, "IfNotPresent"),
        pulled,
    ];
    cluster.apply(&pods.concat());
    serve(cluster, ["baked", "twin", "pulled"]);
    let said = asks(cluster, &node.address, "8089");
    assert!(said.ends_with("pulled\n"), "by the node's port: {said}");
    let listed = "crictl images --output json";
    assert!(node.shell(listed).contains(BAKED));
    let words = ["delete", "pod", "baked", "twin", "pulled", "--now"];
    cluster.kubectl(&words).good();
    let before = node.shell("cat /proc/sys/kernel/random/boot_id");

    let image = updated(node);
    let mut node = Node::start(&setting.scene, &machine(&PLACE, &image, seed));
    node.comes_to(
        "another boot",
        &format!("test $(cat /proc/sys/kernel/random/boot_id) != {before}"),
    );
    node.ready();
    let baked = node.shell("cat /usr/lib/containers/storage/overlay-images/images.json");
    assert!(!baked.contains(BAKED), "{baked}");
    let images = node.shell(listed);
    for name in [PULLED, TWIN] {
        assert!(images.contains(name), "no {name} in {images}");
    }
    let pods = [pod("pulled", PULLED, "Never"), pod("twin", TWIN, "Never")];
    cluster.apply(&pods.concat());
    serve(cluster, ["pulled", "twin"]);
}

/// A pod of the tests with another image.
fn pod(name: &str, image: &str, policy: &str) -> String {
    let pod = web(name, PLACE.name, name).replace(BAKED, image);
    pod.replace("Never", policy)
}

/// All are Ready, and the first reaches the others.
#[track_caller]
fn serve<const N: usize>(cluster: &Cluster, pods: [&str; N]) {
    for name in pods {
        let pod = ready(cluster, name, SUBNET);
        let url = format!("http://{}:8080/", pod["status"]["podIP"].as_str().unwrap());
        fetches(cluster, pods[0], &url, name);
    }
}

/// The disk that a node has written to, with the image in `output` in its second slot and that
/// one's kernel on the ESP: a directory as `nodeimg run` takes it.
fn update(disk: &Path, output: &Path, directory: &Path) -> PathBuf {
    let to = directory.join("updated");
    fs::create_dir(&to).unwrap();
    fs::copy(output.join("manifest.json"), to.join("manifest.json")).unwrap();
    let raw = to.join("disk.raw");
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-O", "raw"]).arg(disk).arg(&raw);
    Ran::of(&mut convert).good();
    let from = output.join("disk.raw");
    let there = partitions(&raw);
    for source in partitions(&from) {
        let mut slots = there.iter().filter(|one| one.kind == source.kind);
        // Of the ESP there is one.
        let slot = slots.next_back().unwrap();
        copy(&from, &source, &raw, slot);
        if slots.next().is_some() {
            let mut name = host_program("sfdisk");
            name.arg("--part-uuid").arg(&raw);
            name.arg(&slot.number).arg(&source.uuid);
            Ran::of(&mut name).good();
        }
    }
    to
}

/// A partition as sfdisk tells of it, in bytes.
struct Partition {
    number: String,
    kind: String,
    uuid: String,
    start: u64,
    size: u64,
}

fn partitions(disk: &Path) -> Vec<Partition> {
    let told = Ran::of(host_program("sfdisk").arg("--json").arg(disk))
        .good()
        .out;
    let told: Value = serde_json::from_str(&told).unwrap();
    let all = told["partitiontable"]["partitions"].as_array().unwrap();
    let all = all.iter().enumerate().map(|(index, one)| {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        let sectors = |key: &str| one[key].as_u64().unwrap() * 512;
        Partition {
            number: (index + 1).to_string(),
            kind: text("type"),
            uuid: text("uuid"),
            start: sectors("start"),
            size: sectors("size"),
        }
    });
    all.collect()
}

fn copy(from: &Path, source: &Partition, to: &Path, target: &Partition) {
    assert!(
        source.size <= target.size,
        "an image that its slot has no room for"
    );
    let mut from = File::open(from).unwrap();
    from.seek(SeekFrom::Start(source.start)).unwrap();
    let mut to = OpenOptions::new().write(true).open(to).unwrap();
    to.seek(SeekFrom::Start(target.start)).unwrap();
    io::copy(&mut from.take(source.size), &mut to).unwrap();
}

//! The suite of container runtimes, `critest`, on the node itself, against its
//! container runtime. Its pods are not the cluster's: the kubelet, which ends what it does
//! not know, rests meanwhile.
//!
//! Every run has the specs of `critest-chosen.txt`; all of them are in the shard `runtime`.

use std::fs::{self, File};
use std::process::Stdio;

use super::report::{self, Outcomes, say};
use super::{judged, lab, lists};
use crate::cluster::logs;
use crate::cluster::node::Node;
use nodeimg_test_support::judge;

/// What is not judged of a runtime, and why. The number may only fall: lower it with the list.
pub struct Skipped {
    list: &'static str,
    names: usize,
    file: &'static str,
}

pub const CONTAINERD: Skipped = Skipped {
    list: include_str!("critest-skipped.txt"),
    names: 6,
    file: "critest-skipped.txt",
};
pub const CRIO: Skipped = Skipped {
    list: include_str!("critest-skipped-crio.txt"),
    names: 10,
    file: "critest-skipped-crio.txt",
};
/// What every run does, of containerd.
const CHOSEN: &str = include_str!("critest-chosen.txt");
const PROGRAM: &str = "/var/tmp/critest";
const REPORT: &str = "/var/tmp/critest.json";
/// Where the runtime waits for plugins by the Node Resource Interface.
const NRI: &str = "/var/run/nri/nri.sock";
/// A folder with what critest calls and no node has: it loads AppArmor's profiles by
/// sudo, as root too.
const CALLED: &str = "/var/tmp/critest-calls";
const SUDO: &str = r#"printf '#!/bin/sh\nexec "$@"\n' >sudo && chmod 755 sudo"#;

#[test]
#[ignore = "boots for minutes; ci/test --shard runtime runs it"]
fn every_spec_passes_or_is_listed() {
    if judge::is_full("all of critest") {
        judged("runtime", 2, |_, node, parts| {
            parts.run("critest", || passes(node, &CONTAINERD));
        });
    }
}

/// The specs that every run has, of containerd.
pub fn passes_the_chosen(node: &Node) {
    let skipped = lists::skipped(CONTAINERD.list, CONTAINERD.names);
    let chosen = lists::names(CHOSEN);
    for name in &chosen {
        assert!(!skipped.contains_key(name), "in both lists: {name}");
    }
    let found = run(
        node,
        &format!("--ginkgo.focus={}", report::expression(&chosen)),
    );
    expect(&chosen, &found);
}

/// Everything but what the list leaves out.
pub fn passes(node: &Node, skipped: &Skipped) {
    let Skipped { list, names, file } = skipped;
    let skipped = lists::skipped(list, *names);
    let skip = match skipped.is_empty() {
        true => String::new(),
        false => format!("--ginkgo.skip={}", report::expression(skipped.keys())),
    };
    let found = run(node, &skip);
    for name in skipped.keys() {
        assert!(
            found.contains_key(name),
            "{file} names what critest has not: {name}"
        );
    }
    let wanted: Vec<String> = found
        .keys()
        .filter(|name| !skipped.contains_key(*name) && !is_measured(name))
        .cloned()
        .collect();
    say(&format!("critest: {} specs are left out", skipped.len()));
    expect(&wanted, &found);
}

#[track_caller]
fn expect(wanted: &[String], found: &Outcomes) {
    report::print(wanted, found);
    let problems = report::problems(wanted, found);
    say(&format!(
        "critest: {} of {} specs passed",
        wanted.len() - problems.len(),
        wanted.len(),
    ));
    assert!(problems.is_empty(), "critest:\n{}", problems.join("\n"));
}

/// Runs what one option of Ginkgo selects, with the kubelet stopped meanwhile.
fn run(node: &Node, selection: &str) -> Outcomes {
    let mut send = node.ssh();
    send.arg(format!(
        "cat >{PROGRAM} && chmod 755 {PROGRAM} && mkdir {CALLED} && cd {CALLED} && {SUDO} && systemctl stop kubelet"
    ));
    send.stdin(File::open(lab::program("critest")).unwrap());
    assert!(
        send.status().unwrap().success(),
        "critest does not get onto the node"
    );
    // A shell takes it, and no name has a quote but the single one.
    let selection = selection.replace('\'', r"'\''");
    let log = logs().join(format!("critest-{}.log", node.name));
    let out = File::create(&log).unwrap();
    let mut suite = node.ssh();
    // containerd refuses to remove a container whose end it has not heard of yet, which an
    // emulated processor may take seconds to tell: so each spec has a second attempt.
    suite.arg(format!(
        "cd /var/tmp && PATH=$PATH:{CALLED} {PROGRAM} -nri-socket={NRI} --ginkgo.no-color --ginkgo.flake-attempts=2 --ginkgo.timeout=40m --ginkgo.json-report={REPORT} '{selection}'"
    ));
    suite.stdin(Stdio::null()).stderr(out.try_clone().unwrap());
    suite.stdout(out).status().unwrap();
    let json = node.shell(&format!(
        "cat {REPORT}; systemctl start kubelet; rm -r {PROGRAM} {CALLED}"
    ));
    fs::write(log.with_extension("json"), &json).unwrap();
    report::read(&json, &log)
}

/// critest skips its measurements itself, but where it is asked for them.
fn is_measured(name: &str) -> bool {
    name.contains("benchmark")
}

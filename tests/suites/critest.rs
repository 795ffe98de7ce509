//! The suite of container runtimes, `critest`, on the node itself, against its
//! container runtime. Its pods are not the cluster's: the kubelet, which ends what it does
//! not know, rests meanwhile.

use std::fs::{self, File};
use std::process::Stdio;

use super::report::{self, say};
use super::{lab, lists};
use crate::cluster::logs;
use crate::cluster::node::Node;

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
const PROGRAM: &str = "/var/tmp/critest";
const REPORT: &str = "/var/tmp/critest.json";
/// Where the runtime waits for plugins by the Node Resource Interface.
const NRI: &str = "/var/run/nri/nri.sock";
/// A folder with what critest calls and no node has: it loads AppArmor's profiles by
/// sudo, as root too.
const CALLED: &str = "/var/tmp/critest-calls";
const SUDO: &str = r#"printf '#!/bin/sh\nexec "$@"\n' >sudo && chmod 755 sudo"#;

/// Everything but what the list leaves out.
pub fn passes(node: &Node, skipped: &Skipped) {
    let Skipped { list, names, file } = skipped;
    let skipped = lists::skipped(list, *names);
    let mut send = node.ssh();
    send.arg(format!(
        "cat >{PROGRAM} && chmod 755 {PROGRAM} && mkdir {CALLED} && cd {CALLED} && {SUDO} && systemctl stop kubelet"
    ));
    send.stdin(File::open(lab::program("critest")).unwrap());
    assert!(
        send.status().unwrap().success(),
        "critest does not get onto the node"
    );
    let skip = match skipped.is_empty() {
        true => String::new(),
        false => format!("'--ginkgo.skip={}'", report::expression(skipped.keys())),
    };
    let log = logs().join(format!("critest-{}.log", node.name));
    let out = File::create(&log).unwrap();
    let mut suite = node.ssh();
    // containerd refuses to remove a container whose end it has not heard of yet, which an
    // emulated processor may take seconds to tell: so each spec has a second attempt.
    suite.arg(format!(
        "cd /var/tmp && PATH=$PATH:{CALLED} {PROGRAM} -nri-socket={NRI} --ginkgo.no-color --ginkgo.flake-attempts=2 --ginkgo.timeout=40m --ginkgo.json-report={REPORT} {skip}"
    ));
    suite.stdin(Stdio::null()).stderr(out.try_clone().unwrap());
    suite.stdout(out).status().unwrap();
    let json = node.shell(&format!(
        "cat {REPORT}; systemctl start kubelet; rm -r {PROGRAM} {CALLED}"
    ));
    fs::write(log.with_extension("json"), &json).unwrap();
    let found = report::read(&json, &log);
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
    report::print(&wanted, &found);
    let problems = report::problems(&wanted, &found);
    say(&format!(
        "critest: {} of {} specs passed, {} are left out",
        wanted.len() - problems.len(),
        wanted.len() + skipped.len(),
        skipped.len()
    ));
    assert!(problems.is_empty(), "critest:\n{}", problems.join("\n"));
}

/// critest skips its measurements itself, but where it is asked for them.
fn is_measured(name: &str) -> bool {
    name.contains("benchmark")
}

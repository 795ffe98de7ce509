//! Kubernetes' own suite: the specs of `[Conformance]` of `e2e.test`, run from the
//! cluster's namespace against its API server, as its maintainers would.
//!
//! Several processes at once, each with its own part of the specs: a spec waits
//! most of its time. Those that say `[Serial]` have the cluster to themselves.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::report::{self, Outcomes};
use super::setting::Setting;
use super::{lab, lists};
use crate::cluster::logs;
use crate::cluster::node::Node;

/// What every run does, for a node of one emulated processor.
const CHOSEN: &str = include_str!("conformance-chosen.txt");
/// What is not judged, and why.
const SKIPPED: &str = include_str!("conformance-skipped.txt");
/// The number of those may only fall: lower it with the list.
const SKIPPED_NAMES: usize = 0;
/// At a time. A node of one emulated processor has no use for more.
const PROCESSES: usize = 3;
/// Of a machine that has much else to do; a spec that hangs ends by its own limits.
const MINUTES: u32 = 40;

pub fn chosen() -> Vec<String> {
    lists::names(CHOSEN)
}

pub fn skipped() -> BTreeMap<String, String> {
    lists::skipped(SKIPPED, SKIPPED_NAMES)
}

pub fn is_serial(name: &str) -> bool {
    name.contains("[Serial]")
}

/// Every spec of conformance that the suite has, and that both lists are of these.
pub fn specs(directory: &Path) -> Vec<String> {
    let to = directory.join("specs.json");
    let mut list = Command::new(lab::program("e2e.test"));
    list.args(["--ginkgo.dry-run", r"--ginkgo.focus=\[Conformance\]"]);
    list.arg(format!("--ginkgo.json-report={}", to.display()));
    let log = logs().join("conformance-specs.log");
    let file = File::create(&log).unwrap();
    list.stdin(Stdio::null()).stderr(file.try_clone().unwrap());
    list.stdout(file).status().unwrap();
    let found = report::read(&fs::read_to_string(to).unwrap_or_default(), &log);
    let all = found
        .into_iter()
        .filter(|(_, spec)| spec.state != "skipped");
    let all: Vec<String> = all.map(|(name, _)| name).collect();
    for name in chosen().iter().chain(skipped().keys()) {
        assert!(
            all.contains(name),
            "a list names a spec that is not in the suite: {name}"
        );
    }
    all
}

/// The image that most specs run: 137 MB. A busy emulated processor needs longer to pull it
/// than the first specs wait.
const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.66.1";

pub fn pull_agnhost(node: &Node) {
    node.shell(&format!("crictl pull {AGNHOST}"));
}

/// The specs that every run has.
pub fn passes_the_chosen(setting: &Setting, node: &Node) {
    pull_agnhost(node);
    specs(&setting.scene.directory);
    let chosen = chosen();
    let skipped = skipped();
    for name in &chosen {
        assert!(
            !is_serial(name),
            "chosen, but not for several at once: {name}"
        );
        assert!(!skipped.contains_key(name), "in both lists: {name}");
    }
    let found = run(setting, &chosen, PROCESSES, MINUTES);
    report::print(&chosen, &found);
    let problems = report::problems(&chosen, &found);
    let count = chosen.len() - problems.len();
    report::say(&format!(
        "conformance: {count} of {} chosen specs passed",
        chosen.len()
    ));
    assert!(problems.is_empty(), "conformance:\n{}", problems.join("\n"));
}

/// Runs specs by several processes; `minutes` is what each may take, whose specs
/// that are left then have failed.
pub fn run(setting: &Setting, names: &[String], processes: usize, minutes: u32) -> Outcomes {
    let kubeconfig = setting.kubeconfig();
    let mut running: Vec<(Child, PathBuf, PathBuf)> = Vec::new();
    for number in 0..processes.min(names.len()) {
        let part: Vec<&String> = names.iter().skip(number).step_by(processes).collect();
        let folder = setting.scene.directory.join(format!("e2e-{number}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let log = logs().join(format!("{}-e2e-{number}.log", setting.scene.name));
        let mut command = command(setting, &kubeconfig, &folder, minutes);
        command.arg(format!("--ginkgo.timeout={minutes}m"));
        command.arg(format!("--ginkgo.focus={}", report::expression(part)));
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        running.push((command.spawn().unwrap(), folder, log));
    }
    let mut all = Outcomes::new();
    for (mut child, folder, log) in running {
        child.wait().unwrap();
        let json = fs::read_to_string(folder.join("report.json")).unwrap_or_default();
        let found = report::read(&json, &log);
        all.extend(
            found
                .into_iter()
                .filter(|(name, _)| names.contains(name))
                .filter(|(_, outcome)| outcome.state != "skipped" || !outcome.message.is_empty()),
        );
    }
    all
}

fn command(setting: &Setting, kubeconfig: &Path, folder: &Path, minutes: u32) -> Command {
    // It ends itself at its own time; this is for one that does not.
    let mut command = setting.scene.cluster.inside("timeout");
    command.args(["--kill-after=30s", &format!("{}m", minutes + 2)]);
    command.arg(lab::program("e2e.test"));
    command.args(["--provider=local", "--dns-domain=cluster.local"]);
    command.args(["--allowed-not-ready-nodes=-1", "--disable-log-dump"]);
    command.arg(format!("--kubeconfig={}", kubeconfig.display()));
    command.arg(format!("--report-dir={}", folder.display()));
    let report = folder.join("report.json");
    command.arg(format!("--ginkgo.json-report={}", report.display()));
    command.args(["--ginkgo.no-color", "--ginkgo.silence-skips", "--ginkgo.v"]);
    // The suite calls kubectl.
    let kubectl = lab::program("kubectl");
    let path = std::env::var("PATH").unwrap();
    let folder = kubectl.parent().unwrap().display();
    command.env("PATH", format!("{folder}:{path}"));
    command.stdin(Stdio::null());
    command
}

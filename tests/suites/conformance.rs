//! Kubernetes' own suite: the specs of `[Conformance]` of `e2e.test`, run from the
//! cluster's namespace against its API server, as its maintainers would.
//!
//! Several processes at once, each with its own part of the specs: a spec waits
//! most of its time. Those that say `[Serial]` have the cluster to themselves.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

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
    let found = Suite::new(setting, MINUTES).run(&chosen, PROCESSES);
    report::print(&chosen, &found);
    let problems = report::problems(&chosen, &found);
    let count = chosen.len() - problems.len();
    report::say(&format!(
        "conformance: {count} of {} chosen specs passed",
        chosen.len()
    ));
    assert!(problems.is_empty(), "conformance:\n{}", problems.join("\n"));
}

/// The suite, against the API server of a setting.
pub struct Suite<'s> {
    setting: &'s Setting,
    kubeconfig: PathBuf,
    /// What a process may take; those of its specs that are left then have failed.
    minutes: u32,
}

impl Suite<'_> {
    pub fn new(setting: &Setting, minutes: u32) -> Suite<'_> {
        Suite {
            setting,
            kubeconfig: setting.kubeconfig(),
            minutes,
        }
    }

    /// Runs specs by several processes.
    fn run(&self, names: &[String], processes: usize) -> Outcomes {
        let part = |number: usize| -> Vec<String> {
            let part = names.iter().skip(number).step_by(processes);
            part.cloned().collect()
        };
        thread::scope(|scope| {
            let numbers = 0..processes.min(names.len());
            let start = |number| scope.spawn(move || self.run_by(number, &part(number)));
            let running: Vec<_> = numbers.map(start).collect();
            let ended = running.into_iter().map(|one| one.join().unwrap());
            ended.flatten().collect()
        })
    }

    /// Runs specs one after the other, by the process of that number.
    pub fn run_by(&self, number: usize, names: &[String]) -> Outcomes {
        let scene = &self.setting.scene;
        let folder = scene.directory.join(format!("e2e-{number}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let log = logs().join(format!("{}-e2e-{number}.log", scene.name));
        let file = File::create(&log).unwrap();
        let mut command = self.command(&folder, names);
        command.stdout(file.try_clone().unwrap()).stderr(file);
        command.status().unwrap();
        let json = fs::read_to_string(folder.join("report.json")).unwrap_or_default();
        report::read(&json, &log)
            .into_iter()
            .filter(|(name, _)| names.contains(name))
            .filter(|(_, outcome)| outcome.state != "skipped" || !outcome.message.is_empty())
            .collect()
    }

    fn command(&self, folder: &Path, names: &[String]) -> Command {
        // It ends itself at its own time; this is for one that does not.
        let mut command = self.setting.scene.cluster.inside("timeout");
        command.args(["--kill-after=30s", &format!("{}m", self.minutes + 2)]);
        command.arg(lab::program("e2e.test"));
        command.args(["--provider=local", "--dns-domain=cluster.local"]);
        command.args(["--allowed-not-ready-nodes=-1", "--disable-log-dump"]);
        command.arg(format!("--kubeconfig={}", self.kubeconfig.display()));
        command.arg(format!("--report-dir={}", folder.display()));
        let report = folder.join("report.json");
        command.arg(format!("--ginkgo.json-report={}", report.display()));
        command.args(["--ginkgo.no-color", "--ginkgo.silence-skips", "--ginkgo.v"]);
        command.arg(format!("--ginkgo.timeout={}m", self.minutes));
        command.arg(format!("--ginkgo.focus={}", report::expression(names)));
        // The suite calls kubectl.
        let kubectl = lab::program("kubectl");
        let path = std::env::var("PATH").unwrap();
        let folder = kubectl.parent().unwrap().display();
        command.env("PATH", format!("{folder}:{path}"));
        command.stdin(Stdio::null());
        command
    }
}

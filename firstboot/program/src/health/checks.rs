//! What is asked of a version: what an image can break, and nothing else.
//!
//! | asked | definite no |
//! |---|---|
//! | first boot: applied or unchanged | failed |
//! | the container runtime answers | its unit has failed, or ends again and again |
//! | the node has its addresses, if the version before had any | |
//! | the kubelet runs for a minute, its /healthz says ok | it has failed, or ends again and again |
//! | the image's own checks in [`HEALTH_CHECKS`] | [`NEVER`] |
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nodeimg_seed::contract::paths::HEALTH_CHECKS;
use nodeimg_seed::contract::profile::Join;
use nodeimg_seed::contract::report::{Outcome, Report};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::text::problem::Severity;

use super::Lack;
use super::kubelet::Kubelet;
use super::runtime;
use super::systemd::Unit;
use crate::machine::Machine;
use crate::root::Root;
use crate::run::{result, versions};

pub(super) const FIRST_BOOT: &str = "nodeimg-firstboot.service";
const THIS: &str = "nodeimg-health.service";
const NETWORK: &str = "systemd-networkd.service";
/// Flags of the kubelet, as first boot has written them.
const NODE_ENV: &str = "/etc/nodeimg/node.env";
const MAX_ENV: usize = 64 << 10;
/// The exit status of a check that need not be asked a second time.
const NEVER: i32 = 99;
/// For one check.
const PATIENCE: Duration = Duration::from_secs(60);
/// Interfaces of pods: they have addresses without any network.
const OF_PODS: [&str; 8] = [
    "cali", "cilium", "cni", "docker", "flannel", "kube", "lxc", "veth",
];

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Yes,
    NotYet(Lack),
    Never(Lack),
}

/// What is asked, and what the answers so far were.
pub(super) struct Asking<'a> {
    root: &'a Root,
    settings: &'a ImageSettings,
    kubelet: Kubelet,
    /// Whether an address is asked for.
    networked: bool,
}

impl<'a> Asking<'a> {
    pub(super) fn new(root: &'a Root, settings: &'a ImageSettings) -> Self {
        let had_address = versions::known(root).healthy.is_some_and(|it| it.network);
        Self {
            root,
            settings,
            kubelet: Kubelet::default(),
            networked: had_address || settings.profile.joins != Join::Never,
        }
    }

    /// A definite no counts whatever the others say. The image's own checks come last, once
    /// the rest is there that they may need.
    pub(super) fn all(&mut self) -> Asked {
        let mut answers = vec![self.first_boot(), self.runtime(), self.network()];
        if self.settings.profile.joins != Join::Never {
            answers.push(self.kubelet.ask(self.root));
        }
        match worst(answers) {
            Asked::Yes => own_checks(self.root),
            other => other,
        }
    }

    fn first_boot(&self) -> Asked {
        let lack = |why: String| Lack::of(FIRST_BOOT, why);
        match result::read(self.root) {
            Some(report) if report.outcome == Outcome::Failed => {
                Asked::Never(lack(format!("first boot has failed: {}", reason(&report))))
            }
            Some(_) => Asked::Yes,
            None => match Unit::ask(FIRST_BOOT).failure() {
                Some(failure) => Asked::Never(lack(format!("first boot {failure}"))),
                None => Asked::NotYet(lack("first boot has not finished".to_owned())),
            },
        }
    }

    fn runtime(&self) -> Asked {
        let known = self.settings.runtime;
        let unit = Unit::ask(known.unit);
        let lack = |why: String| Lack::of(known.unit, format!("{} {why}", known.name));
        if let Some(failure) = unit.failure() {
            return Asked::Never(lack(failure));
        }
        if !unit.is_wanted() {
            return Asked::Yes;
        }
        match runtime::answers(known.socket) {
            Ok(()) if unit.is_active() => Asked::Yes,
            Ok(()) => Asked::NotYet(lack("has not finished to start".to_owned())),
            Err(error) => Asked::NotYet(lack(format!("does not answer: {error}"))),
        }
    }

    fn network(&self) -> Asked {
        let Some(machine) = Machine::of(self.root).filter(|_| self.networked) else {
            return Asked::Yes;
        };
        let env = self.root.read(NODE_ENV, MAX_ENV).ok().flatten();
        let wanted = env.map_or_else(Vec::new, |env| node_ips(&String::from_utf8_lossy(&env)));
        let there: Vec<IpAddr> = machine.addresses().iter().map(|it| it.net.addr()).collect();
        match wanted.iter().find(|wanted| !there.contains(wanted)) {
            Some(lost) => Asked::NotYet(Lack::of(NETWORK, format!("no interface has {lost}"))),
            None if has_address(&machine) => Asked::Yes,
            None => Asked::NotYet(Lack::of(NETWORK, "no interface has an address")),
        }
    }
}

fn worst(answers: Vec<Asked>) -> Asked {
    let mut worst = Asked::Yes;
    for answer in answers {
        match (&worst, &answer) {
            (_, Asked::Never(_)) => return answer,
            (Asked::Yes, Asked::NotYet(_)) => worst = answer,
            _ => {}
        }
    }
    worst
}

/// The first error of the report.
fn reason(report: &Report) -> String {
    let mut errors = report.problems.iter();
    let first = errors.find(|problem| problem.severity == Severity::Error);
    first.map_or_else(|| "it says no reason".to_owned(), ToString::to_string)
}

/// Of `--node-ip=`.
fn node_ips(env: &str) -> Vec<IpAddr> {
    let lists = env.split_whitespace().filter_map(|word| {
        let (_, list) = word.split_once("--node-ip=")?;
        Some(list.trim_matches(['"', '\'']))
    });
    lists
        .flat_map(|list| list.split(','))
        .filter_map(|ip| ip.parse().ok())
        .collect()
}

/// Whether an interface of the node itself has an address.
pub(super) fn has_address(machine: &Machine) -> bool {
    let addresses = machine.addresses();
    let mut names = addresses.iter().map(|found| found.interface.as_str());
    names.any(|name| !OF_PODS.iter().any(|start| name.starts_with(start)))
}

/// The image's own, in the order of their names.
fn own_checks(root: &Root) -> Asked {
    for (name, is_directory) in root.list(HEALTH_CHECKS).unwrap_or_default() {
        if is_directory || name.starts_with('.') {
            continue;
        }
        let path = root.shown(&format!("{HEALTH_CHECKS}/{name}"));
        let lack = |how: &str| Lack::of(THIS, format!("the check {name} {how}"));
        match run(&path) {
            Ok(Some(0)) => {}
            Ok(Some(NEVER)) => {
                return Asked::Never(lack(&format!(
                    "says that it never will be (exit status {NEVER})"
                )));
            }
            Ok(Some(code)) => return Asked::NotYet(lack(&format!("ends with exit status {code}"))),
            Ok(None) => return Asked::NotYet(lack("was ended by a signal, or by us after 60 s")),
            Err(error) => return Asked::NotYet(lack(&format!("cannot be run: {error}"))),
        }
    }
    Asked::Yes
}

/// The exit status; none of one that was ended. What it prints is in the journal.
fn run(path: &str) -> std::io::Result<Option<i32>> {
    let mut child = Command::new(path)
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()?;
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if Instant::now() > end {
            // With what it has started.
            let group = i32::try_from(child.id()).unwrap_or(i32::MAX);
            let group = nix::unistd::Pid::from_raw(group);
            let _gone = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use nodeimg_seed::contract::paths::HEALTH_CHECKS;

    use super::{Asked, Lack, node_ips, own_checks, worst};
    use crate::root::Root;

    fn lack(why: &str) -> Lack {
        Lack {
            why: why.to_owned(),
            unit: None,
        }
    }

    #[test]
    fn a_definite_no_counts_before_what_may_still_come() {
        let answers = |definite: bool| {
            let last = match definite {
                true => Asked::Never(lack("c")),
                false => Asked::NotYet(lack("c")),
            };
            vec![Asked::Yes, Asked::NotYet(lack("b")), last]
        };
        assert_eq!(worst(answers(true)), Asked::Never(lack("c")));
        assert_eq!(worst(answers(false)), Asked::NotYet(lack("b")));
        assert_eq!(worst(vec![Asked::Yes]), Asked::Yes);
    }

    #[test]
    fn addresses_of_the_kubelet() {
        let env = "KUBELET_NODE_ARGS=\"--hostname-override=n --node-ip=10.0.0.1,fd00::1\"\nA=b\n";
        let ips: Vec<String> = node_ips(env).iter().map(ToString::to_string).collect();
        assert_eq!(ips, ["10.0.0.1", "fd00::1"]);
        assert!(node_ips("A=--node-ip=\n").is_empty());
    }

    #[test]
    fn the_images_own_checks_say_what_they_know() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        assert_eq!(own_checks(&root), Asked::Yes);
        let place = directory.path().join(HEALTH_CHECKS.trim_start_matches('/'));
        fs::create_dir_all(&place).unwrap();
        let write = |name: &str, text: &str, mode: u32| {
            fs::write(place.join(name), text).unwrap();
            fs::set_permissions(place.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write("10-a", "#!/bin/sh\nexit 0\n", 0o755);
        assert_eq!(own_checks(&root), Asked::Yes);
        for (text, mode, expected) in [
            (
                "#!/bin/sh\nexit 1\n",
                0o755,
                "not yet: the check 20-b ends with exit status 1",
            ),
            (
                "#!/bin/sh\nexit 99\n",
                0o755,
                "never: the check 20-b says that it never",
            ),
            (
                "#!/bin/sh\nkill -9 $$\n",
                0o755,
                "not yet: the check 20-b was ended",
            ),
            (
                "#!/bin/sh\n",
                0o644,
                "not yet: the check 20-b cannot be run",
            ),
        ] {
            write("20-b", text, mode);
            let said = match own_checks(&root) {
                Asked::Yes => "yes".to_owned(),
                Asked::NotYet(lack) => format!("not yet: {}", lack.why),
                Asked::Never(lack) => format!("never: {}", lack.why),
            };
            assert!(said.starts_with(expected), "{said}");
        }
    }
}

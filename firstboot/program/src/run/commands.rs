//! A seed's commands: `bootcmd` in every boot, before anything is written; scripts and
//! `runcmd` once per instance, after the node is set up.
//!
//! The scripts run in a unit of their own, so that they may wait for units that wait
//! for first boot (`kubeadm join` starts the kubelet). As in cloud-init, each runs even
//! if the one before failed. Unlike cloud-init, failed ones are tried again at the next
//! boot.
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use nodeimg_seed::contract::paths::BOOTCMD;
use nodeimg_seed::contract::report::{Commands, Outcome, Report};
use nodeimg_seed::contract::stamp::Stamp;
use nodeimg_seed::text::problem::{Place, Problems};

use crate::apply::State;
use crate::root::Root;
use crate::root::gate::Open;
use crate::run::outstanding::{self, is_pending, scripts};
use crate::run::{result, scrub};

/// The unit that runs `nodeimg-firstboot commands`.
pub(crate) const UNIT: &str = "nodeimg-commands.service";

/// Written by the last command of Cluster API's data, if the ones before succeeded.
const SENTINEL: &str = "/run/cluster-api/bootstrap-success.complete";

const MAX_FILE: usize = 16 << 20;

/// Runs `bootcmd`; a failure is a warning, as in cloud-init.
pub(crate) fn boot(script: &Path, instance_id: &str, problems: &mut Problems) {
    let mut command = Command::new("/bin/sh");
    // What it prints may be a secret, and clouds keep what is on the console: standard output
    // goes there, standard error to the journal alone.
    command.arg(script).stdout(std::io::stderr());
    if let Some(reason) = run(command, instance_id) {
        let place = Place::file(BOOTCMD).key("bootcmd");
        problems.warn(&place, reason, "see `journalctl -u nodeimg-firstboot`");
    }
}

/// Runs the remaining commands, and adds to the report of this boot.
pub(crate) fn run_pending(root: &Root) -> Option<Report> {
    let mut report = result::read(root)?;
    let state = State::read(root);
    let Some(stamp) = state
        .finished()
        .filter(|_| report.outcome != Outcome::Failed)
    else {
        return Some(report);
    };
    if !is_pending(root, stamp) {
        return Some(report);
    }
    let mut problems = Problems::new();
    let paths: Vec<PathBuf> = scripts(stamp).iter().map(PathBuf::from).collect();
    run_all(&paths, &stamp.instance_id, &mut problems);
    check_sentinel(root, stamp, &mut problems);
    report.commands = Some(if problems.has_errors() {
        Commands::Failed
    } else {
        Commands::Done
    });
    if report.commands == Some(Commands::Done) {
        outstanding::note_done(root, stamp, &mut problems);
        forget(root, stamp, &mut problems);
    }
    report.add(problems);
    scrub::settle_later(root, &mut report);
    result::write(root, &report);
    Some(report)
}

/// The report if systemd has ended the commands; `result` is its reason, the
/// `SERVICE_RESULT` of an `ExecStopPost=`. Commands that did not finish for another
/// reason (a shutdown) are not reported.
pub(crate) fn ended(root: &Root, result: &str) -> Option<Report> {
    let mut report = result::read(root)?;
    if result != "timeout" || report.commands != Some(Commands::Pending) {
        // Nothing is reported twice.
        report.commands = report.commands.filter(|told| *told != Commands::Failed);
        report.outcome = Outcome::Unchanged;
        return Some(report);
    }
    let mut problems = Problems::new();
    let remedy = format!("`journalctl -u {UNIT}` shows which one hangs; the next boot tries again");
    let reason = "stopped the commands: they took longer than its TimeoutStartSec=";
    problems.error(&Place::file(UNIT), reason, remedy);
    report.commands = Some(Commands::Failed);
    report.add(problems);
    result::write(root, &report);
    Some(report)
}

/// Scripts that have run may hold tokens, and are not run again.
fn forget(root: &Root, stamp: &Stamp, problems: &mut Problems) {
    for path in scripts(stamp) {
        if let Err(error) = root.wipe(path, &mut Open) {
            let reason = format!("is no longer needed but cannot be removed: {error}");
            problems.warn(&Place::file(path.as_str()), reason, "remove it");
        }
    }
}

fn run_all(paths: &[PathBuf], instance_id: &str, problems: &mut Problems) {
    for path in paths {
        if let Some(reason) = run(Command::new(path), instance_id) {
            let place = Place::file(path.display().to_string());
            let remedy = format!("see `journalctl -u {UNIT}`; the next boot tries again");
            problems.error(&place, reason, remedy);
        }
    }
}

/// Runs a command; returns the reason of its failure. It has root's usual environment and no input.
fn run(mut command: Command, instance_id: &str) -> Option<String> {
    let status = command
        .current_dir("/")
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", "/root")
        .env("INSTANCE_ID", instance_id)
        .stdin(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => None,
        Ok(status) => Some(how_ended(status)),
        Err(error) => Some(format!("cannot be run: {error}")),
    }
}

fn how_ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended for an unknown reason".to_owned(),
    }
}

/// A script's exit status may hide that a command in the middle has failed; Cluster API
/// writes a file at the end.
fn check_sentinel(root: &Root, stamp: &Stamp, problems: &mut Problems) {
    let promises = |path: &&String| {
        let bytes = root.read(path, MAX_FILE).ok().flatten();
        bytes.is_some_and(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            text.contains(SENTINEL)
        })
    };
    if let Some(script) = scripts(stamp).into_iter().find(promises)
        && !root.exists(SENTINEL)
    {
        let reason = format!("has not written {SENTINEL}: the command before it failed");
        let remedy = format!("see `journalctl -u {UNIT}`; the next boot tries again");
        problems.error(&Place::file(script.as_str()), reason, remedy);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use nodeimg_seed::contract::report::{Commands, Outcome, Report};
    use nodeimg_seed::contract::stamp::Stamp;
    use nodeimg_seed::text::problem::Problems;

    use super::{boot, check_sentinel, ended, is_pending, run_all};
    use crate::root::Root;

    fn stamp(files: &[&str]) -> Stamp {
        Stamp {
            version: 1,
            instance_id: "i-1".to_owned(),
            host_name: "n".to_owned(),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            ..Stamp::default()
        }
    }

    #[test]
    fn each_runs_whatever_became_of_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let mut paths: Vec<PathBuf> = Vec::new();
        for (name, text) in [
            (
                "1",
                format!(
                    "#!/bin/sh\necho one $INSTANCE_ID $(pwd) >> {}\nexit 3\n",
                    out.display()
                ),
            ),
            (
                "2",
                format!("#!/bin/sh\nread x || echo two >> {}\n", out.display()),
            ),
            ("3", "#!/bin/sh\nkill -9 $$\n".to_owned()),
            ("4", "#!/nonexistent/interpreter\n".to_owned()),
        ] {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            paths.push(path);
        }
        let mut problems = Problems::new();
        run_all(&paths, "i-1", &mut problems);
        assert_eq!(fs::read_to_string(&out).unwrap(), "one i-1 /\ntwo\n");
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for (index, expected) in [
            "1: ended with exit status 3;",
            "3: was killed by signal 9",
            "4: cannot be run: ",
        ]
        .iter()
        .enumerate()
        {
            assert!(said[index].contains(expected), "{said:?}");
        }
        let mut problems = Problems::new();
        boot(&paths[0], "i-1", &mut problems);
        assert!(!problems.has_errors() && problems.iter().count() == 1);
    }

    const SCRIPT: &str = "NODEIMG_TEST_BOOTCMD";

    /// The console shows standard output; this test runs its own program to look at it.
    #[test]
    fn what_bootcmd_prints_is_not_for_the_console() {
        if let Some(script) = std::env::var_os(SCRIPT) {
            boot(&PathBuf::from(script), "i-1", &mut Problems::new());
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("bootcmd");
        fs::write(&script, "echo OF-BOOTCMD\n").unwrap();
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["what_bootcmd_prints_is_not_for_the_console", "--nocapture"])
            .env(SCRIPT, &script)
            .output()
            .unwrap();
        let (out, err) = [&ran.stdout, &ran.stderr]
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .into();
        assert!(ran.status.success() && err.contains("OF-BOOTCMD"), "{err}");
        assert!(!out.contains("OF-BOOTCMD"), "{out}");
    }

    #[test]
    fn a_timeout_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        let mut report = Report::new(Outcome::Applied);
        report.commands = Some(Commands::Pending);
        let path = directory.path().join("run/nodeimg/result.json");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = report.to_json().unwrap();
        fs::write(&path, &text).unwrap();
        // Stopped by a shutdown, or done.
        assert!(!ended(&root, "success").unwrap().failed());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let told = ended(&root, "timeout").unwrap();
        assert!(told.failed() && told.failure_box().contains("TimeoutStartSec="));
        let kept = Report::read(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(kept.commands, Some(Commands::Failed));
        assert!(!ended(&root, "exit-code").unwrap().failed());
    }

    #[test]
    fn done_once_per_instance() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        let some = stamp(&["/etc/hosts", "/var/lib/nodeimg/scripts/900-runcmd"]);
        assert!(!is_pending(&root, &stamp(&["/etc/hosts"])));
        assert!(is_pending(&root, &some));
        fs::create_dir_all(directory.path().join("var/lib/nodeimg/scripts")).unwrap();
        let done = directory.path().join("var/lib/nodeimg/commands.json");
        fs::write(&done, "{\"version\": 1, \"instance_id\": \"i-0\"}").unwrap();
        assert!(is_pending(&root, &some));
        fs::write(&done, "{\"version\": 1, \"instance_id\": \"i-1\"}").unwrap();
        assert!(!is_pending(&root, &some));
        let script = directory.path().join("var/lib/nodeimg/scripts/900-runcmd");
        let sentinel = "run/cluster-api/bootstrap-success.complete";
        fs::write(&script, format!("a && echo success > /{sentinel}\n")).unwrap();
        let mut problems = Problems::new();
        check_sentinel(&root, &some, &mut problems);
        assert!(problems.has_errors());
        fs::create_dir_all(directory.path().join("run/cluster-api")).unwrap();
        fs::write(directory.path().join(sentinel), "success\n").unwrap();
        let mut problems = Problems::new();
        check_sentinel(&root, &some, &mut problems);
        assert!(!problems.has_errors());
    }
}

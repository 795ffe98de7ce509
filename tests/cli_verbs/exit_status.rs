//! Every exit status of the documentation, driven.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nodeimg_test_support::faulty_server::{Fault, faulty};
use nodeimg_test_support::place::top;
use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_test_support::synthetic::{World, body};

/// First column of the table in `docs/reference/verbs.md`.
fn documented() -> Vec<String> {
    let text = fs::read_to_string(top().join("docs/reference/verbs.md")).unwrap();
    let (_, section) = text.split_once("## Exit status\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" |").next());
    cells.skip(1).map(|cell| cell.replace('`', "")).collect()
}

#[test]
fn each_status_of_the_table_is_what_ends_such_a_run() {
    let rows = documented();
    assert_eq!(rows, ["0", "1", "2", "N", "130", "143"]);
    let world = World::locked();
    for row in rows {
        match row.as_str() {
            "0" => drop(Ran::of(nodeimg().arg("--version")).good()),
            "1" => drop(
                Ran::of(world.bare("recipe").args(["check", "-r", "./none.toml"]))
                    .refused(1, &["none.toml"]),
            ),
            "2" => drop(Ran::of(nodeimg().args(["build", "--no-such"])).refused(2, &["--no-such"])),
            "N" => {
                let machine = super::run::World::new("script");
                let script = machine.path("script.sh");
                fs::write(&script, "exit 42\n").unwrap();
                let ran = machine.ran(&["--exec", script.to_str().unwrap()]);
                assert_eq!(ran.code, Some(42), "{}", ran.err);
            }
            // As a shell shows the end by a signal: 128 and its number.
            signal => interrupted(signal.parse::<i32>().unwrap() - 128),
        }
    }
}

/// A download that never ends is ended, and what is kept is told.
fn interrupted(number: i32) {
    let world = World::locked();
    world.script(
        "runc",
        vec![faulty(&body("runc", "amd64"), Fault::Stall(10))],
    );
    for json in [false, true] {
        let mut fetch = heeding(&world, "--default-signal=INT,TERM");
        if json {
            fetch.arg("--json");
        }
        let child = hanging(&world, &mut fetch);
        send(&child, Signal::try_from(number).unwrap());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(number), "{output:?}");
        let (out, err) = (output.stdout, String::from_utf8(output.stderr).unwrap());
        if json {
            let out = String::from_utf8(out).unwrap();
            let last = super::events(&out).pop().unwrap();
            assert_eq!(last["event"], "interrupted", "{out}");
            assert_eq!(last["files"], 0, "the first run has brought them");
        } else {
            assert!(
                err.contains("interrupted: the store keeps 4 files"),
                "{err}"
            );
        }
        assert_eq!(world.blobs().len(), 4);
        world.store_is_sound().unwrap();
    }
}

/// `nodeimg fetch` as env(1) starts it: whatever runs the tests may have them ignore signals.
fn heeding(world: &World, signals: &str) -> Command {
    let fetch = world.nodeimg("fetch");
    let mut command = Command::new("env");
    command
        .arg(signals)
        .arg(fetch.get_program())
        .args(fetch.get_args());
    for (name, value) in fetch.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = fetch.get_current_dir() {
        command.current_dir(folder);
    }
    command.args(["--arch", "amd64"]);
    command
}

/// Everything but runc is there, and runc hangs.
fn hanging(world: &World, fetch: &mut Command) -> Child {
    fetch.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = fetch.spawn().unwrap();
    let begun = Instant::now();
    while world.blobs().len() < 4 || world.asked("runc").is_empty() {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(60), "{:?}", world.blobs());
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_millis(300));
    child
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, signal).unwrap();
}

/// As a shell starts what runs in the background, and nohup(1) anything.
#[test]
fn a_signal_that_is_ignored_ends_nothing() {
    let world = World::locked();
    let stall = Fault::Stall(10);
    world.script("runc", vec![faulty(&body("runc", "amd64"), stall)]);
    let child = hanging(&world, &mut heeding(&world, "--ignore-signal=INT"));
    send(&child, Signal::SIGINT);
    thread::sleep(Duration::from_millis(300));
    send(&child, Signal::SIGTERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(15), "{output:?}");
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(err.matches("interrupted").count(), 1, "{err}");
}

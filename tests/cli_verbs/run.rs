//! `nodeimg run` with a stand-in for QEMU: a script that keeps its arguments
//! and plays one of several machines. The real one is in tests/boot.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::events;
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::run::{Ran, listing, nodeimg};

/// Its first argument is how to reach it, `socket,id=qmp,fd=N`.
const QEMU: &str = r#"#!/bin/bash
here=$(dirname "$0")
printf '%s\n' "$@" >"$here/arguments"
case $2 in
    *,fd=*) fd=${2##*=} ;;
    # The printed command has no monitor.
    *) exec 9</dev/null; fd=9 ;;
esac
for word in "$@"; do
    case $word in
        socket,id=nodeimg-exec,fd=*) exec=${word##*=} ;;
        socket,id=nodeimg-status,fd=*) status=${word##*=} ;;
    esac
done
say() { printf '%s\n' "$1" >&"$fd" || true; }
off() {
    say '{"event": "SHUTDOWN", "data": {"guest": '"$1"', "reason": "'"$2"'"}}'
    exit 0
}
# As firmware may, it takes what is sent before the guest has asked.
ask() {
    timeout 0.2 cat <&"$exec" >/dev/null
    echo ready >&"$status"
}
say '{"QMP": {}}'
read -r doing <"$here/doing"
case $doing in
    off) echo 'node-0 login: '; off true guest-shutdown ;;
    script)
        echo 'node-0 login: '
        ask
        read -r size _ <&"$exec"
        head -c "$size" <&"$exec" >"$here/script"
        sh "$here/script" >&"$exec" 2>&1
        echo $? >&"$status"
        off true guest-shutdown
        ;;
    node)
        echo 'THIS NODE IS NOT SET UP'
        ask
        read -r size input <&"$exec"
        head -c "$size" <&"$exec" >"$here/script"
        [ "$input" = port ] && read -r _ <&"$exec"
        cat "$here/facts" >&"$exec"
        echo 0 >&"$status"
        off true guest-shutdown
        ;;
    reset) off true guest-reset ;;
    console) exit 0 ;;
    fails) echo 'qemu: no such thing' >&2; exit 3 ;;
    stops | full) say '{"event": "STOP"}' ;;
    waits) echo 'node-0 login: ' ;;
esac
while read -r line <&"$fd"; do
    echo "$line" >>"$here/orders"
    case $line in
        *query-status*)
            [ "$doing" = full ] && state=io-error || state=internal-error
            say '{"return": {"status": "'"$state"'"}}'
            ;;
        *system_powerdown*) echo 'down'; off true guest-shutdown ;;
        *quit*) off false host-qmp-quit ;;
    esac
done
"#;

/// A machine's parts in a directory of their own.
pub struct World(TempDir);

impl World {
    pub fn new(doing: &str) -> World {
        let world = World(TempDir::new().unwrap());
        fs::create_dir_all(world.path("bin")).unwrap();
        fs::create_dir_all(world.path("tmp")).unwrap();
        for program in ["qemu-system-x86_64", "qemu-system-aarch64"] {
            let program = world.path("bin").join(program);
            fs::write(&program, QEMU).unwrap();
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(world.path("bin/doing"), format!("{doing}\n")).unwrap();
        fs::write(world.path("code"), "").unwrap();
        fs::write(world.path("vars"), "vars").unwrap();
        let mut disk = vec![0; 4096];
        disk[512..520].copy_from_slice(b"EFI PART");
        world.image("arm64", &disk);
        world
    }

    /// What a build would have written into `out`.
    fn image(&self, arch: &str, disk: &[u8]) {
        let out = self.path("out");
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join("disk.raw"), disk).unwrap();
        let manifest = format!(
            r#"{{"image": {{"arch": "{arch}", "name": "container-host"}}, "outputs": [{{"file": "disk.raw", "sha256": "sha256:{}"}}]}}"#,
            sha256(disk)
        );
        fs::write(out.join("manifest.json"), manifest).unwrap();
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn run(&self, arguments: &[&str]) -> Command {
        let mut command = nodeimg();
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command.env("TMPDIR", self.path("tmp"));
        let firmware = format!(
            "{}:{}",
            self.path("code").display(),
            self.path("vars").display()
        );
        command
            .arg("run")
            .arg(self.path("out"))
            .args(["--firmware", &firmware]);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    pub fn ran(&self, arguments: &[&str]) -> Ran {
        let ran = Ran::of(&mut self.run(arguments));
        assert_eq!(
            listing(&self.path("tmp")),
            [""; 0],
            "nothing is left behind"
        );
        ran
    }

    pub fn arguments(&self) -> String {
        fs::read_to_string(self.path("bin/arguments")).unwrap()
    }

    fn orders(&self) -> String {
        fs::read_to_string(self.path("bin/orders")).unwrap_or_default()
    }
}

#[test]
fn a_machine_that_powers_itself_off_has_done_well() {
    let world = World::new("off");
    let ran = world
        .ran(&["--port", "2222:22", "--", "-smbios", "type=1"])
        .good();
    assert_eq!(ran.out, "node-0 login: \n");
    assert!(ran.err.contains("booting"), "{}", ran.err);
    let arguments = world.arguments();
    for part in [
        "virt,gic-version=max",
        "127.0.0.1:2222-:22",
        "-smbios\ntype=1\n",
    ] {
        assert!(arguments.contains(part), "{part}: {arguments}");
    }
}

#[test]
fn any_other_end_is_a_failure_that_says_so() {
    for (doing, says) in [
        ("reset", "tried to reboot"),
        ("console", "switched off at its console"),
        ("fails", "exit status: 3"),
        ("stops", "internal-error"),
        ("full", "MiB are free there"),
    ] {
        let world = World::new(doing);
        world.ran(&[]).refused(1, &[says, "disk.raw"]);
    }
}

#[test]
fn the_time_and_the_text_end_it_by_its_power_button() {
    let world = World::new("waits");
    world
        .ran(&["--timeout", "1"])
        .refused(1, &["after 1 s", "powered down"]);
    assert!(world.orders().contains("system_powerdown"));
    let world = World::new("waits");
    let ran = world
        .ran(&["--expect", "0 login", "--timeout", "60"])
        .good();
    assert_eq!(
        ran.out, "node-0 login: \ndown\n",
        "what comes behind the text is shown too"
    );
    // Said, and off at once.
    World::new("off").ran(&["--expect", "login"]).good();
    let world = World::new("off");
    world
        .ran(&["--expect", "Kernel panic"])
        .refused(1, &["`Kernel panic`"]);
}

#[test]
fn a_signal_switches_it_off() {
    let world = World::new("waits");
    let mut command = world.run(&[]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(said.contains("switched off on SIGTERM"), "{said}");
    assert!(world.orders().contains("quit"));
    assert_eq!(listing(&world.path("tmp")), [""; 0]);
}

#[test]
fn the_built_disk_is_under_an_overlay_that_can_be_kept() {
    let world = World::new("off");
    let before = fs::read(world.path("out/disk.raw")).unwrap();
    let keep = world.path("keep");
    let keep = keep.to_str().unwrap();
    world.ran(&["--keep", keep, "--disk-size", "1GiB"]).good();
    assert_eq!(
        listing(&world.path("keep")),
        ["disk.qcow2", "state.json", "vars.fd"]
    );
    assert!(world.arguments().contains(&format!("{keep}/disk.qcow2")));
    let overlay = fs::read(world.path("keep/disk.qcow2")).unwrap();
    let backing = fs::canonicalize(world.path("out/disk.raw")).unwrap();
    let backing = backing.to_str().unwrap().as_bytes();
    assert!(overlay.windows(backing.len()).any(|part| part == backing));
    world.ran(&["--keep", keep]).good();
    assert_eq!(fs::read(world.path("out/disk.raw")).unwrap(), before);
    let mut rebuilt = before;
    rebuilt[4095] = 1;
    world.image("arm64", &rebuilt);
    world
        .ran(&["--keep", keep])
        .refused(1, &["was rebuilt", "remove the directory"]);
}

#[test]
fn a_seed_is_a_second_disk() {
    let world = World::new("off");
    fs::create_dir(world.path("seed")).unwrap();
    let seed = world.path("seed");
    let seed = seed.to_str().unwrap();
    world
        .ran(&["--seed", seed])
        .refused(1, &["holds neither `meta-data`"]);
    fs::write(world.path("seed/meta-data"), "").unwrap();
    fs::write(world.path("seed/user-data"), "").unwrap();
    world.ran(&["--seed", seed]).good();
    let arguments = world.arguments();
    assert!(
        arguments.contains("virtio-blk-pci,drive=seed"),
        "{arguments}"
    );
    // A medium of the user's is not written to.
    fs::write(world.path("seed.iso"), vec![0; 4096]).unwrap();
    let medium = world.path("seed.iso");
    world.ran(&["--seed", medium.to_str().unwrap()]).good();
    let arguments = world.arguments();
    let line = arguments
        .lines()
        .find(|line| line.contains("seed.iso"))
        .unwrap();
    assert!(line.contains(r#""read-only":true"#), "{line}");
}

#[test]
fn the_command_can_be_had_instead() {
    let world = World::new("off");
    let ran = Ran::of(&mut world.run(&["--print", "--", "-smbios", "type=11,value=a b"])).good();
    assert!(!world.path("bin/arguments").exists(), "nothing was started");
    assert!(
        ran.out.contains("qemu-system-aarch64 -no-user-config"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.ends_with("-smbios 'type=11,value=a b'\n"),
        "{}",
        ran.out
    );
    // A shell runs it as it stands, and its files are there.
    let mut shell = Command::new("bash");
    Ran::of(shell.arg("-c").arg(&ran.out)).good();
    let files = listing(&world.path("tmp"));
    assert_eq!(
        files
            .iter()
            .filter(|file| file.ends_with("disk.qcow2"))
            .count(),
        1,
        "{files:?}"
    );
    let json = Ran::of(&mut world.run(&["--print", "--json"])).good();
    let command = events(&json.out)
        .into_iter()
        .find(|event| event["event"] == "command");
    assert!(
        command.unwrap()["command"]
            .as_str()
            .unwrap()
            .contains("-blockdev")
    );
}

#[test]
fn events_have_standard_output_for_themselves() {
    let world = World::new("off");
    let ran = world.ran(&["--json"]).good();
    let events = events(&ran.out);
    assert_eq!(events[0]["event"], "run");
    assert_eq!(events[0]["arch"], "arm64");
    assert!(ran.err.contains("login"), "{}", ran.err);
    let ran = world.ran(&["--json", "--expect", "login"]).good();
    assert!(ran.err.contains("login"), "{}", ran.err);
}

#[test]
fn what_is_missing_is_named_with_its_package() {
    let world = World::new("off");
    let mut without = world.run(&[]);
    let empty = world.path("tmp");
    Ran::of(without.env("PATH", &empty)).refused(
        1,
        &[
            "qemu-system-aarch64 is not installed",
            "apt-get install qemu-system-arm qemu-efi-aarch64",
            "dnf",
            "pacman",
        ],
    );
    fs::remove_file(world.path("code")).unwrap();
    world
        .ran(&[])
        .refused(1, &["--firmware", "/code is not a file"]);
    let mut nothing = world.run(&[]);
    fs::remove_file(world.path("out/disk.raw")).unwrap();
    Ran::of(&mut nothing).refused(1, &["has no disk", "--output disk"]);
    for odd in [
        ["--port", "22"],
        ["--timeout", "0"],
        ["--expect", ""],
        ["--memory", "much"],
        ["--accel", "xen"],
        ["--cpus", "0"],
    ] {
        world.ran(&odd).refused(2, &[odd[0]]);
    }
    world.image("arm64", &[0; 4096]);
    world.ran(&[]).refused(1, &["no GUID partition table"]);
}

//! `nodeimg run --exec` with the stand-in for QEMU of `run`.

use std::fs;

use super::events;
use super::run::World;

#[test]
fn a_script_runs_in_it_and_ends_it() {
    let world = World::new("script");
    let script = world.path("script.sh");
    let script = script.to_str().unwrap();
    // More than a socket holds, on both ways.
    let filler = "#".repeat(300_000);
    let text = format!("{filler}\nseq 60000\necho \"error of its own\" >&2\nexit 7\n");
    fs::write(script, text).unwrap();
    let ran = world.ran(&["--exec", script]);
    assert_eq!(ran.code, Some(7), "its status: {}", ran.err);
    let numbers: String = (1..=60_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(ran.out, format!("{numbers}error of its own\n"));
    assert!(ran.err.ends_with("node-0 login: \n"), "{}", ran.err);
    let arguments = world.arguments();
    for part in [
        "virtserialport,bus=nodeimg.0,nr=1,chardev=nodeimg-exec,name=nodeimg.exec\n",
        "virtserialport,bus=nodeimg.0,nr=2,chardev=nodeimg-status,name=nodeimg.status\n",
        "credential.binary:systemd.extra-unit.nodeimg-exec.service=",
        "credential.binary:systemd.unit-dropin.multi-user.target~nodeimg-exec=",
    ] {
        assert!(arguments.contains(part), "{part}: {arguments}");
    }
}

#[test]
fn console_and_output_can_have_files() {
    let world = World::new("script");
    let paths = ["script.sh", "said", "console"].map(|name| world.path(name));
    let [script, said, console] = paths.each_ref().map(|path| path.to_str().unwrap());
    fs::write(script, "echo yes\n").unwrap();
    let ran = world.ran(&[
        "--exec",
        script,
        "--exec-output",
        said,
        "--console",
        console,
    ]);
    let ran = ran.good();
    assert_eq!(ran.out, "");
    assert_eq!(fs::read_to_string(said).unwrap(), "yes\n");
    assert_eq!(fs::read_to_string(console).unwrap(), "node-0 login: \n");
    let ran = world.ran(&["--exec", script, "--json"]).good();
    let events = events(&ran.out);
    assert_eq!(events.last().unwrap()["event"], "exec");
    assert_eq!(events.last().unwrap()["status"], 0);
    assert!(ran.err.contains("yes\n"), "{}", ran.err);
}

#[test]
fn a_script_that_did_not_end_is_no_success() {
    let world = World::new("off");
    let script = world.path("script.sh");
    let script = script.to_str().unwrap();
    world
        .ran(&["--exec", script])
        .refused(1, &["reading the script", "script.sh"]);
    fs::write(script, "").unwrap();
    world
        .ran(&["--exec", script])
        .refused(1, &["powered off before the script ended"]);
    for odd in [["--exec-output", "x"], ["--exec", ""]] {
        world.ran(&odd).refused(2, &[odd[0]]);
    }
    world
        .ran(&["--exec", script, "--print"])
        .refused(2, &["--print"]);
}

//! A power cut at every system call of the program itself: what `power` tries with the engine's
//! own writes and flushes, with those that reach the kernel.

use std::process::Command;

use nodeimg_formats::blocks::Blocks;
use nodeimg_test_support::judge;

use crate::power::{Event, copy, cut_everywhere};
use crate::verbs::Node;

#[test]
fn a_cut_at_every_system_call_of_the_program_boots_the_old_or_the_new_version() {
    let node = Node::new();
    node.publish(|_| {});
    let (_kept, start) = copy(&node.machine);
    let log = node.machine.folder.path().join("calls");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-y", "-xx", "-s", "100000000", "-e"]);
    strace.args([
        "trace=/p?write(v|v2|64)?,fsync,fdatasync,sync",
        "-e",
        "signal=none",
        "-o",
    ]);
    let apply = node.command(&["apply", node.source()]);
    strace
        .arg(&log)
        .arg(apply.get_program())
        .args(apply.get_args());
    let Some(ran) = judge::run(&mut strace) else {
        return;
    };
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    let calls = std::fs::read_to_string(log).unwrap();
    let disk = node.machine.path().display().to_string();
    let events: Vec<Event> = calls
        .lines()
        .filter_map(|line| event(line, &disk))
        .collect();
    assert!(matches!(events.last(), Some(Event::Flush)));
    let (old, new) = ("node_1.0-20261101.efi", "node_1.1-20261201+3.efi");
    let told = cut_everywhere(&start, &events, node.machine.size, old, new);
    assert!(
        told.cuts > 250 && told.old > 200 && told.new > 0,
        "{}",
        told.cuts
    );
    // All of them make what the program has left.
    let mut written = vec![0; node.machine.size as usize];
    let mut made = written.clone();
    node.machine.disk.read(&mut written, 0).unwrap();
    start.read(&mut made, 0).unwrap();
    assert!(written == made);
}

/// What a line of strace says of the disk, by `NAME(FD<FILE>, "BYTES", LENGTH, PLACE) = RESULT`.
fn event(line: &str, disk: &str) -> Option<Event> {
    let (name, rest) = line.split_once('(')?;
    let (file, rest) = rest.split_once('<')?.1.split_once('>')?;
    if bytes(file) != disk.as_bytes() {
        return None;
    }
    match name.rsplit(' ').next()? {
        "fsync" | "fdatasync" => Some(Event::Flush),
        "pwrite64" => {
            let (content, rest) = rest.split_once('"')?.1.split_once('"')?;
            let (arguments, result) = rest.split_once(')')?;
            let (length, place) = arguments.trim_start_matches(", ").split_once(", ")?;
            let content = bytes(content);
            let count = content.len().to_string();
            assert_eq!((length, result.trim()), (&*count, &*format!("= {count}")));
            Some(Event::Write(place.parse().unwrap(), content))
        }
        // A place that is not said.
        _ => panic!("{}", &line[..line.len().min(200)]),
    }
}

/// Of `\x2f\x74`.
fn bytes(text: &str) -> Vec<u8> {
    let each = text.split("\\x").skip(1);
    each.map(|hex| u8::from_str_radix(hex, 16).unwrap())
        .collect()
}

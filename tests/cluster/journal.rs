//! The journal of a normal boot: no warning and no error of the kubelet, kube-proxy,
//! the container runtime or systemd that a setting of ours causes, but for the lines in
//! `known-lines.txt`.
//!
//! A bad setting causes the same line in every boot, or again and again in one. A line that
//! one boot has once is a race on a busy machine: the test prints and remembers it. It fails
//! if a second boot has the line too, or one boot has it [`OFTEN`] times.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use regex::Regex;
use serde_json::Value;

use super::logs;
use super::node::Node;

/// The boots that are judged, in groups; a pattern that no boot of its group needs fails the
/// last one, unless it is of slow processors.
const BOOTS: [&[&str]; 2] = [&["hard-way", "older", "bootstrap", "kubeadm"], &CRIO];
/// Where `NODEIMG_TEST_CRIO` names one. Theirs are the patterns `with crio`.
const CRIO: [&str; 2] = ["hard-way-crio", "kubeadm-crio"];
const KNOWN: &str = include_str!("known-lines.txt");

/// A line that is known.
struct Known {
    program: &'static str,
    pattern: Regex,
    /// Only a processor that is slow, or busy, has the program say it.
    if_slow: bool,
    /// Only the boots of [`CRIO`] have it.
    with_crio: bool,
}

/// Judges the node's boot until now. Its whole journal stays in the folder of logs.
#[track_caller]
pub fn judge(node: &Node, boot: &'static str) {
    let group = BOOTS.iter().find(|group| group.contains(&boot));
    let group = group.unwrap_or_else(|| panic!("{boot} is not one of {BOOTS:?}"));
    let fields = "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER";
    let journal = node.shell(&format!("journalctl -b --no-pager -o json {fields}"));
    fs::write(logs().join(format!("{boot}.journal")), &journal).unwrap();
    let known = known();
    let mut used = BTreeSet::new();
    let mut unknown = Vec::new();
    for (program, line) in journal.lines().filter_map(trouble) {
        let mut all = known.iter().enumerate();
        let found = all.find(|(_, one)| one.program == program && one.pattern.is_match(&line));
        match found {
            Some((number, _)) => _ = used.insert(number),
            None => unknown.push(format!("{program}: {line}")),
        }
    }
    static LINES: Mutex<Lines> = Mutex::new(Lines(BTreeMap::new()));
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let wrong = lines.add(boot, &unknown);
    drop(lines);
    for line in &unknown {
        // Straight to the terminal: the test harness keeps what passing tests print.
        let _ = writeln!(io::stderr().lock(), "{boot}: an unknown line: {line}");
    }
    assert!(
        wrong.is_empty(),
        "the journal of {boot} has lines that tests/cluster/known-lines.txt does not know; each with the boots that have it: {wrong:#?}"
    );
    all_are_used(boot, group, used, &known);
}

/// A line that one boot has this often is not a race.
const OFTEN: usize = 3;

/// The boots that have each kind of unknown line, one entry for each time.
struct Lines(BTreeMap<String, Vec<&'static str>>);

impl Lines {
    /// Records a boot's unknown lines, and returns those that are not races.
    fn add(
        &mut self,
        boot: &'static str,
        unknown: &[String],
    ) -> BTreeMap<String, Vec<&'static str>> {
        let mut wrong = BTreeMap::new();
        for line in unknown {
            let boots = self.0.entry(kind(line)).or_default();
            boots.push(boot);
            if boots.len() >= OFTEN || boots.iter().any(|other| *other != boot) {
                wrong.insert(line.clone(), boots.clone());
            }
        }
        wrong
    }
}

/// A line without its numbers and identifiers.
fn kind(line: &str) -> String {
    let varying = Regex::new(r"[0-9a-f_-]{8,}|\d+").unwrap();
    varying.replace_all(line, "N").into_owned()
}

#[track_caller]
fn all_are_used(
    boot: &'static str,
    group: &[&'static str],
    used: BTreeSet<usize>,
    known: &[Known],
) {
    static SEEN: Mutex<(BTreeSet<&str>, BTreeSet<usize>)> =
        Mutex::new((BTreeSet::new(), BTreeSet::new()));
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.0.insert(boot);
    seen.1.extend(used);
    if !group.iter().all(|boot| seen.0.contains(boot)) {
        return;
    }
    let is_of_group = |one: &Known| one.with_crio == (group == CRIO);
    let unused = known
        .iter()
        .enumerate()
        .filter(|(number, one)| is_of_group(one) && !one.if_slow && !seen.1.contains(number));
    let unused: Vec<_> = unused.map(|(_, one)| one.pattern.as_str()).collect();
    assert!(
        unused.is_empty(),
        "remove from tests/cluster/known-lines.txt what no boot says any more: {unused:#?}"
    );
}

/// Entries of a reason (`# ...`), a program (`kubelet`, `kubelet if slow` or `kubelet with
/// crio`) and a pattern, which each stand on lines of their own; a blank line between entries.
fn known() -> Vec<Known> {
    let entries = KNOWN.split("\n\n").filter(|entry| !entry.trim().is_empty());
    let entry = |entry: &'static str| {
        let (reason, rest): (Vec<&str>, Vec<&str>) =
            entry.trim().lines().partition(|line| line.starts_with('#'));
        let [program, pattern] = rest[..] else {
            panic!("an entry is a program and a pattern: {entry}");
        };
        assert!(!reason.is_empty(), "no reason: {entry}");
        let is_anchored = pattern.starts_with('^') && pattern.ends_with('$');
        assert!(is_anchored, "not from ^ to $: {pattern}");
        let slow = program.strip_suffix(" if slow");
        let crio = program.strip_suffix(" with crio");
        Known {
            program: slow.or(crio).unwrap_or(program),
            pattern: Regex::new(pattern).unwrap(),
            if_slow: slow.is_some(),
            with_crio: crio.is_some(),
        }
    };
    entries.map(entry).collect()
}

/// Who warns, and the text without its time and place.
fn trouble(line: &str) -> Option<(String, String)> {
    let entry: Value = serde_json::from_str(line).unwrap();
    let field = |name: &str| entry[name].as_str().unwrap_or_default();
    let (program, text) = (field("SYSLOG_IDENTIFIER"), field("MESSAGE"));
    let text = match program {
        "kubelet" | "kube-proxy" => of_klog(text)?,
        "containerd" | "crio" => of_logrus(text)?,
        _ => (program.starts_with("systemd") && "01234".contains(field("PRIORITY")))
            .then(|| text.to_owned())?,
    };
    Some((program.to_owned(), text))
}

/// `E1129 06:55:18.327211     428 kubelet.go:1754] "Image garbage..."`
fn of_klog(text: &str) -> Option<String> {
    let (head, said) = text.split_once("] ")?;
    let (letter, date) = head.split_at_checked(1)?;
    let is_header = date.len() > 4 && date.bytes().take(4).all(|byte| byte.is_ascii_digit());
    (is_header && "WEF".contains(letter)).then(|| format!("{letter} {said}"))
}

/// `time="2026-11-29T06:54:23Z" level=warning msg="failed check..."`
fn of_logrus(text: &str) -> Option<String> {
    let (_, said) = text.split_once(" level=")?;
    let (level, said) = said.split_once(' ')?;
    let is_trouble = ["warning", "error", "fatal", "panic"].contains(&level);
    is_trouble.then(|| format!("{level} {said}"))
}

#[test]
fn what_warns_is_told_from_what_does_not() {
    let entry = |program: &str, priority: &str, text: &str| {
        let line = serde_json::json!({"SYSLOG_IDENTIFIER": program, "PRIORITY": priority, "MESSAGE": text});
        trouble(&line.to_string()).map(|(_, text)| text)
    };
    let klog = "1129 06:55:18.327211     428 kubelet.go:1754] \"Full\" err=\"x\"";
    assert_eq!(
        entry("kubelet", "6", &format!("E{klog}")).as_deref(),
        Some("E \"Full\" err=\"x\"")
    );
    assert_eq!(entry("kube-proxy", "6", &format!("I{klog}")), None);
    let containerd = |level: &str| format!("time=\"2026\" level={level} msg=\"slow\"");
    assert_eq!(
        entry("containerd", "6", &containerd("warning")).as_deref(),
        Some("warning msg=\"slow\"")
    );
    assert_eq!(entry("containerd", "6", &containerd("info")), None);
    assert_eq!(entry("systemd", "3", "Failed").as_deref(), Some("Failed"));
    assert_eq!(entry("systemd", "6", "Started"), None);
    assert_eq!(entry("sshd", "3", "error"), None);
}

#[test]
fn a_race_is_told_from_a_setting() {
    let mut lines = Lines(BTreeMap::new());
    let of = |pod: &str| format!("kubelet: W Failed {pod}: not found after 2.5s");
    let other = of("bf12cd34_931a");
    assert!(lines.add("hard-way", &[of("0a12cd34_9f1a")]).is_empty());
    assert!(
        lines
            .add("hard-way", &["kubelet: W Else".to_owned()])
            .is_empty()
    );
    // Another boot has it too.
    let wrong = lines.add("older", std::slice::from_ref(&other));
    assert_eq!(wrong, BTreeMap::from([(other, vec!["hard-way", "older"])]));
    // One boot has it often.
    let again = vec!["containerd: error again".to_owned(); OFTEN];
    assert!(lines.add("older", &again[1..]).is_empty());
    assert!(!lines.add("older", &again[..1]).is_empty());
}

#[test]
fn a_container_that_comes_or_goes_is_known_and_a_bad_setting_is_not() {
    let known = known();
    let is_known = |line: &str| {
        let mut of_kubelet = known.iter().filter(|one| one.program == "kubelet");
        of_kubelet.any(|one| one.pattern.is_match(line))
    };
    let id = "d71e8edc2b87875c0c3fc74700348ba5308fdd324b130d0ff6c9fbbb465a42ef";
    let watch = format!(
        "W Failed to process watch event {{EventType:0 Name:/kubepods.slice/kubepods-besteffort.slice/cri-containerd-{id}.scope WatchSource:0}}: "
    );
    for line in [
        format!(
            "{watch}not found: rpc error: code = NotFound desc = container not created: not found"
        ),
        format!(
            "{watch}error finding container {id}: status 404 returned error can't find the container with id {id}"
        ),
        format!(
            "E \"ContainerStatus from runtime service failed\" err=\"rpc error: code = NotFound desc = an error occurred when try to find container \\\"{id}\\\": not found\""
        ),
    ] {
        assert!(is_known(&line), "{line}");
    }
    for line in [
        "E \"PullImage from image service failed\" err=\"rpc error: code = NotFound desc = failed to pull and unpack image \\\"a/b:1\\\": not found\"",
        "E \"Failed to start ContainerManager\" err=\"open /etc/kubernetes/containers: no such file or directory\"",
        "E \"RunPodSandbox\" err=\"no runtime for \\\"crun\\\" is configured\"",
    ] {
        assert!(!is_known(line), "{line}");
    }
}

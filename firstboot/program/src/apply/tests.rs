//! A power cut at every step of an apply, and what the next run makes of it.
//! Disks that fail instead are in `apply_faults.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nodeimg_seed::contract::stamp::TakenSeed;
use nodeimg_seed::plan::{Content, Image, Plan, PlannedFile, Role};
use nodeimg_seed::text::secret::SecretBytes;

use super::{Instance, Original, State, apply};
use crate::root::Root;
use crate::root::gate::{Change, Gate, Open};

/// Passes so many steps, then none: nothing happens after a power cut.
struct Cut {
    left: usize,
    steps: Vec<(Change, String)>,
}

impl Gate for Cut {
    fn pass(&mut self, change: Change, path: &str) -> io::Result<()> {
        self.steps.push((change, path.to_owned()));
        if self.left == 0 {
            return Err(io::Error::other("cut"));
        }
        self.left -= 1;
        Ok(())
    }
}

pub(super) fn plan(files: &[(&str, u32, &str)]) -> Plan {
    let files = files.iter().map(|(path, mode, text)| PlannedFile {
        path: (*path).to_owned(),
        mode: *mode,
        uid: 0,
        gid: 0,
        content: Content::Bytes(SecretBytes::new(text.as_bytes().to_vec())),
        role: Role::Own,
        place: None,
    });
    Plan {
        files: files.collect(),
        ..Plan::default()
    }
}

pub(super) fn first_plan() -> Plan {
    plan(&[
        ("/etc/hostname", 0o644, "one\n"),
        ("/etc/only-first", 0o644, "1"),
        ("/var/lib/k/key", 0o600, "KEY1"),
    ])
}

pub(super) fn second_plan() -> Plan {
    plan(&[
        ("/etc/hostname", 0o644, "two\n"),
        ("/new/dir/file", 0o644, "2"),
        ("/var/lib/k/key", 0o600, "KEY2"),
    ])
}

fn run(root: &Root, id: &str, plan: &Plan, gate: &mut dyn Gate) -> bool {
    let state = State::read(root);
    if state
        .finished()
        .is_some_and(|stamp| stamp.instance_id == id)
    {
        return true;
    }
    let instance = Instance {
        id,
        host_name: "n",
        seed: TakenSeed::default(),
        repair: false,
    };
    apply(root, plan, &instance, &state, gate).is_ok()
}

/// In memory if possible: thousands of syncs are slow on a disk.
pub(super) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Every file as `path mode text`, every link as `path -> target`, sorted.
pub(super) fn dump(top: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(top).unwrap().display().to_string();
            if let Ok(target) = fs::read_link(&path) {
                lines.push(format!("{name} -> {}", target.display()));
                continue;
            }
            let mode = meta.permissions().mode() & 0o7777;
            lines.push(format!(
                "{name} {mode:o} {}",
                fs::read_to_string(&path).unwrap()
            ));
        }
    }
    lines.sort();
    lines
}

/// The state of a root after all of `first`, and then `second`.
fn undisturbed(first: bool) -> Vec<String> {
    let directory = scratch();
    let root = Root::open(directory.path()).unwrap();
    if first {
        assert!(run(&root, "a", &first_plan(), &mut Open));
    }
    assert!(run(&root, "b", &second_plan(), &mut Open));
    dump(directory.path())
}

#[test]
fn a_cut_at_any_step_is_put_right_by_the_next_run() {
    for first in [false, true] {
        let expected = undisturbed(first);
        assert_eq!(expected.len(), 5, "{expected:?}");
        let mut step = 0;
        loop {
            let directory = scratch();
            let root = Root::open(directory.path()).unwrap();
            if first {
                assert!(run(&root, "a", &first_plan(), &mut Open));
            }
            let mut cut = Cut {
                left: step,
                steps: Vec::new(),
            };
            let whole = run(&root, "b", &second_plan(), &mut cut);
            // Mixed files never pass for a finished instance.
            let state = State::read(&root);
            if let Some(stamp) = state.finished() {
                let id = stamp.instance_id.clone();
                let expected = if id == "a" { 3 } else { 4 };
                assert!(
                    whole || id == "a" || step + 1 >= cut.steps.len(),
                    "{id} after {:?}",
                    cut.steps
                );
                assert!(dump(directory.path()).len() >= expected, "{:?}", cut.steps);
            }
            assert!(
                run(&root, "b", &second_plan(), &mut Open),
                "rerun after {:?}",
                cut.steps
            );
            assert_eq!(
                dump(directory.path()),
                expected,
                "cut after {:?}",
                cut.steps
            );
            if whole {
                assert!(step > 20, "only {step} steps were tried");
                break;
            }
            step += 1;
        }
    }
}

#[test]
fn a_cut_run_of_one_instance_leaves_nothing_to_the_next() {
    let mut step = 0;
    loop {
        let directory = scratch();
        let root = Root::open(directory.path()).unwrap();
        let whole = run(
            &root,
            "a",
            &first_plan(),
            &mut Cut {
                left: step,
                steps: Vec::new(),
            },
        );
        assert!(run(&root, "b", &second_plan(), &mut Open));
        assert_eq!(dump(directory.path()), undisturbed(true), "step {step}");
        if whole {
            break;
        }
        step += 1;
    }
}

#[test]
fn two_cut_runs_in_a_row_are_both_remembered() {
    let expected = undisturbed(true);
    for first in 0..30 {
        for second in 0..8 {
            let directory = scratch();
            let root = Root::open(directory.path()).unwrap();
            let cut = |left| Cut {
                left,
                steps: Vec::new(),
            };
            run(&root, "a", &first_plan(), &mut cut(first));
            let third = plan(&[("/etc/third", 0o644, "3")]);
            run(&root, "c", &third, &mut cut(second));
            assert!(run(&root, "b", &second_plan(), &mut Open));
            let found = dump(directory.path());
            assert_eq!(found, expected, "cut after {first} and {second} steps");
        }
    }
}

#[test]
fn lost_files_and_broken_state_mean_a_fresh_run() {
    let directory = scratch();
    let root = Root::open(directory.path()).unwrap();
    assert!(run(&root, "b", &second_plan(), &mut Open));
    let expected = dump(directory.path());
    assert!(State::read(&root).finished().is_some());
    for harm in ["etc/hostname", "var/lib/nodeimg/instance.json"] {
        fs::write(directory.path().join("var/lib/nodeimg/pending.json"), "{").unwrap();
        fs::remove_file(directory.path().join(harm)).unwrap();
        assert!(State::read(&root).finished().is_none());
        assert!(run(&root, "b", &second_plan(), &mut Open));
        assert_eq!(dump(directory.path()), expected, "{harm}");
    }
}

#[test]
fn links_do_not_lead_out() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let inside = tempfile::tempdir().unwrap();
    let root = Root::open(inside.path()).unwrap();
    fs::write(outside.path().join("hostname"), "theirs").unwrap();
    // A directory that leads out, by an absolute and by a climbing link.
    for target in [
        outside.path().to_owned(),
        Path::new("../../../../../..").join(outside.path().strip_prefix("/").unwrap()),
    ] {
        symlink(&target, inside.path().join("etc")).unwrap();
        assert!(!run(&root, "b", &second_plan(), &mut Open), "{target:?}");
        fs::remove_file(inside.path().join("etc")).unwrap();
    }
    // A file that is a link is replaced, not written through.
    fs::create_dir(inside.path().join("etc")).unwrap();
    symlink(
        outside.path().join("hostname"),
        inside.path().join("etc/hostname"),
    )
    .unwrap();
    assert!(run(&root, "b", &second_plan(), &mut Open));
    assert_eq!(
        dump(outside.path()),
        [format!("hostname {:o} theirs", 0o644)]
    );
    assert_eq!(
        fs::read_to_string(inside.path().join("etc/hostname")).unwrap(),
        "two\n"
    );
    // A stamp is only a file: paths in it do not climb either.
    let stamp = "{\"version\":1,\"instance_id\":\"x\",\"host_name\":\"n\",\"plan_digest\":\"\",\"files\":[\"/../../up\"]}";
    fs::write(inside.path().join("var/lib/nodeimg/instance.json"), stamp).unwrap();
    assert!(run(&root, "c", &second_plan(), &mut Open));
    assert!(!outside.path().join("up").exists());
}

/// A plan that adds to a file of the image, as `append` and the account tables do, and replaces a link.
pub(super) fn editing(root: &Root) -> Plan {
    let before = Original::new(root, &State::read(root))
        .file("/etc/motd")
        .unwrap();
    let text = before
        .map(|before| before.bytes)
        .unwrap_or_default()
        .followed_by(b"more\n");
    let mut plan = plan(&[
        ("/etc/hostname", 0o644, "one\n"),
        ("/etc/motd", 0o644, ""),
        ("/etc/zone", 0o644, ""),
    ]);
    plan.files[1].content = Content::Bytes(text);
    plan.files[1].role = Role::Asked;
    plan.files[2].content = Content::Link("new".to_owned());
    plan.files[2].role = Role::Edited;
    plan
}

fn motd_and_zone(directory: &Path) -> (String, String) {
    let zone = fs::read_link(directory.join("etc/zone")).unwrap();
    let motd = fs::read_to_string(directory.join("etc/motd")).unwrap();
    (motd, zone.display().to_string())
}

#[test]
fn edits_are_made_once_and_given_back_wherever_a_run_is_cut() {
    let is = |motd: &str, zone: &str| (motd.to_owned(), zone.to_owned());
    for cut_second in [false, true] {
        let mut step = 0;
        loop {
            let directory = scratch();
            let root = Root::open(directory.path()).unwrap();
            fs::create_dir(directory.path().join("etc")).unwrap();
            fs::write(directory.path().join("etc/motd"), "hello\n").unwrap();
            std::os::unix::fs::symlink("old", directory.path().join("etc/zone")).unwrap();
            let mut cut = Cut {
                left: step,
                steps: Vec::new(),
            };
            let mut whole = cut_second || run(&root, "a", &editing(&root), &mut cut);
            assert!(run(&root, "a", &editing(&root), &mut Open));
            let found = motd_and_zone(directory.path());
            assert_eq!(
                found,
                is("hello\nmore\n", "new"),
                "cut after {:?}",
                cut.steps
            );
            if cut_second {
                whole = run(&root, "b", &second_plan(), &mut cut);
            }
            assert!(run(&root, "b", &second_plan(), &mut Open));
            let found = motd_and_zone(directory.path());
            assert_eq!(found, is("hello\n", "old"), "cut after {:?}", cut.steps);
            if whole {
                assert!(step > 15, "only {step} steps were tried");
                break;
            }
            step += 1;
        }
    }
}

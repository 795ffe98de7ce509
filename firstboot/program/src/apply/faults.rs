//! A disk that becomes full, read-only or broken at any single change of an apply: one
//! clear failure, nothing half written, and the next run ends in the same state as an
//! undisturbed one.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nodeimg_seed::contract::stamp::TakenSeed;
use nodeimg_seed::text::problem::Problems;

use super::tests::{dump, editing, first_plan, plan, scratch, second_plan};
use super::{Failure, Instance, State, apply};
use crate::root::Root;
use crate::root::gate::{Change, Gate, Open};

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Only this one change.
    Once(Errno),
    /// Every change that needs a block or an inode.
    Full,
    /// Every change.
    ReadOnly,
    /// Everything.
    Broken,
    /// The power is cut: nothing more happens, not even cleaning up.
    Cut,
}

const FAULTS: [Fault; 7] = [
    Fault::Once(Errno::ENOSPC),
    Fault::Once(Errno::EIO),
    Fault::Once(Errno::EDQUOT),
    Fault::Full,
    Fault::ReadOnly,
    Fault::Broken,
    Fault::Cut,
];

impl Fault {
    fn errno(self) -> Errno {
        match self {
            Self::Once(errno) => errno,
            Self::Full => Errno::ENOSPC,
            Self::ReadOnly => Errno::EROFS,
            Self::Broken | Self::Cut => Errno::EIO,
        }
    }

    fn refuses(self, change: Change) -> bool {
        use Change::{Create, MakeDirectory, Rename, Sync, SyncDirectory, Write};
        match self {
            Self::Once(_) => false,
            Self::Full => matches!(change, Create | MakeDirectory | Write | Rename | Sync),
            Self::ReadOnly => !matches!(change, Sync | SyncDirectory),
            Self::Broken | Self::Cut => true,
        }
    }

    /// Whether a temporary file can still be removed.
    fn lets_clean_up(self) -> bool {
        matches!(self, Self::Once(_) | Self::Full)
    }
}

/// The disk is good up to a step, and then `fault`.
struct Disk {
    fault: Fault,
    from: usize,
    /// Every change that was requested.
    seen: Vec<(Change, String)>,
    refused: usize,
}

impl Disk {
    fn new(fault: Fault, from: usize) -> Self {
        Self {
            fault,
            from,
            seen: Vec::new(),
            refused: 0,
        }
    }
}

impl Gate for Disk {
    fn pass(&mut self, change: Change, path: &str) -> io::Result<()> {
        let step = self.seen.len();
        self.seen.push((change, path.to_owned()));
        if step == self.from || (step > self.from && self.fault.refuses(change)) {
            self.refused += 1;
            return Err(self.fault.errno().into());
        }
        Ok(())
    }
}

/// The runs before the disturbed one, and that run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    Fresh,
    /// Another instance was set up before.
    Changed,
    /// Lines are added to files of the image, and one of its links is replaced.
    Edited,
    /// The other way round: the image's files come back.
    Back,
}

const CASES: [Case; 4] = [Case::Fresh, Case::Changed, Case::Edited, Case::Back];

fn set_up(root: &Root, id: &str, case: Case, gate: &mut dyn Gate) -> Result<(), Failure> {
    let state = State::read(root);
    let plan = match (case, id) {
        (Case::Edited, "b") | (Case::Back, "a") => editing(root),
        (_, "a") => first_plan(),
        _ => second_plan(),
    };
    apply(
        root,
        &plan,
        &Instance {
            id,
            host_name: "n",
            seed: TakenSeed::default(),
            repair: false,
        },
        &state,
        gate,
    )
    .map(|left| assert!(left.is_empty()))
}

/// An image root, with the earlier instance if the case has one.
fn ground(case: Case) -> (tempfile::TempDir, Root) {
    let directory = scratch();
    let etc = directory.path().join("etc");
    fs::create_dir(&etc).unwrap();
    if matches!(case, Case::Edited | Case::Back) {
        fs::write(etc.join("motd"), "hello\n").unwrap();
        std::os::unix::fs::symlink("old", etc.join("zone")).unwrap();
    }
    let root = Root::open(directory.path()).unwrap();
    if matches!(case, Case::Changed | Case::Back) {
        assert!(set_up(&root, "a", case, &mut Open).is_ok());
    }
    (directory, root)
}

/// Files without first boot's own state.
fn files(directory: &Path) -> BTreeSet<String> {
    let lines = dump(directory).into_iter();
    let own = |line: &String| line.starts_with("var/lib/nodeimg/");
    lines.filter(|line| !own(line)).collect()
}

fn is_temporary(line: &str) -> bool {
    line.split(' ').next().unwrap().ends_with(".nodeimg-tmp")
}

#[test]
fn a_fault_at_any_change_is_told_harms_nothing_and_the_next_run_succeeds() {
    for case in CASES {
        let (directory, root) = ground(case);
        let before = files(directory.path());
        assert!(set_up(&root, "b", case, &mut Open).is_ok());
        let (after, whole) = (files(directory.path()), dump(directory.path()));
        for fault in FAULTS {
            let mut step = 0;
            while disturb(case, fault, step, (&before, &after, &whole)) {
                step += 1;
            }
            assert!(step > 15, "{case:?} {fault:?}: only {step} changes");
        }
    }
}

/// One run with a fault; returns whether the fault occurred.
fn disturb(
    case: Case,
    fault: Fault,
    step: usize,
    (before, after, whole): (&BTreeSet<String>, &BTreeSet<String>, &Vec<String>),
) -> bool {
    let (directory, root) = ground(case);
    let mut disk = Disk::new(fault, step);
    let outcome = set_up(&root, "b", case, &mut disk);
    if disk.seen.len() <= step {
        assert!(outcome.is_ok());
        return false;
    }
    let at = format!(
        "{case:?} {fault:?} from change {step}: {:?}",
        disk.seen[step]
    );
    let Err(failure) = outcome else {
        panic!("{at}: a change that was refused went unnoticed");
    };
    assert_told(&failure, fault, directory.path(), &at);
    // Every file belongs to one instance or the other, and is complete.
    for line in files(directory.path()) {
        let known = before.contains(&line) || after.contains(&line);
        let rest = is_temporary(&line) && !fault.lets_clean_up();
        assert!(known || rest, "{at}: {line:?}");
    }
    let state = State::read(&root);
    if let Some(stamp) = state.finished() {
        // Only the last change of all, making the removal of the note durable, comes after the stamp counts.
        let last = disk.seen[step].0 == Change::SyncDirectory && files(directory.path()) == *after;
        assert!(
            stamp.instance_id == "a" || last,
            "{at}: {}",
            stamp.instance_id
        );
    }
    assert!(set_up(&root, "b", case, &mut Open).is_ok(), "{at}");
    assert_eq!(dump(directory.path()), *whole, "{at}");
    true
}

/// One sentence that names the file, the reason and what to do.
fn assert_told(failure: &Failure, fault: Fault, directory: &Path, at: &str) {
    let mut problems = Problems::new();
    failure.tell(&mut problems);
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{at}");
    let file = failure
        .path
        .strip_prefix(directory.to_str().unwrap())
        .unwrap();
    assert!(
        file.starts_with('/') && !file.contains("nodeimg-tmp"),
        "{at}: {told:?}"
    );
    assert!(told[0].starts_with(&failure.path), "{at}: {told:?}");
    let (reason, remedy) = match fault.errno() {
        Errno::ENOSPC => ("No space left on device", "free space on its file system"),
        Errno::EDQUOT => ("Disk quota exceeded", "free space on its file system"),
        Errno::EROFS => ("Read-only file system", "`writable` in the recipe"),
        _ => ("Input/output error", "replace it"),
    };
    assert!(
        told[0].contains(&format!(" failed: {reason}")),
        "{at}: {told:?}"
    );
    assert!(told[0].contains(remedy), "{at}: {told:?}");
}

#[test]
fn a_second_fault_on_the_way_back_is_no_different() {
    let (directory, root) = ground(Case::Changed);
    assert!(set_up(&root, "b", Case::Changed, &mut Open).is_ok());
    let whole = dump(directory.path());
    for first in (0..60).step_by(7) {
        for second in 0..60 {
            let (directory, root) = ground(Case::Changed);
            for (fault, step) in [(Fault::Full, first), (Fault::Cut, second)] {
                let mut disk = Disk::new(fault, step);
                let told = set_up(&root, "b", Case::Changed, &mut disk).is_err();
                assert_eq!(told, disk.refused > 0, "{:?}", disk.seen);
            }
            assert!(set_up(&root, "b", Case::Changed, &mut Open).is_ok());
            assert_eq!(dump(directory.path()), whole, "{first} {second}");
        }
    }
}

/// The first instance's key is nowhere once another instance is set up, not even in
/// leftovers of an interrupted run.
#[test]
fn no_secret_of_a_cut_run_survives_the_next_instance() {
    let other = || plan(&[("/etc/hostname", 0o644, "two\n")]);
    let mut held = 0;
    for step in 0.. {
        let (directory, root) = ground(Case::Fresh);
        let mut disk = Disk::new(Fault::Cut, step);
        let whole = set_up(&root, "a", Case::Fresh, &mut disk).is_ok();
        // "KE" is the first half of KEY1.
        held += usize::from(
            dump(directory.path())
                .iter()
                .any(|line| line.ends_with(" KE")),
        );
        let instance = Instance {
            id: "c",
            host_name: "n",
            seed: TakenSeed::default(),
            repair: false,
        };
        let state = State::read(&root);
        assert!(apply(&root, &other(), &instance, &state, &mut Open).is_ok());
        for line in dump(directory.path()) {
            assert!(!line.contains("KE"), "{:?}: {line:?}", disk.seen.last());
        }
        if whole {
            break;
        }
    }
    assert!(held > 0, "no cut fell into the middle of the key");
}

/// The bootstrap token is gone for good, wherever the first attempt stopped.
#[test]
fn a_token_is_gone_after_the_next_run_wherever_wiping_it_ended() {
    const TOKEN: &str = "/var/lib/kubelet/bootstrap-kubeconfig";
    let ground = || {
        let directory = scratch();
        let root = Root::open(directory.path()).unwrap();
        let token = plan(&[(TOKEN, 0o600, "token: abcdef.0123456789abcdef\n")]);
        let instance = Instance {
            id: "a",
            host_name: "n",
            seed: TakenSeed::default(),
            repair: false,
        };
        let state = State::default();
        assert!(apply(&root, &token, &instance, &state, &mut Open).is_ok());
        (directory, root)
    };
    for fault in FAULTS {
        for step in 0.. {
            let (directory, root) = ground();
            let mut disk = Disk::new(fault, step);
            let wiped = root.wipe(TOKEN, &mut disk);
            assert_eq!(
                wiped.is_err(),
                disk.refused > 0,
                "{fault:?} {:?}",
                disk.seen
            );
            if fault.lets_clean_up() && disk.seen.last().is_some_and(|last| last.0 > Change::Remove)
            {
                assert!(!root.exists(TOKEN), "{fault:?} {:?}", disk.seen);
            }
            root.wipe(TOKEN, &mut Open).unwrap();
            let left = dump(directory.path());
            assert!(
                !left.iter().any(|line| line.contains("0123456789")),
                "{left:?}"
            );
            if disk.refused == 0 {
                let done: Vec<Change> = disk.seen.into_iter().map(|(change, _)| change).collect();
                let all = [
                    Change::Overwrite,
                    Change::Sync,
                    Change::Remove,
                    Change::SyncDirectory,
                ];
                assert_eq!(done, all);
                break;
            }
        }
    }
}

/// Directories are created with their final mode.
#[test]
fn a_directory_has_its_mode_or_is_not_there() {
    use std::os::unix::fs::PermissionsExt;
    let access = crate::root::Access {
        mode: 0o700,
        uid: 0,
        gid: 0,
    };
    for fault in [Fault::Cut, Fault::Full, Fault::Once(Errno::EIO)] {
        for step in 0.. {
            let directory = scratch();
            let root = Root::open(directory.path()).unwrap();
            let mut disk = Disk::new(fault, step);
            let made = root.make_directory("/home/.ssh", access, &mut disk).is_ok();
            let path = directory.path().join("home/.ssh");
            if let Ok(meta) = fs::metadata(&path) {
                assert_eq!(meta.permissions().mode() & 0o7777, 0o700, "{:?}", disk.seen);
            }
            root.make_directory("/home/.ssh", access, &mut Open)
                .unwrap();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o700, "{:?}", disk.seen);
            let rest: Vec<_> = fs::read_dir(directory.path().join("home"))
                .unwrap()
                .collect();
            assert_eq!(rest.len(), 1, "{:?}", disk.seen);
            if made {
                break;
            }
        }
    }
}

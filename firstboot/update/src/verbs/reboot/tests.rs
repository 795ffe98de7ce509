use std::cell::{Cell, RefCell};

use super::*;

/// Sunday, 2026-12-06, 03:00 in Berlin.
const OPENS: u64 = 1_796_522_400;
const CALENDAR: &str = "Sun 03:00 Europe/Berlin";
const LENGTH: u64 = 7200;

struct Fake {
    now: Cell<u64>,
    failed: Option<&'static str>,
    slept: RefCell<Vec<u64>>,
    rebooted: Cell<bool>,
}

impl Fake {
    fn at(now: u64) -> Fake {
        Fake {
            now: Cell::new(now),
            failed: None,
            slept: RefCell::default(),
            rebooted: Cell::new(false),
        }
    }
}

impl Around for Fake {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn sleep(&self, seconds: u64) {
        self.slept.borrow_mut().push(seconds);
        self.now.set(self.now.get() + seconds);
    }

    /// systemd's own word.
    fn next(&self, calendar: &str, after: u64) -> Result<Option<u64>> {
        System.next(calendar, after)
    }

    fn failed_unit(&self) -> Option<String> {
        self.failed.map(str::to_owned)
    }

    fn reboot(&self) -> Result<()> {
        self.rebooted.set(true);
        Ok(())
    }
}

/// A node that nothing is known of; what the disk would say is not asked before.
fn node(machine: &str) -> (tempfile::TempDir, Node) {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::at(folder.path());
    node.write("/etc/machine-id", machine.as_bytes()).unwrap();
    (folder, node)
}

fn window() -> Option<(String, u64)> {
    Some((CALENDAR.to_owned(), LENGTH))
}

fn nobody() -> Result<Session> {
    bail!("the disk was asked")
}

#[test]
fn a_time_in_another_zone_is_read_as_utc() {
    let utc = "  Original form: Sun 03:00\n    Next elapse: Sun 2026-12-06 02:00:00 UTC\n       From now: 5 days left\n";
    assert_eq!(elapse(utc), Some(OPENS));
    let berlin = "    Next elapse: Sun 2026-12-06 03:00:00 CET\n       (in UTC): Sun 2026-12-06 02:00:00 UTC\n";
    assert_eq!(elapse(berlin), Some(OPENS));
    assert_eq!(elapse("    Next elapse: never\n"), None);
    assert_eq!(days(1970, 1, 1), Some(0));
    assert_eq!(days(2000, 2, 29), Some(11_016));
    assert_eq!(days(2000, 3, 1), Some(11_017));
}

#[test]
fn outside_of_the_window_nothing_happens() {
    let (_folder, node) = node("0123456789abcdef0123456789abcdef");
    node.require_reboot("nodeimg: 2 is installed").unwrap();
    for now in [OPENS - 60, OPENS + LENGTH + 1, OPENS + 86_400] {
        let around = Fake::at(now);
        let said = at_turn(&node, window(), &around, &nobody).unwrap();
        assert_eq!(said.status, NOTHING, "{now}: {}", said.text);
        assert!(!around.rebooted.get() && around.slept.borrow().is_empty());
    }
    let around = Fake::at(OPENS);
    assert_eq!(
        at_turn(&node, None, &around, &nobody).unwrap().status,
        NOTHING
    );
}

#[test]
fn a_machine_waits_for_its_turn_which_is_always_the_same() {
    let mut turns = Vec::new();
    for number in 0..20 {
        let (_folder, node) = node(&format!("{number:032x}\n"));
        let turn = || {
            let around = Fake::at(OPENS);
            let said = at_turn(&node, window(), &around, &nobody).unwrap();
            assert!(said.text.contains("nothing to reboot for"), "{}", said.text);
            around.now.get() - OPENS
        };
        assert_eq!(turn(), turn());
        turns.push(turn());
    }
    assert!(
        turns.iter().all(|turn| *turn <= LENGTH * TURNS / 100),
        "{turns:?}"
    );
    turns.sort_unstable();
    turns.dedup();
    assert!(turns.len() > 15, "{turns:?}");
    assert!(
        turns[0] < LENGTH / 4 && turns[turns.len() - 1] > LENGTH / 2,
        "{turns:?}"
    );
}

#[test]
fn held_and_failing_nodes_do_not_reboot() {
    let (_folder, node) = node("0123456789abcdef0123456789abcdef");
    node.require_reboot("nodeimg: 2 is installed").unwrap();
    node.write_state(|state| {
        state.applied = Some(nodeimg_seed::contract::update::Applied {
            version: "2".to_owned(),
            from: "1".to_owned(),
            source: None,
        });
    })
    .unwrap();
    let refused = |around: &Fake| {
        let error = at_turn(&node, window(), around, &nobody).err().unwrap();
        assert!(!around.rebooted.get());
        error.to_string()
    };
    for held in ["*", "2"] {
        node.hold(&[held.to_owned()]).unwrap();
        assert!(refused(&Fake::at(OPENS)).contains("held back"));
    }
    node.hold(&["3".to_owned()]).unwrap();
    let around = Fake {
        failed: Some("kubelet.service"),
        ..Fake::at(OPENS)
    };
    assert!(refused(&around).contains("kubelet.service has failed"));
    // Then the disk is asked whether the version that runs has proved itself.
    assert_eq!(refused(&Fake::at(OPENS)), "the disk was asked");
}

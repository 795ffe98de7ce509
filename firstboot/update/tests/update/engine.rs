use std::fs;

use nodeimg_formats::gpt;
use nodeimg_update::engine::installed;
use nodeimg_update::esp::Volume;
use nodeimg_update::source::directory::Directory;

use crate::fixture::{BLOCK, Machine, Version};
use crate::model::boot;

const B: u64 = BLOCK as u64;

fn first() -> Version {
    Version::of("1.0-20261101", 100..160)
}

/// Ten blocks less in the middle, so that all behind them are at other places; a few new.
fn second() -> Version {
    Version::of("1.1-20261201", (100..120).chain(130..160).chain(900..905))
}

fn third() -> Version {
    Version::of(
        "1.10-20261202",
        (120..130).chain(130..160).chain(900..905).chain([7]),
    )
}

#[test]
fn what_is_here_is_copied_and_the_rest_is_fetched() {
    let mut machine = Machine::running(&first());
    let dir = tempfile::tempdir().unwrap();
    let source = Directory::open(dir.path()).unwrap();
    let manifest = second().publish(dir.path());
    let moved = machine.install(&manifest, &source).unwrap();
    assert_eq!(
        (moved.kept, moved.copied, moved.fetched),
        (0, 50 * B, 5 * B)
    );
    let booted = boot(&machine.disk, machine.size).unwrap();
    assert_eq!(booted.entry, "node_1.1-20261201+3.efi");
    assert_eq!(booted.bootable.len(), 2);
    // Both copies of the table say so.
    let table = gpt::read(&machine.disk).unwrap();
    let names: Vec<_> = table
        .partitions
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    let (a, b) = ("node_1.0-20261101", "node_1.1-20261201");
    assert_eq!(names, ["esp", a, a, b, b, "state"]);
    assert!(
        table.partitions[1..5]
            .iter()
            .all(|entry| entry.flags == 1 << 60)
    );

    // From the second slot back to the first: what was in it and is elsewhere now is not lost.
    machine.boots(&second());
    let manifest = third().publish(dir.path());
    let moved = machine.install(&manifest, &source).unwrap();
    assert_eq!((moved.kept, moved.copied, moved.fetched), (0, 45 * B, B));
    let booted = boot(&machine.disk, machine.size).unwrap();
    assert_eq!(booted.entry, "node_1.10-20261202+3.efi");
    assert_eq!(
        booted.bootable,
        ["node_1.10-20261202+3.efi", "node_1.1-20261201+3.efi"]
    );
}

#[test]
fn another_salt_costs_time_only() {
    let old = Version::salted("1.0", 100..160, [1; 32]);
    let new = Version::salted("1.1", (100..159).chain([5]), [2; 32]);
    let machine = Machine::running(&old);
    let dir = tempfile::tempdir().unwrap();
    let manifest = new.publish(dir.path());
    let source = Directory::open(dir.path()).unwrap();
    let moved = machine.install(&manifest, &source).unwrap();
    assert_eq!((moved.copied, moved.fetched), (59 * B, B));
    boot(&machine.disk, machine.size).unwrap();
}

#[test]
fn the_same_update_again_finds_everything_in_place() {
    let machine = Machine::running(&first());
    let dir = tempfile::tempdir().unwrap();
    let manifest = second().publish(dir.path());
    let source = Directory::open(dir.path()).unwrap();
    machine.install(&manifest, &source).unwrap();
    let slots = machine.slots();
    let part = nodeimg_formats::blocks::Part {
        of: &machine.disk,
        start: slots.esp.start,
        size: slots.esp.size,
    };
    let esp = Volume::open(&part, part.size).unwrap();
    let entry = installed(&slots, &esp, &manifest).unwrap();
    assert_eq!(entry.as_deref(), Some("node_1.1-20261201+3.efi"));
    let moved = machine.install(&manifest, &source).unwrap();
    assert_eq!((moved.kept, moved.copied, moved.fetched), (55 * B, 0, 0));
    let booted = boot(&machine.disk, machine.size).unwrap();
    assert_eq!(booted.bootable.len(), 2);
}

#[test]
fn a_file_that_is_not_the_manifests_changes_nothing() {
    let (old, new) = (first(), second());
    for (end, why) in [
        (".root.raw", "block 52 of the root"),
        (".verity.raw", "not the file of its manifest"),
        (".efi.zst", "efi"),
    ] {
        let machine = Machine::running(&old);
        let dir = tempfile::tempdir().unwrap();
        let manifest = new.publish(dir.path());
        let source = Directory::open(dir.path()).unwrap();
        let path = dir.path().join(format!("{}{end}", new.stem()));
        let mut bytes = fs::read(&path).unwrap();
        let at = if end == ".root.raw" {
            52 * BLOCK
        } else {
            bytes.len() / 2
        };
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = format!("{:#}", machine.install(&manifest, &source).unwrap_err());
        assert!(error.contains(why), "{end}: {error}");
        let booted = boot(&machine.disk, machine.size).unwrap();
        assert_eq!(booted.entry, "node_1.0-20261101.efi", "{end}");
        // Cut short: the size says so.
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        machine.install(&manifest, &source).unwrap_err();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        machine.install(&manifest, &source).unwrap();
    }
}

#[test]
fn a_uki_of_another_root_is_refused() {
    let machine = Machine::running(&first());
    let dir = tempfile::tempdir().unwrap();
    let mut new = second();
    new.uki = third().uki;
    let manifest = new.publish(dir.path());
    let source = Directory::open(dir.path()).unwrap();
    let error = machine.install(&manifest, &source).unwrap_err();
    assert!(
        error.to_string().contains("does not start the root"),
        "{error:#}"
    );
}

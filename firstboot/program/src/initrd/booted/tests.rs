#![allow(clippy::unwrap_used)]
use super::{Candidate, Choice, Firmware, Identity, merged};
use crate::initrd::hardware::RootPartitions;
use crate::media::Fit::{self, Near, Other, Same, Unknown};

/// Of the image, and of two nodes.
const IMAGE: &str = "5a5a0000-0000-8000-8000-000000000001";
const OWN: &str = "11111111-1111-4111-8111-111111111111";
const ANOTHER: &str = "22222222-2222-4222-8222-222222222222";

fn disk(name: &str, esp: &str, fit: Option<Fit>) -> Candidate {
    Candidate {
        partitions: RootPartitions {
            data: format!("/dev/{name}3").into(),
            hashes: format!("/dev/{name}2").into(),
            disk: name.to_owned(),
        },
        esps: vec![esp.to_owned()],
        fit,
        identity: Identity::default(),
    }
}

fn firmware(loader: Option<&str>) -> Firmware {
    Firmware {
        loader: loader.map(str::to_owned),
        ..Firmware::default()
    }
}

/// The name of the disk that is taken, "open" or "refused".
fn verdict(loader: Option<&str>, disks: &[Candidate], is_settled: bool) -> String {
    match firmware(loader).choose(disks, is_settled, |_| false) {
        Choice::Taken(found) => found.disk,
        Choice::Open(_) => "open".to_owned(),
        Choice::Refused(_) => "refused".to_owned(),
    }
}

/// The loader's GUID, each disk's ESP and how it fits the path, the verdict at once and
/// after all hardware is there.
type Row<'a> = (
    Option<&'a str>,
    &'a [(&'a str, Option<Fit>)],
    &'a str,
    &'a str,
);

const ROWS: &[Row<'_>] = &[
    // Alone.
    (None, &[(IMAGE, None)], "open", "sda"),
    (Some(IMAGE), &[(IMAGE, None)], "open", "sda"),
    (Some(IMAGE), &[(IMAGE, Some(Same))], "sda", "sda"),
    (Some(IMAGE), &[(IMAGE, Some(Unknown))], "open", "sda"),
    (Some(IMAGE), &[(IMAGE, Some(Near))], "open", "sda"),
    (Some(OWN), &[(OWN, None)], "sda", "sda"),
    (Some(OWN), &[(OWN, Some(Same))], "sda", "sda"),
    (Some(OWN), &[(OWN, Some(Other))], "open", "sda"),
    // Alone, and not the one: the one that was booted is slow, or has no driver.
    (Some(OWN), &[(IMAGE, None)], "open", "open"),
    (Some(OWN), &[(ANOTHER, Some(Same))], "open", "open"),
    (Some(IMAGE), &[(IMAGE, Some(Other))], "open", "open"),
    (None, &[(IMAGE, Some(Other))], "open", "open"),
    // Twins before their first boot: the path decides, or nothing does.
    (
        Some(IMAGE),
        &[(IMAGE, None), (IMAGE, None)],
        "open",
        "refused",
    ),
    (None, &[(IMAGE, None), (IMAGE, None)], "open", "refused"),
    (
        Some(IMAGE),
        &[(IMAGE, Some(Other)), (IMAGE, Some(Same))],
        "sdb",
        "sdb",
    ),
    (
        Some(IMAGE),
        &[(IMAGE, Some(Same)), (IMAGE, Some(Other))],
        "sda",
        "sda",
    ),
    (
        None,
        &[(IMAGE, Some(Other)), (IMAGE, Some(Same))],
        "sdb",
        "sdb",
    ),
    (
        Some(IMAGE),
        &[(IMAGE, Some(Near)), (IMAGE, Some(Other))],
        "open",
        "sda",
    ),
    (
        Some(IMAGE),
        &[(IMAGE, Some(Near)), (IMAGE, Some(Near))],
        "open",
        "refused",
    ),
    (
        Some(IMAGE),
        &[(IMAGE, Some(Near)), (IMAGE, Some(Unknown))],
        "open",
        "refused",
    ),
    (
        Some(IMAGE),
        &[(IMAGE, Some(Unknown)), (IMAGE, Some(Other))],
        "open",
        "refused",
    ),
    (
        Some(IMAGE),
        &[(IMAGE, Some(Other)), (IMAGE, Some(Other))],
        "open",
        "refused",
    ),
    // A node and a copy of the image: whichever the loader came from.
    (Some(OWN), &[(IMAGE, None), (OWN, None)], "sdb", "sdb"),
    (
        Some(OWN),
        &[(IMAGE, Some(Unknown)), (OWN, Some(Unknown))],
        "sdb",
        "sdb",
    ),
    (Some(IMAGE), &[(IMAGE, None), (OWN, None)], "open", "sda"),
    (Some(OWN), &[(ANOTHER, None), (OWN, None)], "sdb", "sdb"),
    // A copy of the node's disk, or one with its GUID: only the path decides.
    (Some(OWN), &[(OWN, None), (OWN, None)], "open", "refused"),
    (
        Some(OWN),
        &[(OWN, Some(Other)), (OWN, Some(Same))],
        "sdb",
        "sdb",
    ),
    (
        Some(OWN),
        &[(OWN, Some(Unknown)), (OWN, Some(Unknown))],
        "open",
        "refused",
    ),
    // Firmware and loader contradict each other.
    (
        Some(IMAGE),
        &[(IMAGE, Some(Other)), (OWN, Some(Same))],
        "open",
        "refused",
    ),
    (
        Some(OWN),
        &[(IMAGE, Some(Same)), (OWN, Some(Other))],
        "open",
        "sdb",
    ),
    // The loader's disk is not there.
    (
        Some(ANOTHER),
        &[(IMAGE, Some(Same)), (OWN, None)],
        "open",
        "refused",
    ),
];

#[test]
fn the_disk_that_was_booted() {
    for (loader, disks, at_once, settled) in ROWS {
        let names = ["sda", "sdb"];
        let disks = disks.iter().zip(names);
        let disks: Vec<_> = disks
            .map(|((esp, fit), name)| disk(name, esp, *fit))
            .collect();
        assert_eq!(
            verdict(*loader, &disks, false),
            *at_once,
            "at once: {loader:?} {disks:?}"
        );
        assert_eq!(
            verdict(*loader, &disks, true),
            *settled,
            "settled: {loader:?} {disks:?}"
        );
    }
}

#[test]
fn a_loader_on_a_disk_without_the_root() {
    let disks = [disk("sda", IMAGE, None)];
    let choice = firmware(Some(ANOTHER)).choose(&disks, true, |guid| guid == ANOTHER);
    assert_eq!(choice, disks[0].taken());
}

#[test]
fn a_refusal_names_the_disks_and_a_person_may_choose() {
    let mut disks = [disk("sda", IMAGE, None), disk("vdb", IMAGE, None)];
    disks[1].identity.names = vec!["twin".to_owned()];
    let Choice::Refused(reason) = firmware(Some(IMAGE)).choose(&disks, true, |_| false) else {
        panic!("taken");
    };
    for part in [
        "/dev/sda and /dev/vdb (twin) carry the same root",
        "Detach",
        "nodeimg.disk=",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    for (name, expected) in [
        ("sda", Some(0)),
        ("twin", Some(1)),
        ("vdb", Some(1)),
        ("vdc", None),
    ] {
        let firmware = Firmware {
            named: Some(name.to_owned()),
            ..firmware(Some(IMAGE))
        };
        match (firmware.choose(&disks, true, |_| false), expected) {
            (Choice::Open(reason), None) => assert!(reason.contains(name), "{reason}"),
            (choice, expected) => assert_eq!(choice, disks[expected.unwrap()].taken()),
        }
    }
}

#[test]
fn two_paths_to_one_disk_are_one_disk() {
    let at = |name: &str, identity: &str, size: u64, is_usb: bool, fit| {
        let mut disk = disk(name, IMAGE, Some(fit));
        disk.identity = Identity {
            names: identity
                .split(' ')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            size,
            is_usb,
        };
        disk
    };
    let wwn = "naa.5000c500a1b2c3d4";
    let rows = [
        (
            at("sda", wwn, 9, false, Other),
            at("sdb", wwn, 9, false, Same),
            1,
        ),
        (
            at("vda", "serial", 9, false, Other),
            at("vdb", "x serial", 9, false, Same),
            1,
        ),
        (
            at("sda", wwn, 9, false, Other),
            at("sdb", wwn, 8, false, Same),
            2,
        ),
        (
            at("sda", wwn, 9, false, Other),
            at("sdb", "naa.2", 9, false, Same),
            2,
        ),
        (
            at("sda", "", 9, false, Other),
            at("sdb", "", 9, false, Same),
            2,
        ),
        (
            at("sda", wwn, 9, true, Other),
            at("sdb", wwn, 9, true, Same),
            2,
        ),
    ];
    for (first, second, count) in rows {
        let found = merged(vec![first.clone(), second]);
        assert_eq!(found.len(), count, "{first:?}");
        if count == 1 {
            assert_eq!(
                (found[0].fit, &found[0].partitions),
                (Some(Same), &first.partitions)
            );
            assert_eq!(verdict(Some(IMAGE), &found, false), first.partitions.disk);
        }
    }
}

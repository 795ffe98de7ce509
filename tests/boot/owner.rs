//! A container host that is set up, and volumes with the label of a seed that are not its
//! own: a tenant's raw block volume, a disk in the place of the seed that was removed.
//! Nobody but its operator makes another node of it, and it stays up.
//!
//! ```text
//!  before, own, after   virtio disks in this order of slots; owner.rs copies media onto them
//!  library              read-only, media at multiples of their size, the first place empty
//! ```
//!
//! Two boots: the first sets the node up and has all of that attached while it is running, the
//! second finds it attached. With `NODEIMG_TEST_FULL` there are three more, on other machines.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{directory, image};
use nodeimg_test_support::guest::{Facts, Guest};
use nodeimg_test_support::judge;
use nodeimg_test_support::media::{Form, Kind, SIZE, Seed};

const SCRIPT: &str = include_str!("media.sh");

/// SMBIOS UUIDs of machines.
const MACHINE: &str = "11111111-2222-4333-8444-555555555555";
const CLONE: &str = "aaaaaaaa-2222-4333-8444-555555555555";
const OTHER: &str = "bbbbbbbb-2222-4333-8444-555555555555";

/// Places in the library.
const NONE: usize = 0;
const FOREIGN: usize = 1;
const TENANT: usize = 2;
const OWN: usize = 3;
const NEXT: usize = 4;

/// What is behind media.sh.
const ABOUT: &str = r#"
disks=/dev/disk/by-id
at() { slot=$disks/virtio-$1; insert "$2"; }
machine_is() { echo "$1" >/run/uuid; mount --bind /run/uuid /sys/class/dmi/id/product_uuid; }
# look NAME: first boot has run, once more or in this boot.
look() {
    fact "name-$1" cat /proc/sys/kernel/hostname
    fact "taken-$1" sh -c 'ls /run/taken 2>/dev/null'
    fact "mounted-$1" sh -c "dmesg | grep -cE 'EXT4-fs \(vd[b-e]\)'"
}
fact uuid cat /sys/class/dmi/id/product_uuid
"#;

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn nobody_else_takes_a_node() {
    let Some(image) = image("amd64") else { return };
    let directory = directory("owner");
    let Some(library) = library(&directory) else {
        return;
    };
    for (name, place) in [("before", NONE), ("own", OWN), ("after", NONE)] {
        let disk = File::create(directory.join(name)).unwrap();
        disk.write_all_at(&medium_at(&library, place), 0).unwrap();
    }
    let machine = |name: &str, uuid: &str| {
        let mut guest = Guest::new(&format!("owner-{name}"), &image)
            .keep(&directory.join("keep"))
            .qemu(&["-uuid", uuid]);
        for disk in ["before", "own", "after"] {
            guest = guest.disk(&directory.join(disk), disk, true);
        }
        guest
            .disk(&library, "library", false)
            .script(SCRIPT)
            .script(ABOUT)
    };
    let full = judge::is_full("clones of a node");
    let boots = if full { 5 } else { 2 };
    let Some(hot) = machine("hot", MACHINE)
        .script(&while_up())
        .left(boots)
        .facts()
    else {
        return;
    };
    expect_applied(&hot, "first-boot", "i-own");
    hot.expect("uuid", MACHINE);
    for (name, others) in [
        ("hot", ["/dev/vdb", "/dev/vdd"].as_slice()),
        ("place", &["/dev/vdb", "/dev/vdc", "/dev/vdd"]),
    ] {
        expect_refused(&hot, name, "i-own", others);
    }

    let cold = machine("cold", MACHINE).script(&after_a_reboot());
    let cold = cold.left(boots - 1).facts().unwrap();
    expect_unchanged(&cold, "first-boot", "i-own", &["/dev/vdb", "/dev/vdd"]);
    cold.expect("state", "running");
    expect_refused(&cold, "cold", "i-own", &[]);
    expect_refused(&cold, "alone", "i-own", &["/dev/vdd"]);
    // By the operator's word, once.
    expect_applied(&cold, "verdict-word", "i-tenant");
    expect_refused(&cold, "once", "i-tenant", &["/dev/vdd"]);
    // A copy of the disk without a seed remains what it was, and says so.
    expect_unchanged(&cold, "verdict-copy", "i-tenant", &[]);
    cold.expect_parts("verdict-copy", &["was set up on another machine", CLONE]);
    expect_applied(&cold, "verdict-clone", "i-next");
    cold.expect("name-clone", "next");
    if full {
        other_machines(&machine);
    }
    fs::remove_dir_all(directory).unwrap();
}

fn while_up() -> String {
    format!(
        "at before {FOREIGN}\nat after {FOREIGN}\nagain hot\nlook hot\n\
         at own {TENANT}\nagain place\nlook place\n\
         at own {OWN}\n"
    )
}

fn after_a_reboot() -> String {
    format!(
        "look cold\n\
         at before {NONE}\nat own {NONE}\nagain alone\nlook alone\n\
         at after {NONE}\nat own {TENANT}\ntry word\n\
         at own {NONE}\nat after {FOREIGN}\nagain once\nlook once\n\
         at after {NONE}\nmachine_is {CLONE}\nagain copy\n\
         at after {NEXT}\nagain clone\nlook clone\n\
         at after {NONE}\n"
    )
}

/// The disk in machines that are really others.
fn other_machines(machine: &dyn Fn(&str, &str) -> Guest) {
    let script = format!("at own {OWN}\n");
    let without = machine("clone-without", OTHER)
        .script(&script)
        .left(3)
        .facts()
        .unwrap();
    without.expect("uuid", OTHER);
    expect_unchanged(&without, "first-boot", "i-next", &[]);
    without.expect_parts("first-boot", &["was set up on another machine", OTHER]);

    let script = format!("look clone\nat own {NONE}\nat before {FOREIGN}\n");
    let with = machine("clone-with", OTHER)
        .script(&script)
        .left(2)
        .facts()
        .unwrap();
    expect_applied(&with, "first-boot", "i-own");

    let word = machine("word", OTHER).words("nodeimg.reprovision=1");
    let word = word.script("look word\n").facts().unwrap();
    expect_applied(&word, "first-boot", "i-foreign");
    word.expect("taken-word", "/run/taken");
}

/// Media, each at its number. None of them has the volume id of another one.
fn library(directory: &Path) -> Option<PathBuf> {
    let path = directory.join("library.img");
    let file = File::create(&path).unwrap();
    file.set_len((NEXT as u64 + 1) * SIZE).unwrap();
    for (place, name, kind) in [
        (FOREIGN, "foreign", Kind::Ext4),
        (TENANT, "tenant", Kind::Vfat),
        (OWN, "own", Kind::Vfat),
        (NEXT, "next", Kind::Iso9660),
    ] {
        let label = if matches!(kind, Kind::Vfat) {
            "CIDATA"
        } else {
            "cidata"
        };
        let text = format!("#cloud-config\nhostname: {name}\nbootcmd:\n- [touch, /run/taken]\n");
        let text = match name {
            "foreign" => text,
            _ => text.replace("bootcmd:\n- [touch, /run/taken]\n", ""),
        };
        let seed = Seed::no_cloud(&format!("i-{name}"), &text);
        let medium = Form::of(kind, label).make(&seed, &directory.join(format!("{name}.img")))?;
        let bytes = fs::read(medium).unwrap();
        file.write_all_at(&bytes, place as u64 * SIZE).unwrap();
    }
    Some(path)
}

fn medium_at(library: &Path, place: usize) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
    let file = File::open(library).unwrap();
    file.read_exact_at(&mut bytes, place as u64 * SIZE).unwrap();
    bytes
}

#[track_caller]
fn expect_applied(facts: &Facts, name: &str, instance: &str) {
    let instance = format!(r#""instance_id": "{instance}""#);
    facts.expect_parts(name, &[r#""outcome": "applied""#, &instance]);
}

/// The node is what it was, and the warnings name these volumes.
#[track_caller]
fn expect_unchanged(facts: &Facts, name: &str, instance: &str, others: &[&str]) {
    let instance = format!(r#""instance_id": "{instance}""#);
    facts.expect_parts(name, &[r#""outcome": "unchanged""#, &instance]);
    let said = &facts[name];
    assert!(!said.contains(r#""severity": "error""#), "{said}");
    for other in others {
        let place = format!(r#""file": "{other}""#);
        facts.expect_parts(name, &[&place, "so it is not read"]);
    }
}

/// Nothing of a foreign volume has had an effect: it has not even been mounted.
#[track_caller]
fn expect_refused(facts: &Facts, name: &str, instance: &str, others: &[&str]) {
    if !others.is_empty() {
        facts.expect(&format!("restart-{name}"), "");
        // Set up, with warnings.
        facts.expect(&format!("exit-{name}"), "3");
        expect_unchanged(facts, &format!("verdict-{name}"), instance, others);
    }
    facts.expect(&format!("name-{name}"), instance.trim_start_matches("i-"));
    facts.expect(&format!("taken-{name}"), "");
    facts.expect(&format!("mounted-{name}"), "0");
}

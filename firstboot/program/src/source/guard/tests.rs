#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs;
use std::path::Path;

use nodeimg_seed::contract::overwritten;
use nodeimg_seed::contract::settings::{MetadataService, Reprovision};
use nodeimg_seed::contract::stamp::{MediumId, Origin, Stamp, TakenSeed};
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::volume::{FileSystem, Kind, Volume};

use super::{Guard, NOTE};
use crate::media::{Content, Device, Medium, System};
use crate::root::Root;
use crate::source::{Home, Sought};

const MINE: &str = "4c4c4544-0001";

/// A machine with this identifier, command line and credential, and a root.
struct Place(tempfile::TempDir);

impl Place {
    fn new(machine: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("sys/class/dmi/id/product_uuid", machine);
        place
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn root(&self) -> Root {
        Root::open(self.0.path()).unwrap()
    }

    fn guard(&self, rule: Reprovision, stamp: Option<&Stamp>) -> Guard {
        let at = |name: &str| self.0.path().join(name);
        let system = System {
            sys: at("sys"),
            proc: at("proc"),
            run: at("run"),
            ..System::default()
        };
        Guard::of(&self.root(), Some(&system), rule, stamp)
    }
}

fn id(serial: &str, uuid: &str) -> MediumId {
    MediumId {
        serial: Some(serial.to_owned()),
        bus: Some("pci0000:00/0000:00:05.0".to_owned()),
        uuid: Some(uuid.to_owned()),
        ..MediumId::default()
    }
}

fn of_a_medium() -> Origin {
    Origin {
        machine: Some(MINE.to_owned()),
        medium: Some(id("seed-1", "AAAA-0001")),
        ..Origin::default()
    }
}

fn stamp(origin: Option<Origin>) -> Stamp {
    Stamp {
        version: 1,
        instance_id: "i-mine".to_owned(),
        host_name: "mine".to_owned(),
        plan_digest: String::new(),
        files: Vec::new(),
        extra_files: Vec::new(),
        seed: Some(TakenSeed {
            digest: seed("i-mine", "#cloud-config\n").digest(),
            secret: false,
            origin,
        }),
        ..Stamp::default()
    }
}

fn volume() -> Medium {
    let device = Device {
        name: "vdb".to_owned(),
        path: "/dev/vdb".into(),
        number: "254:16".to_owned(),
        size: 100,
        partition: None,
        read_only: false,
        disk: None,
    };
    let content = Content::Volume(Volume {
        kind: Kind::Seed(FileSystem::Ext),
        labels: vec!["cidata".to_owned()],
        uuid: None,
    });
    Medium { device, content }
}

fn seed(instance: &str, user_data: &str) -> Seed {
    let meta = SeedFile::new("meta-data", format!("instance-id: {instance}\n"));
    Seed {
        user_data: Some(SeedFile::new("user-data", user_data.to_owned())),
        ..Seed::new(Layout::NoCloud, meta)
    }
}

fn warnings(guard: &Guard, unchanged: bool) -> String {
    let mut problems = Problems::new();
    guard.tell(unchanged, &mut problems);
    assert!(!problems.has_errors());
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn of_volumes_only_the_very_one() {
    let place = Place::new(MINE);
    let from_disk = Origin {
        machine: Some(MINE.to_owned()),
        ..Origin::default()
    };
    for (origin, now, expected) in [
        (Some(of_a_medium()), id("seed-1", "AAAA-0001"), None),
        // In its place, with another file system; and a copy of it on another disk.
        (
            Some(of_a_medium()),
            id("seed-1", "BBBB-0002"),
            Some("is not the volume that this node was set up from"),
        ),
        (
            Some(of_a_medium()),
            id("pvc-1", "AAAA-0001"),
            Some("is not the volume that this node was set up from"),
        ),
        (
            Some(from_disk),
            id("seed-1", "AAAA-0001"),
            Some("this node's own seed did not come on one"),
        ),
        (None, id("seed-1", "AAAA-0001"), Some("was not recorded")),
    ] {
        let guard = place.guard(Reprovision::SameSource, Some(&stamp(origin)));
        assert_eq!(guard.bars_medium(&volume(), &now), expected.is_some());
        let told = warnings(&guard, true);
        let Some(expected) = expected else {
            assert_eq!(told, "");
            continue;
        };
        for part in [
            "/dev/vdb: ",
            expected,
            "ext4, label `cidata`, UUID ",
            "`nodeimg-firstboot reprovision`",
            "nodeimg.reprovision=1",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }
    // What is not set up refuses nothing.
    let guard = place.guard(Reprovision::Never, None);
    assert!(!guard.is_on() && !guard.bars_medium(&volume(), &id("x", "y")));
}

#[test]
fn of_servers_only_the_same_one() {
    use MetadataService::{Ec2, Openstack};
    let place = Place::new(MINE);
    let origin = |url: &str, service| Origin {
        machine: Some(MINE.to_owned()),
        url: Some(url.to_owned()),
        service,
        ..Origin::default()
    };
    let (one, link_local) = ("http://10.0.0.1/seed/", "http://169.254.169.254/");
    for (origin, address, service, barred) in [
        (origin(one, None), one, None, false),
        (origin(one, None), "http://10.0.0.2/seed/", None, true),
        (origin(one, None), link_local, Some(Ec2), true),
        (origin(link_local, Some(Ec2)), link_local, Some(Ec2), false),
        (
            origin(link_local, Some(Ec2)),
            link_local,
            Some(Openstack),
            true,
        ),
        (origin(link_local, Some(Ec2)), link_local, None, true),
        (of_a_medium(), one, None, true),
        (of_a_medium(), link_local, Some(Ec2), true),
    ] {
        let guard = place.guard(Reprovision::SameSource, Some(&stamp(Some(origin))));
        assert_eq!(guard.bars_address(address, service), barred, "{address}");
        let told = warnings(&guard, true);
        assert_eq!(
            told.contains("is not where this node's own seed came from"),
            barred
        );
        assert_eq!(told.contains(address), barred, "{told}");
    }
}

/// The operator's word, in each of its forms, whatever the recipe says.
#[test]
fn the_operators_word() {
    for (path, text, expected) in [
        ("proc/cmdline", "ro nodeimg.reprovision=1 quiet\n", true),
        ("proc/cmdline", "ro nodeimg.reprovision\n", true),
        ("proc/cmdline", "nodeimg.reprovision=yes", true),
        ("proc/cmdline", "nodeimg.reprovision=0", false),
        (
            "proc/cmdline",
            "nodeimg.reprovision=1 nodeimg.reprovision=0",
            false,
        ),
        (
            "proc/cmdline",
            "nodeimg.reprovisioned=1 x=nodeimg.reprovision=1",
            false,
        ),
        ("run/credentials/@system/nodeimg.reprovision", "1\n", true),
        ("run/credentials/@system/nodeimg.reprovision", "no", false),
        (&NOTE[1..], "i-mine\n", true),
        ("etc/hostname", "n", false),
    ] {
        let place = Place::new(MINE);
        place.write(path, text);
        for rule in [Reprovision::SameSource, Reprovision::Never] {
            let guard = place.guard(rule, Some(&stamp(Some(of_a_medium()))));
            assert_eq!(!guard.is_on(), expected, "{path}: {text}");
        }
    }
}

#[test]
fn the_note_counts_once() {
    let place = Place::new(MINE);
    place.write(&NOTE[1..], "i-mine\n");
    let mut problems = Problems::new();
    let stamp = stamp(Some(of_a_medium()));
    let guard = place.guard(Reprovision::SameSource, Some(&stamp));
    assert!(guard.renews(&stamp, &seed("i-mine", "#cloud-config\n")));
    guard.spend(&place.root(), &mut problems);
    assert_eq!(problems, Problems::new());
    let guard = place.guard(Reprovision::SameSource, Some(&stamp));
    assert!(guard.is_on() && !guard.renews(&stamp, &seed("i-mine", "#cloud-config\n")));
}

/// A word of the command line stays: it must not apply one seed at every boot.
#[test]
fn the_same_instance_is_renewed_if_its_seed_has_changed() {
    let place = Place::new(MINE);
    place.write("proc/cmdline", "nodeimg.reprovision=1");
    let stamp = stamp(Some(of_a_medium()));
    let guard = place.guard(Reprovision::SameSource, Some(&stamp));
    for (user_data, expected) in [
        ("#cloud-config\n".to_owned(), false),
        ("#cloud-config\n# new keys\n".to_owned(), true),
        (overwritten::mark("i-mine"), false),
    ] {
        assert_eq!(
            guard.renews(&stamp, &seed("i-mine", &user_data)),
            expected,
            "{user_data}"
        );
    }
}

#[test]
fn another_machine_takes_any_seed_and_says_so() {
    for (machine, rule, on, told) in [
        (MINE, Reprovision::SameSource, true, false),
        ("4C4C4544-0001\n", Reprovision::SameSource, true, false),
        ("4c4c4544-0002", Reprovision::SameSource, false, true),
        ("4c4c4544-0002", Reprovision::Never, true, false),
        ("4c4c4544-0002", Reprovision::Any, false, false),
        (MINE, Reprovision::Any, false, false),
        // A machine without an identifier cannot be told from another one.
        (
            "00000000-0000-0000-0000-000000000000",
            Reprovision::SameSource,
            true,
            false,
        ),
    ] {
        let place = Place::new(machine);
        let guard = place.guard(rule, Some(&stamp(Some(of_a_medium()))));
        assert_eq!(guard.is_on(), on, "{machine} {rule:?}");
        let said = warnings(&guard, true);
        assert_eq!(
            said.contains("was set up on another machine"),
            told,
            "{said}"
        );
        assert_eq!(warnings(&guard, false), "");
    }
}

#[test]
fn never_takes_a_new_instance() {
    let place = Place::new(MINE);
    let sought = |instance: &str| Sought {
        place: "NoCloud in /var/lib/nodeimg/seed (state directory)".to_owned(),
        seed: seed(instance, "#cloud-config\n"),
        home: Home::Elsewhere,
        origin: Origin::default(),
    };
    for (rule, instance, expected) in [
        (Reprovision::Never, "i-other", true),
        (Reprovision::Never, "i-mine", false),
        (Reprovision::SameSource, "i-other", false),
        (Reprovision::Any, "i-other", false),
    ] {
        let guard = place.guard(rule, Some(&stamp(Some(of_a_medium()))));
        assert_eq!(
            guard.bars(&sought(instance)),
            expected,
            "{rule:?} {instance}"
        );
        assert_eq!(
            warnings(&guard, true).contains("first_boot.reprovision"),
            expected
        );
    }
    assert!(Path::new(NOTE).is_absolute());
}

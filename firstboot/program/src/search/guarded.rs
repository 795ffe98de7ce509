//! What a node that is set up makes of volumes that are not its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs;
use std::path::Path;

use nodeimg_seed::contract::report::{Outcome, Report};
use nodeimg_seed::contract::settings::Reprovision;
use nodeimg_seed::contract::stamp::{Origin, Stamp, TakenSeed};
use nodeimg_seed::text::problem::Problems;

use super::tests::{AT_ONCE, DRIVE, Loop, NO_CLOUD, stamp_of, system, volume};
use super::{Seek, seek};
use crate::media::{self, System};
use crate::root::Root;
use crate::source::Guard;

/// The stamp of a node that was set up from the seed on a device, as it is now.
fn stamp_from(system: &System, device: &Loop) -> Stamp {
    let found = media::at(system, Path::new(&device.path)).unwrap();
    let origin = Origin {
        medium: Some(media::identity::medium(system, &found)),
        ..Origin::default()
    };
    let mut stamp = stamp_of("instance-id: i\n");
    stamp.seed = stamp.seed.map(|seed| TakenSeed {
        origin: Some(origin),
        ..seed
    });
    stamp
}

/// What a node that was set up from `own` finds on these devices: the place, warnings.
fn guarded(own: &Loop, devices: &[&Loop], rule: Reprovision, note: bool) -> (String, String) {
    let root = tempfile::tempdir().unwrap();
    let opened = Root::open(root.path()).unwrap();
    if note {
        let path = root.path().join("var/lib/nodeimg/reprovision");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "i\n").unwrap();
    }
    let system = system(&opened, devices);
    let stamp = stamp_from(&System::default(), own);
    let guard = Guard::of(&opened, Some(&system), rule, Some(&stamp));
    let mut report = Report::new(Outcome::Failed);
    let mut problems = Problems::new();
    let asked = Seek {
        root: &opened,
        seed: None,
        finished: true,
        wait: AT_ONCE,
        system: Some(&system),
        metadata: &[],
        guard: &guard,
        early: false,
    };
    let found = seek(&asked, &mut report, &mut problems);
    guard.tell(true, &mut problems);
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let place = found.map_or("nothing".to_owned(), |sought| sought.place);
    (place, said.join("\n"))
}

/// Somebody else's volume beside the node's own, before and behind it, or alone. It cannot even
/// be mounted: a node that tried would say so.
#[test]
fn a_foreign_volume_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let place = directory.path().join(name);
        fs::create_dir(&place).unwrap();
        place
    };
    let foreign_image = volume(&place("foreign"), "cidata", NO_CLOUD);
    let mut bytes = fs::read(&foreign_image).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(&foreign_image, bytes).unwrap();
    let Some(before) = Loop::attach(&foreign_image) else {
        return;
    };
    let own = Loop::attach(&volume(&place("own"), "cidata", NO_CLOUD)).unwrap();
    let behind = Loop::attach(&foreign_image).unwrap();
    let drive = Loop::attach(&volume(&place("drive"), "config-2", DRIVE)).unwrap();
    let mine = format!("NoCloud in {} (NoCloud volume)", own.path);
    let same = Reprovision::SameSource;
    for (devices, place, foreign) in [
        (vec![&own], mine.as_str(), None),
        (vec![&before, &own], &mine, Some(&before)),
        (vec![&own, &behind], &mine, Some(&behind)),
        (vec![&before], "nothing", Some(&before)),
        (vec![&drive], "nothing", Some(&drive)),
    ] {
        let (found, said) = guarded(&own, &devices, same, false);
        assert_eq!(found, place, "{said}");
        match foreign {
            Some(foreign) => {
                let expected = format!("{}: is not the volume that this node", foreign.path);
                assert!(said.starts_with(&expected), "{said}");
                assert_eq!(said.lines().count(), 1, "{said}");
            }
            None => assert_eq!(said, ""),
        }
    }
    // As before, if the recipe or the operator says so: then there are two.
    for (rule, note) in [(Reprovision::Any, false), (same, true)] {
        let (found, said) = guarded(&own, &[&before, &own], rule, note);
        assert_eq!(found, "nothing");
        assert!(said.contains("cannot tell which one is meant"), "{said}");
        let (found, _) = guarded(&own, &[&drive], rule, note);
        assert!(found.starts_with("config drive in "), "{found}");
    }
}

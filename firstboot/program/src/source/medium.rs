//! A volume with a label: a disk, partition or disc that a hypervisor or a person made
//! for this node.
//!
//! The two labels of each kind are those of cloud-init. The volume's content decides
//! how it is read, not its label.
//!
//! On a node that is set up, a volume that is not the node's own is not even mounted: what
//! it is shows in its first blocks, and its file system may be an attacker's.
use nodeimg_seed::contract::stamp::Origin;
use nodeimg_seed::text::problem::{Place, Problems};
use nodeimg_seed::volume::FileSystem;

use super::{Found, Home, Search, directory};
use crate::media::{self, Medium};

pub(super) const NO_CLOUD: [&str; 2] = ["cidata", "CIDATA"];
pub(super) const CONFIG_DRIVE: [&str; 2] = ["config-2", "CONFIG-2"];

pub(super) fn no_cloud(search: &Search<'_>) -> Found {
    labelled(search, NO_CLOUD)
}

pub(super) fn config_drive(search: &Search<'_>) -> Found {
    labelled(search, CONFIG_DRIVE)
}

fn labelled(search: &Search<'_>, wanted: [&str; 2]) -> Found {
    let Some(system) = search.system else {
        return Found::Absent(Vec::new());
    };
    let mut fitting = search.media.iter().filter_map(|medium| {
        let kind = medium.file_system()?;
        let fits = |label: &String| wanted.contains(&label.as_str());
        let labelled = medium.labels().iter().any(fits);
        let id = labelled.then(|| media::identity::medium(system, medium))?;
        (!search.guard.bars_medium(medium, &id)).then_some((medium, kind, id))
    });
    let Some((medium, kind, id)) = fitting.next() else {
        return Found::Absent(Vec::new());
    };
    // Two ways to one disk are one disk.
    let others: Vec<String> = fitting
        .filter(|(_, _, other)| !id.is(other))
        .map(|(other, ..)| other.device.path.display().to_string())
        .collect();
    if !others.is_empty() {
        let mut problems = Problems::new();
        let reason = format!(
            "has the label `{}`, and so has {}: first boot cannot tell which one is meant",
            wanted[0],
            others.join(", ")
        );
        let place = medium.device.path.display().to_string();
        problems.error(&Place::file(&place), reason, "remove all but one of them");
        return Found::Broken { place, problems };
    }
    match read(medium, kind, "/", true) {
        Found::Seed(mut sought) => {
            sought.origin = Origin {
                medium: Some(id),
                ..Origin::default()
            };
            Found::Seed(sought)
        }
        found => found,
    }
}

/// The seed in a directory of a volume. If the volume is `meant` for a seed, having
/// none is an error.
pub(super) fn read(medium: &Medium, kind: FileSystem, base: &str, meant: bool) -> Found {
    let place = medium.device.path.display().to_string();
    let broken = |reason: String, remedy: &str| {
        let mut problems = Problems::new();
        problems.error(&Place::file(&place), reason, remedy);
        Found::Broken {
            place: place.clone(),
            problems,
        }
    };
    let root = match media::open(&medium.device, kind) {
        Ok(root) => root,
        Err(error) if meant => {
            return broken(
                format!("cannot be mounted as {kind}: {error}"),
                "recreate the volume as vfat or iso9660; the image needs that file system's \
                 kernel module",
            );
        }
        Err(error) => {
            return Found::Absent(vec![format!("{place}: cannot be mounted: {error}")]);
        }
    };
    if !meant && !root.exists(base) {
        return Found::Absent(vec![format!("{}: is not there", root.shown(base))]);
    }
    match directory::read(&root, base) {
        Found::Absent(seen) => {
            let reason = seen
                .iter()
                .map(|line| line.strip_prefix(&format!("{place}: ")).unwrap_or(line))
                .collect::<Vec<_>>()
                .join("; ");
            broken(
                reason,
                "put `meta-data` and `user-data`, or `openstack/latest/meta_data.json`, there",
            )
        }
        Found::Seed(mut sought) => {
            sought.home = Home::Volume {
                device: medium.device.clone(),
                kind,
                base: base.to_owned(),
            };
            Found::Seed(sought)
        }
        found => found,
    }
}

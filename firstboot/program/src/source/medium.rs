//! A volume with a label: a disk, partition or disc that a hypervisor or a person made
//! for this node.
//!
//! The two labels of each kind are those of cloud-init. The volume's content decides
//! how it is read, not its label.
use nodeimg_seed::text::problem::{Place, Problems};
use nodeimg_seed::volume::FileSystem;

use super::{Found, Home, Search, directory};
use crate::media::{self, Medium};

pub(super) const NO_CLOUD: [&str; 2] = ["cidata", "CIDATA"];
pub(super) const CONFIG_DRIVE: [&str; 2] = ["config-2", "CONFIG-2"];

pub(super) fn no_cloud(search: &Search<'_>) -> Found {
    labelled(search.media, NO_CLOUD)
}

pub(super) fn config_drive(search: &Search<'_>) -> Found {
    labelled(search.media, CONFIG_DRIVE)
}

fn labelled(media: &[Medium], wanted: [&str; 2]) -> Found {
    let mut fitting = media.iter().filter_map(|medium| {
        let kind = medium.file_system()?;
        let fits = |label: &String| wanted.contains(&label.as_str());
        medium.labels().iter().any(fits).then_some((medium, kind))
    });
    let Some((medium, kind)) = fitting.next() else {
        return Found::Absent(Vec::new());
    };
    let others: Vec<String> = fitting
        .map(|(other, _)| other.device.path.display().to_string())
        .collect();
    if others.is_empty() {
        return read(medium, kind, "/", true);
    }
    let mut problems = Problems::new();
    let reason = format!(
        "has the label `{}`, and so has {}: first boot cannot tell which one is meant",
        wanted[0],
        others.join(", ")
    );
    let place = medium.device.path.display().to_string();
    problems.error(&Place::file(&place), reason, "remove all but one of them");
    Found::Broken { place, problems }
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

//! The boot entries on the EFI System Partition that the machine was booted from.
//!
//! # Invariants
//! - A name changes by one rename within the directory, and is on the disk before the next
//!   step: at any power cut the entry has one of both names.
//! - Nothing is overwritten: a namesake stays.
use std::time::Duration;

use nodeimg_seed::volume::FileSystem;

use crate::media::{self, Device, Entry, System};
use crate::root::Root;
use crate::root::gate::Open;
use crate::run::versions::Image;

const DIRECTORY: &str = "/EFI/Linux";
const TRIES: u32 = 15;
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Entries(Root);

impl Entries {
    /// For looking, also while first boot looks for a seed there.
    pub(super) fn read(system: &System) -> Result<Self, String> {
        open(system, media::open)
    }

    /// For renaming; only for a moment, since nobody else can look meanwhile.
    pub(super) fn write(system: &System) -> Result<Self, String> {
        let mut tries = 0;
        loop {
            match open(system, media::open_writable) {
                // Somebody is looking, or the disk is not named yet.
                Err(_) if tries < TRIES => tries += 1,
                opened => return opened,
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn all(&self) -> std::io::Result<Vec<Entry>> {
        let names = self.0.list(DIRECTORY)?;
        Ok(names
            .iter()
            .filter_map(|(name, _)| Entry::of(name))
            .collect())
    }

    /// Whether the loader has another version of the image to start.
    pub(super) fn has_other(&self, image: &Image, this: &Entry) -> bool {
        let all = self.all().unwrap_or_default();
        all.iter().any(|entry| {
            entry.stem != this.stem && !entry.is_bad() && image.version_of(&entry.stem).is_some()
        })
    }

    /// Versions of the image that have no try left and no name as a good one.
    pub(super) fn bad(&self, image: &Image) -> Result<Vec<Entry>, String> {
        let all = self
            .all()
            .map_err(|error| format!("{DIRECTORY}: {error}"))?;
        let is_good = |stem: &str| all.iter().any(|it| it.stem == stem && !it.is_bad());
        let bad = all.iter().filter(|entry| {
            entry.is_bad() && image.version_of(&entry.stem).is_some() && !is_good(&entry.stem)
        });
        Ok(bad.cloned().collect())
    }

    /// What was done.
    pub(super) fn bless(&self, path: &str, entry: &Entry) -> Result<String, String> {
        let good = beside(path, &entry.good_name());
        if self.0.exists(&good) {
            // Both may be one file after a power cut: removing either would take both.
            return Ok(format!("{good} is already there"));
        }
        self.rename(path, &good)?;
        Ok(format!("{good} is good: it is counted no more"))
    }

    pub(super) fn mark_bad(&self, path: &str, entry: &Entry) -> Result<(), String> {
        let bad = beside(path, &entry.bad_name());
        if path == bad || self.0.exists(&bad) {
            return Ok(());
        }
        self.rename(path, &bad)
    }

    fn rename(&self, path: &str, to: &str) -> Result<(), String> {
        let renamed = self.0.rename(path, to, &mut Open);
        let synced = renamed.and_then(|()| self.0.sync_parent(to, &mut Open));
        synced.and_then(|()| self.0.sync_all()).map_err(|error| {
            format!(
                "{}: cannot be renamed to {to} on the EFI System Partition: {error}",
                self.0.shown(path)
            )
        })
    }
}

fn open(
    system: &System,
    mount: impl Fn(&Device, FileSystem) -> std::io::Result<Root>,
) -> Result<Entries, String> {
    let found = media::look(system);
    let partition = media::loaders_partition(system, &found)
        .ok_or("the EFI System Partition that this machine booted from is not there")?;
    let opened = mount(&partition.device, FileSystem::Vfat);
    opened.map(Entries).map_err(|error| {
        let path = partition.device.path.display();
        format!("{path}: the EFI System Partition cannot be mounted: {error}")
    })
}

fn beside(path: &str, name: &str) -> String {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/{name}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::{DIRECTORY, Entries};
    use crate::media::Entry;
    use crate::root::Root;
    use crate::run::versions::Image;

    fn with(names: &[&str]) -> (tempfile::TempDir, Entries) {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("EFI/Linux");
        fs::create_dir_all(&place).unwrap();
        for name in names {
            fs::write(place.join(name), name).unwrap();
        }
        let root = Root::open(directory.path()).unwrap();
        (directory, Entries(root))
    }

    fn image() -> Image {
        Image {
            id: "n".to_owned(),
            version: "2".to_owned(),
        }
    }

    fn names(entries: &Entries) -> Vec<String> {
        let list = entries.0.list(DIRECTORY).unwrap();
        list.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn something_to_go_back_to() {
        for (names, expected) in [
            (&["n_2+2-1.efi"][..], false),
            (&["n_2+2-1.efi", "n_1.efi"], true),
            (&["n_2+2-1.efi", "n_1+1-2.efi"], true),
            (&["n_2+2-1.efi", "n_1+0-3.efi"], false),
            (&["n_2+2-1.efi", "other_1.efi", "n_1.txt", "n_2.efi"], false),
        ] {
            let (_directory, entries) = with(names);
            let this = Entry::of("n_2+2-1.efi").unwrap();
            assert_eq!(entries.has_other(&image(), &this), expected, "{names:?}");
        }
    }

    #[test]
    fn an_entry_becomes_good_or_bad_and_nothing_is_lost() {
        let path = "/EFI/Linux/n_2+2-1.efi";
        let this = Entry::of("n_2+2-1.efi").unwrap();
        for (is_good, expected) in [(true, "n_2.efi"), (false, "n_2+0-1.efi")] {
            let (directory, entries) = with(&["n_1.efi", "n_2+2-1.efi"]);
            match is_good {
                true => drop(entries.bless(path, &this).unwrap()),
                false => entries.mark_bad(path, &this).unwrap(),
            }
            assert_eq!(names(&entries), {
                let mut expected = ["n_1.efi", expected];
                expected.sort_unstable();
                expected
            });
            let kept = fs::read_to_string(directory.path().join("EFI/Linux").join(expected));
            assert_eq!(kept.unwrap(), "n_2+2-1.efi");
            // The second time there is nothing left to do, or nothing to do it to.
            assert_eq!(entries.bless(path, &this).is_ok(), is_good);
        }
        let (_directory, entries) = with(&["n_2.efi", "n_2+2-1.efi"]);
        assert!(entries.bless(path, &this).unwrap().contains("already"));
        assert_eq!(names(&entries).len(), 2);
    }

    #[test]
    fn bad_versions_of_this_image() {
        let list = [
            "n_1.efi",
            "n_3+0-3.efi",
            "n_4+1-2.efi",
            "n_5+0-1.efi",
            "n_5.efi",
            "m_6+0-3.efi",
        ];
        let (_directory, entries) = with(&list);
        let bad = entries.bad(&image()).unwrap();
        let stems: Vec<&str> = bad.iter().map(|entry| entry.stem.as_str()).collect();
        assert_eq!(stems, ["n_3"]);
    }
}

//! A version's kernel on the ESP of a disk, and the places of partitions.

use std::fs;
use std::path::{Path, PathBuf};

use nodeimg_test_support::disk::Disk;
use nodeimg_test_support::run::{host_program, tool};
use tempfile::TempDir;

const SECTOR_OF_TABLE: u64 = 512;

/// A version's name on the ESP, and its files.
pub(super) struct Version {
    pub(super) stem: String,
    pub(super) uki: Vec<u8>,
    pub(super) image: PathBuf,
}

impl Version {
    /// Of the only entry on the ESP, which may be tried three times. `None`, with a printed
    /// skip, without `mcopy`.
    pub(super) fn of(image: &Path) -> Option<Version> {
        let disk = image.join("disk.raw");
        let (start, _) = Disk::open(&disk).partition("esp");
        // Several tests do this at once.
        let place = TempDir::new().unwrap();
        let from = format!("{}@@{start}", disk.display());
        let entries = "::/EFI/Linux/*.efi";
        changed(
            "mcopy",
            &["-n", "-i", &from, entries, place.path().to_str()?],
        )
        .then_some(())?;
        let found = fs::read_dir(&place).unwrap().map(|it| it.unwrap().path());
        let found: Vec<PathBuf> = found.collect();
        let [file] = &found[..] else {
            panic!("{found:?}")
        };
        let uki = fs::read(file).unwrap();
        let stem = stem_of(&uki);
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("{stem}+3.efi"));
        let image = image.to_owned();
        Some(Version { stem, uki, image })
    }

    /// The same in the text of the UKI.
    pub(super) fn with(mut self, words: (&str, &str)) -> Version {
        assert_eq!(words.0.len(), words.1.len());
        let places = places(&self.uki, words.0);
        assert!(!places.is_empty(), "{words:?}");
        for at in places {
            self.uki[at..at + words.1.len()].copy_from_slice(words.1.as_bytes());
        }
        self.stem = stem_of(&self.uki);
        self
    }

    /// As another version of as many characters.
    pub(super) fn renamed(self, version: &str) -> Version {
        let is_quoted = !places(&self.uki, "IMAGE_VERSION=\"").is_empty();
        let key = if is_quoted {
            "IMAGE_VERSION=\""
        } else {
            "IMAGE_VERSION="
        };
        let (from, to) = (
            format!("{key}{}", self.version()),
            format!("{key}{version}"),
        );
        self.with((&from, &to))
    }

    pub(super) fn version(&self) -> &str {
        self.stem.split_once('_').unwrap().1
    }
}

/// Where a text is.
fn places(uki: &[u8], text: &str) -> Vec<usize> {
    let first = text.as_bytes()[0];
    let starts = uki.iter().enumerate().filter(|(_, byte)| **byte == first);
    let places = starts.map(|(at, _)| at);
    places
        .filter(|at| uki[*at..].starts_with(text.as_bytes()))
        .collect()
}

/// `NAME_VERSION`, by the UKI's os-release.
fn stem_of(uki: &[u8]) -> String {
    let value = |key: &str| {
        let text = &uki[places(uki, key)[0] + key.len()..][..100];
        let text = String::from_utf8_lossy(text);
        let value = text.trim_start_matches('"').split(['"', '\n']).next();
        value.unwrap().to_owned()
    };
    format!("{}_{}", value("IMAGE_ID="), value("IMAGE_VERSION=")).replace('+', ".")
}

/// `qemu-img`, `sfdisk`, `mcopy`; false, with a printed skip, without one of them.
pub(super) fn changed(program: &str, arguments: &[&str]) -> bool {
    let mut command = host_program(program);
    tool(command.args(arguments)).is_some_and(|ran| {
        ran.good();
        true
    })
}

/// A UKI on the ESP of a disk.
pub(super) fn add_entry(disk: &Disk, uki: &[u8], name: &str) -> bool {
    let (start, _) = disk.partition("esp");
    let file = disk.path.with_extension("efi");
    fs::write(&file, uki).unwrap();
    let image = format!("{}@@{start}", disk.path.display());
    let to = format!("::/EFI/Linux/{name}");
    let from = file.display().to_string();
    let done = changed("mcopy", &["-n", "-o", "-i", &image, &from, &to]);
    fs::remove_file(file).unwrap();
    done
}

/// Of a partition by its number, in bytes.
pub(super) fn place_of(disk: &Disk, number: u64) -> (u64, u64) {
    let entry = 2 * SECTOR_OF_TABLE + (number - 1) * 128;
    let (first, last) = (disk.number(entry + 32), disk.number(entry + 40));
    (
        first * SECTOR_OF_TABLE,
        (last + 1 - first) * SECTOR_OF_TABLE,
    )
}

//! `--seed PATH`: a directory or a block device that the caller names.
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::{Found, Home, Search, directory, medium};
use crate::media::{self, System};
use crate::root::Root;

pub(super) fn find(search: &Search<'_>) -> Found {
    let Some(path) = search.seed else {
        return Found::Absent(Vec::new());
    };
    match read(path) {
        // A seed named by the caller stays as it is.
        Found::Seed(mut sought) => {
            sought.home = Home::Elsewhere;
            Found::Seed(sought)
        }
        found => found,
    }
}

fn read(path: &Path) -> Found {
    let kind = std::fs::metadata(path).map(|metadata| metadata.file_type());
    match kind {
        Ok(kind) if kind.is_block_device() => from_device(path),
        Ok(kind) if kind.is_file() => Found::Absent(vec![format!(
            "{}: is a file; give the directory that holds meta-data and user-data, or a block device",
            path.display()
        )]),
        _ => match Root::open(path) {
            Ok(root) => directory::read(&root, "/"),
            Err(error) => Found::Absent(vec![format!("{}: {error}", path.display())]),
        },
    }
}

/// A volume that is named needs no label.
fn from_device(path: &Path) -> Found {
    let absent = |reason: String| Found::Absent(vec![format!("{}: {reason}", path.display())]);
    let found = match media::at(&System::default(), path) {
        Ok(found) => found,
        Err(error) => return absent(error.to_string()),
    };
    match found.file_system() {
        Some(kind) => medium::read(&found, kind, "/", true),
        None => absent("holds no vfat, iso9660 or ext4 file system".to_owned()),
    }
}

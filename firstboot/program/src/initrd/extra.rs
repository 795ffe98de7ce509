//! What systemd-stub lays beside the initrd, in `/.extra`, kept for the root
//! ([systemd-stub(7)](https://www.freedesktop.org/software/systemd/man/latest/systemd-stub.html)).
//!
//! | in the initrd | in the root |
//! |---|---|
//! | `credentials/NAME.cred`, `global_credentials/NAME.cred` | `/run/credentials/@encrypted/NAME`, as systemd in an initrd does it |
//! | `profile`, `os-release` | `/run/systemd/stub/` |
//! | `tpm2-pcr-*` | `/run/systemd/` |
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::failure::{Failure, While};

const FROM: &str = "/.extra";
const TO: &str = "/run";
const CREDENTIALS: &str = "credentials/@encrypted";

/// Copies those that exist.
pub(crate) fn keep() -> Result<(), Failure> {
    copy_all(Path::new(FROM), Path::new(TO)).during(|| format!("keeping {FROM}"))
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    for directory in ["credentials", "global_credentials"] {
        let Ok(entries) = fs::read_dir(from.join(directory)) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".cred")) {
                copy(&entry.path(), &to.join(CREDENTIALS), name, 0o400)?;
            }
        }
    }
    for (name, place) in [
        ("profile", "systemd/stub"),
        ("os-release", "systemd/stub"),
        ("tpm2-pcr-signature.json", "systemd"),
        ("tpm2-pcr-public-key.pem", "systemd"),
    ] {
        if from.join(name).is_file() {
            copy(&from.join(name), &to.join(place), name, 0o444)?;
        }
    }
    Ok(())
}

/// The first one of each name is used.
fn copy(file: &Path, directory: &Path, name: &str, mode: u32) -> io::Result<()> {
    let place = directory.join(name);
    if place.exists() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    if mode == 0o400 {
        fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    }
    fs::write(&place, fs::read(file)?)?;
    fs::set_permissions(&place, Permissions::from_mode(mode))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::copy_all;

    #[test]
    fn credentials_are_for_root_alone() {
        let there = tempfile::tempdir().unwrap();
        let (from, to) = (there.path().join("extra"), there.path().join("run"));
        copy_all(&from, &to).unwrap();
        assert!(!to.exists());
        for (path, text) in [
            ("credentials/a.cred", "own"),
            ("global_credentials/a.cred", "global"),
            ("global_credentials/b.cred", "global"),
            ("global_credentials/c.raw", "no"),
            ("profile", "p"),
        ] {
            let path = from.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        copy_all(&from, &to).unwrap();
        let place = to.join("credentials/@encrypted");
        let mut names: Vec<_> = fs::read_dir(&place)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(fs::read_to_string(place.join("a")).unwrap(), "own");
        let mode =
            |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join("a"))), (0o700, 0o400));
        assert_eq!(mode(&to.join("systemd/stub/profile")), 0o444);
    }
}

//! Other people's tools, as judges of our output.
//!
//! A missing one is an error in CI and a printed skip elsewhere.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the tool answered; `None` if it is not installed.
pub fn run(command: &mut Command) -> Option<Output> {
    // Disk tools are where an ordinary user's PATH does not go.
    let path = std::env::var("PATH").unwrap_or_default();
    let told = command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("LC_ALL", "C")
        .output();
    match told {
        Ok(told) => Some(told),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            missing(&format!(
                "{} is not installed",
                command.get_program().display()
            ));
            None
        }
        Err(error) => panic!("{}: {error}", command.get_program().display()),
    }
}

/// Says that a part of a test is left out, and why; in CI nothing is.
#[track_caller]
pub fn missing(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
}

/// The folders of a program that the lab has compiled for this machine, one for each
/// version, the oldest first. `ci/test` names the lab by `NODEIMG_TEST_LAB`.
#[track_caller]
pub fn of_lab(program: &str) -> Vec<(String, PathBuf)> {
    let Some(lab) = std::env::var_os("NODEIMG_TEST_LAB") else {
        missing("NODEIMG_TEST_LAB, the folder that ci/lab prints, is not set");
        return Vec::new();
    };
    let host = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let folder = Path::new(&lab).join("programs").join(host).join(program);
    let folders = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let version = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    let mut found: Vec<(String, PathBuf)> = folders
        .filter_map(|entry| entry.ok())
        .filter_map(|entry| Some((version(&entry.path())?, entry.path())))
        .collect();
    let numbers = |version: &str| -> Vec<u64> {
        let parts = version.split(|c: char| !c.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).collect()
    };
    found.sort_by_key(|(version, _)| numbers(version));
    found
}

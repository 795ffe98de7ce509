//! Programs of the lab, for this machine.

use std::path::PathBuf;
use std::{env, fs};

use nodeimg_test_support::judge;

/// The lab's folder; `None`, with a printed skip, if there is none.
pub fn directory() -> Option<PathBuf> {
    let directory = env::var_os("NODEIMG_TEST_LAB").map(PathBuf::from);
    if directory.is_none() {
        judge::missing("a lab (ci/test makes one and sets NODEIMG_TEST_LAB)");
    }
    directory
}

/// A program in the newest version that the lab has of it.
pub fn program(name: &str) -> PathBuf {
    let program = folder(name).join(version(name)).join(name);
    assert!(program.is_file(), "{} is not there", program.display());
    program
}

/// That version.
pub fn version(name: &str) -> String {
    let folder = folder(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let versions = entries.map(|one| one.unwrap().file_name().into_string().unwrap());
    // A link that is about to take another's place begins with a dot.
    let found = versions
        .filter(|version| !version.starts_with('.'))
        .max_by_key(|one| numbers(one));
    found.unwrap_or_else(|| panic!("no version of it in {}", folder.display()))
}

fn folder(name: &str) -> PathBuf {
    let directory = directory().expect("asked for although there is no lab");
    directory.join("programs").join("amd64").join(name)
}

/// Versions by their numbers, so that 1.10 is behind 1.9.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(['.', '-', '+']);
    parts.map(|part| part.parse().unwrap_or(0)).collect()
}

#[test]
fn ten_comes_after_nine() {
    assert!(numbers("1.10.0") > numbers("1.9.1"));
}

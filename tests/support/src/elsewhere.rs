//! Another user, umask and number of processors, and what was built there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::archive::sha256;
use super::judge;
use super::run::{Ran, clean, first_cpu, listing};

/// Who builds.
pub struct Elsewhere {
    pub umask: &'static str,
    /// A user whom nothing belongs to (where the tests run as root).
    pub nobody: bool,
    pub one_cpu: bool,
}

impl Elsewhere {
    /// What runs a program so, which is still to be added with its arguments; `place` is given
    /// to the user.
    pub fn command(&self, place: &Path) -> Command {
        let mut shell = clean(Command::new("sh"));
        shell.args(["-c", "umask $1; shift; exec \"$@\"", "sh", self.umask]);
        if self.one_cpu {
            shell.args(["taskset", "-c", &first_cpu()]);
        }
        if self.nobody && judge::is_root() {
            let mut own = clean(Command::new("chown"));
            Ran::of(own.args(["-R", "65534:65534"]).arg(place)).good();
            shell.args([
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ]);
        }
        shell
    }
}

/// `digest mode path` of everything below `out`.
pub fn of_files(out: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in listing(out) {
        let file = out.join(&path);
        let meta = fs::metadata(&file).unwrap();
        let digest = if meta.is_file() {
            sha256(&fs::read(&file).unwrap())
        } else {
            "-".to_owned()
        };
        found.push(format!(
            "{digest} {:04o} {path}",
            meta.permissions().mode() & 0o7777
        ));
    }
    found
}

//! Other people's tools, as judges of what nodeimg made. A missing judge is a failure in
//! CI and a printed skip elsewhere.

use std::fs;
use std::io::{ErrorKind, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Whether these tests run in CI, which may skip nothing.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// Says that a part of a test is left out; fails in CI.
#[track_caller]
pub fn missing(what: &str) {
    assert!(
        !in_ci(),
        "in CI nothing is skipped, but this is missing: {what}"
    );
    say(&format!("SKIPPED: {what} is missing"));
}

/// Straight to the terminal: the test harness keeps what passing tests print.
pub fn say(text: &str) {
    let _ = stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Disk tools are where an ordinary user's PATH does not go.
pub fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// What the tool answered; `None`, with a printed skip, if it is not installed.
#[track_caller]
pub fn run(command: &mut Command) -> Option<Output> {
    let told = command.env("PATH", path()).env("LC_ALL", "C").output();
    match told {
        Ok(told) => Some(told),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let program = command.get_program().display();
            missing(&format!("the command `{program}`"));
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}

/// Whether everything is asked for, by `NODEIMG_TEST_FULL=1`; if it is not,
/// says that `what` is left out.
pub fn is_full(what: &str) -> bool {
    let full = std::env::var_os("NODEIMG_TEST_FULL").is_some();
    if !full {
        say(&format!(
            "{what}: left out, NODEIMG_TEST_FULL=1 asks for it"
        ));
    }
    full
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A Python 3 that has `module`, if there is one: the first on PATH, then
/// Debian's own, which is where its packages go.
pub fn python_with(module: &str) -> Option<&'static str> {
    let found = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let import = format!("import {module}");
        let mut command = Command::new(python);
        command.args(["-W", "ignore", "-c", &import]);
        command.output().is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        missing(&format!("a python3 with the module `{module}`"));
    }
    found
}

/// Who reads SBOMs, as a folder of Python's modules.
#[track_caller]
pub fn sbom() -> Option<PathBuf> {
    prepared("sbom", "who reads SBOMs")
}

/// PyPI's `sigstore`, as a folder of Python's modules.
#[track_caller]
pub fn sigstore() -> Option<PathBuf> {
    prepared("sigstore", "PyPI's `sigstore`")
}

/// The program cosign.
#[track_caller]
pub fn cosign() -> Option<PathBuf> {
    let folder = prepared("cosign", "cosign")?;
    Some(folder.join("usr/bin/cosign"))
}

/// `systemd-dissect` of Debian 13, which can validate, with the libraries of that release.
#[track_caller]
pub fn dissect() -> Option<Command> {
    let root = prepared("systemd-dissect", "a systemd-dissect that validates")?;
    let known = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let libraries = known.map(|name| root.join("usr/lib").join(name));
    let libraries = libraries.into_iter().find(|path| path.is_dir()).unwrap();
    let loaders = ["ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];
    let loaders = loaders.map(|name| libraries.join(name));
    let loader = loaders.into_iter().find(|path| path.exists()).unwrap();
    let mut command = super::run::clean(Command::new(loader));
    let path = format!("{0}:{0}/systemd", libraries.display());
    command.args(["--library-path", &path]);
    command.arg(root.join("usr/bin/systemd-dissect"));
    Some(command)
}

/// The root of a Debian 13 with systemd-sysupdate.
#[track_caller]
pub fn sysupdate() -> Option<PathBuf> {
    prepared("systemd-dissect", "a root with systemd-sysupdate")
}

/// Debian's own Python with the modules of `folder`, and none of this machine's before them.
pub fn python(folder: &Path) -> Command {
    let mut command = super::run::clean(Command::new("/usr/bin/python3"));
    command.env("PYTHONPATH", folder);
    command.args(["-B", "-W", "ignore"]);
    command
}

/// A folder of what `ci/judges --prepare` makes.
#[track_caller]
fn prepared(name: &str, what: &str) -> Option<PathBuf> {
    match std::env::var_os("NODEIMG_TEST_JUDGES") {
        Some(folder) => Some(Path::new(&folder).join(name)),
        None => {
            missing(&format!(
                "{what} (NODEIMG_TEST_JUDGES=$(ci/judges --prepare))"
            ));
            None
        }
    }
}

/// The folder with a real CRI-O.
pub fn crio() -> Option<PathBuf> {
    folder("NODEIMG_TEST_CRIO", "a real CRI-O")
}

/// The folder with youki and gVisor.
pub fn handlers() -> Option<PathBuf> {
    folder("NODEIMG_TEST_HANDLERS", "youki and gVisor")
}

/// A folder of programs, or a program, that `ci/test` neither compiles nor downloads: `tests/README.md` tells
/// how to make it. Without it, a part of a test is left out, in CI as well.
fn folder(variable: &str, what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        say(&format!("SKIPPED: {what} ({variable}) is missing"));
    }
    folder
}

/// The folders of a program that the lab has compiled for this machine, one for each
/// version, the oldest first. `ci/test` names the lab by `NODEIMG_TEST_LAB`.
#[track_caller]
pub fn of_lab(program: &str) -> Vec<(String, PathBuf)> {
    let Some(lab) = std::env::var_os("NODEIMG_TEST_LAB") else {
        missing("the lab (ci/test makes it and sets NODEIMG_TEST_LAB)");
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

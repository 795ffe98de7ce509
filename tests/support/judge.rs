//! Tools that judge what nodeimg made. A missing judge is a failure in CI and
//! a printed skip elsewhere.

use std::process::Command;

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
    // Straight to the terminal: the test harness keeps what passing tests print.
    let line = format!("SKIPPED: {what} is missing\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), line.as_bytes());
}

/// Whether everything is asked for, by `NODEIMG_TEST_FULL=1`; where it is not,
/// says that `what` is left out.
pub fn is_full(what: &str) -> bool {
    let full = std::env::var_os("NODEIMG_TEST_FULL").is_some();
    if !full {
        let line = format!("{what}: left out, NODEIMG_TEST_FULL=1 asks for it\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), line.as_bytes());
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

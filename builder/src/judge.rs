//! Other people's tools, as the judges of what is written here.
//!
//! A missing one is an error in CI and a printed skip elsewhere.

use std::io::ErrorKind;
use std::process::{Command, Output};

/// What the tool answered; `None` where it is not installed.
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

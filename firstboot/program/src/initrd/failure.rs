//! Reports what goes wrong before there is a root, with the kernel's own messages.
use std::fmt::Display;

use super::kmsg;
use crate::machine;

/// The number of kernel errors that are shown.
const LINES: usize = 10;

/// One sentence: what, where, and what to do if that is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// Adds what was being done.
pub(crate) trait While<T> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Display> While<T> for Result<T, E> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("{}: {error}", what())))
    }
}

/// Reports, and stays: if PID 1 ended, the kernel would
/// panic and say nothing about this.
pub(crate) fn give_up(failure: &Failure) -> ! {
    tell(failure);
    loop {
        nix::unistd::pause();
    }
}

/// Reports to a person, on every console, and to the kernel's log.
pub(crate) fn tell(failure: &Failure) {
    kmsg::warn(&format!("giving up: {failure}"));
    machine::tell_consoles(&text(failure, &kmsg::errors(LINES)));
}

fn text(failure: &Failure, errors: &[String]) -> String {
    let mut text = format!("\nWhat keeps this node from booting:\n  {failure}\n");
    if !errors.is_empty() {
        text += "The kernel's last errors:\n";
        for line in errors {
            text += &format!("  {line}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Failure, text};

    #[test]
    fn the_kernels_errors_follow() {
        let failure = Failure::new("mounting the root: Input/output error");
        assert_eq!(
            text(&failure, &[]),
            "\nWhat keeps this node from booting:\n  mounting the root: Input/output error\n"
        );
        assert!(text(&failure, &["a".to_owned()]).ends_with("last errors:\n  a\n"));
    }
}

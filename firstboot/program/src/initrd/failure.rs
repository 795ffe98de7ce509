//! Reports what goes wrong before there is a root, with the kernel's own messages.
use std::fmt::Display;

use std::path::Path;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};

use super::kmsg;
use super::mount_variables;
use crate::machine;
use crate::media::{System, counted, leave_failure};

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

/// For a person to read, and a console to be recorded.
const READING_TIME: Duration = Duration::from_secs(30);

/// Reports, and stays: if PID 1 ended, the kernel would
/// panic and say nothing about this. If the boot is counted, the machine starts once
/// more: another version of the image may come up.
pub(crate) fn give_up(failure: &Failure) -> ! {
    tell(failure);
    start_once_more(&failure.to_string());
    loop {
        nix::unistd::pause();
    }
}

/// Restarts the machine if its loader counts this boot; where that cannot be known, since
/// the firmware's variables cannot be read, as well. The next boot can tell `why`.
pub(crate) fn start_once_more(why: &str) {
    let system = System::default();
    mount_variables();
    let is_known = fs_has_variables(&system);
    match counted(&system) {
        Some((_, entry)) if entry.leads_on() => leave_failure(&system, &entry.stem, why),
        None if !is_known && system.sys.join("firmware/efi").is_dir() => {}
        _ => return,
    }
    let text = "This boot is counted: the machine restarts in 30 seconds. If this version of the \
                image keeps failing, the one before it starts.";
    kmsg::warn(text);
    machine::tell_consoles(&format!("{text}\n"));
    std::thread::sleep(READING_TIME);
    nix::unistd::sync();
    let _stays = reboot(RebootMode::RB_AUTOBOOT);
}

fn fs_has_variables(system: &System) -> bool {
    let directory: &Path = &system.sys.join("firmware/efi/efivars");
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
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

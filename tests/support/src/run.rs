//! Programs under test and what they said.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::{judge, place};

/// `nodeimg` with nothing of the caller's environment but the PATH: no
/// mirror, store, proxy or locale of whoever runs the tests.
pub fn nodeimg() -> Command {
    nodeimg_at(&place::nodeimg())
}

/// The same from a copy of the binary.
pub fn nodeimg_at(binary: &Path) -> Command {
    clean(Command::new(binary))
}

/// `command` with an empty environment but for the PATH.
pub fn clean(mut command: Command) -> Command {
    command.env_clear();
    for name in ["PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("HOME", "/nonexistent");
    command
}

/// A program of this machine, where an ordinary user's PATH does not go too.
pub fn host_program(name: &str) -> Command {
    let mut command = clean(Command::new(name));
    command.env("PATH", judge::path());
    command
}

/// A program's end and everything that it printed.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    command: String,
}

impl Ran {
    /// Runs to the end; a program that cannot be started is a failed test.
    pub fn of(command: &mut Command) -> Ran {
        let shown = format!("{command:?}");
        match command.output() {
            Ok(output) => Ran::from(output, shown),
            Err(e) => panic!("{shown}: {e}"),
        }
    }

    pub fn from(output: Output, command: String) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("standard output is not UTF-8"),
            err: String::from_utf8(output.stderr).expect("standard error is not UTF-8"),
            command,
        }
    }

    /// It must have gone well.
    #[track_caller]
    pub fn good(self) -> Ran {
        assert_eq!(self.code, Some(0), "{}", self.told());
        self
    }

    /// It must have failed with `code` and one message that has all `needles`.
    #[track_caller]
    pub fn refused(self, code: i32, needles: &[&str]) -> Ran {
        if let Err(problem) = self.is_refused(code, needles) {
            panic!("{problem}");
        }
        self
    }

    /// The same as a value, for tables that go on after a failure.
    pub fn is_refused(&self, code: i32, needles: &[&str]) -> Result<(), String> {
        if self.code != Some(code) {
            return Err(format!("exit {code} was expected\n{}", self.told()));
        }
        if self.err.contains("panicked") || self.out.contains("panicked") {
            return Err(format!("a panic\n{}", self.told()));
        }
        if self
            .err
            .lines()
            .filter(|line| line.starts_with("error: "))
            .count()
            != 1
        {
            return Err(format!("one `error: ` was expected\n{}", self.told()));
        }
        match needles.iter().find(|needle| !self.err.contains(**needle)) {
            Some(needle) => Err(format!("the message lacks {needle:?}\n{}", self.told())),
            None => Ok(()),
        }
    }

    fn told(&self) -> String {
        format!(
            "{}\nexit {:?}\n--- standard output\n{}\n--- standard error\n{}",
            self.command, self.code, self.out, self.err
        )
    }
}

/// A tool of the host that must be there: its output, or `None` with a
/// printed skip if it is not (an error in CI).
#[track_caller]
pub fn tool(command: &mut Command) -> Option<Ran> {
    let shown = format!("{command:?}");
    Some(Ran::from(judge::run(command)?, shown))
}

/// Every path below `root`, hidden ones too, relative and sorted; nothing
/// where `root` is not there.
pub fn listing(root: &Path) -> Vec<String> {
    let mut found: Vec<String> = walkdir::WalkDir::new(root)
        .min_depth(1)
        .into_iter()
        .flatten()
        .map(|entry| {
            let path = entry.path().strip_prefix(root).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    found.sort();
    found
}

/// A container may not have CPU 0.
pub fn first_cpu() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap();
    list.trim().split([',', '-']).next().unwrap().to_owned()
}

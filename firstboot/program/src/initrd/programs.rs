//! Programs that run with the root as their own.
//!
//! Entering a root between fork and exec needs unsafe code; so the child is this binary
//! again, which enters the root by itself.
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Output, Stdio};

use nodeimg_seed::contract::initrd_plan::MKFS_OPTIONS;

use super::failure::{Failure, While};
use super::{ROOT, kmsg, read_ahead};

const SELF: &str = "/proc/self/exe";
/// How [`super::is_init`] recognises a child.
const NAME: &str = "init";
const RUN: &str = "run";
const PATH: &str = "/usr/sbin:/usr/bin";
/// No program was started.
const NOT_STARTED: u8 = 127;

/// A child's work, if this process is one.
pub(crate) fn child(arguments: &[OsString]) -> Option<ExitCode> {
    let (first, rest) = arguments.split_first()?;
    let is = |name: &str| first.as_os_str() == OsStr::new(name);
    if std::process::id() == 1 || !(is(RUN) || is(read_ahead::CHILD)) {
        return None;
    }
    if let Err(error) = enter() {
        eprintln!("entering {ROOT}: {error}");
        return Some(ExitCode::from(NOT_STARTED));
    }
    if is(read_ahead::CHILD) {
        read_ahead::run(rest);
        return Some(ExitCode::SUCCESS);
    }
    let (program, rest) = rest.split_first()?;
    let (options, value) = MKFS_OPTIONS;
    let error = Command::new(program)
        .args(rest)
        .env_clear()
        .env("PATH", PATH)
        .env(options, value)
        .exec();
    eprintln!("{error}");
    Some(ExitCode::from(NOT_STARTED))
}

fn enter() -> nix::Result<()> {
    nix::unistd::chroot(ROOT)?;
    nix::unistd::chdir("/")
}

/// This binary, about to enter the root.
pub(crate) fn myself(task: &str) -> Command {
    let mut command = Command::new(SELF);
    command.arg0(NAME).arg(task).stdin(Stdio::null());
    command
}

/// Runs a program of the root to its end; returns its exit status and output.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<Ended, Failure> {
    let mut command = myself(RUN);
    let output = command
        .arg(program)
        .args(arguments)
        .output()
        .during(|| format!("starting {program}"))?;
    let ended = Ended {
        program: program.to_owned(),
        code: output.status.code(),
        said: said(&output),
    };
    for line in &ended.said {
        kmsg::note(line);
    }
    Ok(ended)
}

fn said(output: &Output) -> Vec<String> {
    let texts = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let lines = texts.iter().flat_map(|text| text.lines());
    let lines = lines.map(str::trim_end).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

/// A program that has run.
pub(crate) struct Ended {
    program: String,
    /// `None` if a signal killed it.
    pub(crate) code: Option<i32>,
    said: Vec<String>,
}

impl Ended {
    /// With the last line of its output.
    pub(crate) fn failure(&self, what: &str) -> Failure {
        let status = match self.code {
            Some(code) => format!("exit status {code}"),
            None => "killed by a signal".to_owned(),
        };
        let last = self.said.last().map_or("no output", String::as_str);
        Failure::new(format!("{what}: {} failed, {status}: {last}", self.program))
    }
}

#[cfg(test)]
mod tests {
    use super::Ended;

    #[test]
    fn a_failure_has_the_programs_last_words() {
        let mut ended = Ended {
            program: "fsck.ext4".to_owned(),
            code: Some(4),
            said: vec!["a".to_owned(), "b: UNEXPECTED INCONSISTENCY".to_owned()],
        };
        assert_eq!(
            ended.failure("repairing /dev/vda6").to_string(),
            "repairing /dev/vda6: fsck.ext4 failed, exit status 4: b: UNEXPECTED INCONSISTENCY"
        );
        (ended.code, ended.said) = (None, Vec::new());
        assert!(
            ended
                .failure("x")
                .to_string()
                .ends_with("killed by a signal: no output")
        );
    }
}

//! Where what a guest says goes: its console, and the output of a script.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

/// One of them is for the console, another for a script's output.
#[derive(Debug)]
pub enum Sink {
    Stdout,
    Stderr,
    File(File),
}

impl Sink {
    /// A file that is written as the guest speaks, so that it can be followed;
    /// an existing one is truncated.
    pub fn file(path: &Path) -> Result<Sink> {
        let file = File::create(path).with_context(|| format!("writing {}", path.display()))?;
        Ok(Sink::File(file))
    }

    /// For a child that writes there itself.
    pub fn stdio(&self) -> io::Result<Stdio> {
        Ok(match self {
            Sink::Stdout => Stdio::inherit(),
            Sink::Stderr => io::stderr().as_fd().try_clone_to_owned()?.into(),
            Sink::File(file) => file.try_clone()?.into(),
        })
    }

    /// As it comes; a reader that is gone is not an error.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = match self {
            Sink::Stdout => {
                let mut out = io::stdout();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Sink::Stderr => io::stderr().write_all(bytes),
            Sink::File(file) => file.write_all(bytes),
        };
        match result {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

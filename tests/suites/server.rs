//! A program that serves in the cluster's namespace for as long as a test needs it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// For a port that the program opens first of all.
const BEGIN: Duration = Duration::from_secs(2);

pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    pub fn start(mut command: Command, log: &Path) -> Server {
        let file = File::create(log).unwrap();
        command
            .stdin(Stdio::null())
            .stderr(file.try_clone().unwrap());
        let child = command.stdout(file).spawn();
        let child = child.unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut server = Server {
            child,
            log: log.to_owned(),
        };
        thread::sleep(BEGIN);
        let ended = server.child.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "{command:?} has ended, see {}",
            log.display()
        );
        server
    }

    /// What it has said so far.
    pub fn says(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).unwrap();
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

//! `apply --reboot`: for a job on the node, which is done only when the new version runs.
//!
//! system-upgrade-controller lets a node have pods again as soon as its job succeeds. So a job
//! that has installed something never succeeds by itself: the reboot ends it, its second run
//! finds nothing newer and does, or the version went back by itself, and it is refused.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use nix::unistd::chroot;

use super::{FAILED, NOTHING};

/// In which a node has stopped its services.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The exit status of a job; `root` is where the node's file system is.
pub fn after(status: u8, root: &Path) -> ExitCode {
    match status {
        NOTHING => return ExitCode::SUCCESS,
        0 => {}
        other => return ExitCode::from(other),
    }
    let why = match ask(root) {
        Ok(()) => {
            eprintln!("the node reboots");
            thread::sleep(PATIENCE);
            format!("the node has not rebooted in {} s", PATIENCE.as_secs())
        }
        Err(why) => why,
    };
    eprintln!("error: {why} (the version boots with the next reboot: systemctl reboot)");
    ExitCode::from(FAILED)
}

/// Asks the node's systemd.
fn ask(root: &Path) -> Result<(), String> {
    if root != Path::new("/") {
        chroot(root).map_err(|e| format!("entering {}: {e}", root.display()))?;
        std::env::set_current_dir("/").map_err(|e| format!("entering {}: {e}", root.display()))?;
    }
    let ran = Command::new("/usr/bin/systemctl")
        .arg("reboot")
        // What is below /host is this machine's own system.
        .env("SYSTEMD_IGNORE_CHROOT", "1")
        .status();
    match ran {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`systemctl reboot` failed ({status})")),
        Err(e) => Err(format!("`systemctl reboot` cannot be run: {e}")),
    }
}

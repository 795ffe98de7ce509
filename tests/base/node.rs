//! A root as a node has it: read-only, with the kernel's file systems and
//! empty ones for what runs; without a network. Nothing of the machine that
//! runs the tests can be changed from in there.

use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use nodeimg_test_support::run::{Ran, clean};

/// Runs a shell script of the image's own sh in `root`; `None` where this
/// machine has no name spaces for us.
pub fn run(root: &Path, script: &str) -> Option<Ran> {
    let enter = "mount --bind \"$1\" \"$1\" && cd \"$1\" && mount --rbind /proc proc && \
                 mount -o remount,bind,ro proc && mount -t sysfs -o ro sysfs sys && \
                 mount --rbind /dev dev && mount -t tmpfs tmpfs run && \
                 mount -t tmpfs tmpfs tmp && mount -o remount,bind,ro \"$1\" || exit 99; \
                 exec chroot . /bin/sh -euc \"$2\"";
    let mut command = clean(Command::new("timeout"));
    command.args(["-k", "2", "60", "unshare", "-n", "-m"]);
    if !judge::is_root() {
        command.arg("-r");
    }
    command.args(["sh", "-c", enter, "sh"]).arg(root);
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
    let ran = Ran::of(command.arg(format!("PATH={path}\n{script}")));
    if ran.code == Some(99) || ran.err.starts_with("unshare:") {
        let why = ran.err.trim();
        judge::missing(&format!(
            "name spaces to run the image's programs in ({why})"
        ));
        return None;
    }
    Some(ran)
}

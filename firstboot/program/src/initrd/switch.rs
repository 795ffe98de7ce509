//! The root: mounted, and made into `/`.
use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind_recursive, mount_move, unmount};

use super::cmdline::CommandLine;
use super::device_mapper::DEVICE;
use super::failure::{Failure, While};
use super::{KERNELS, ROOT};

const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// With the kernel's file systems in it, for the root's programs.
pub(crate) fn mount_root(words: &CommandLine) -> Result<(), Failure> {
    let kind = words.root_type();
    mount(DEVICE, ROOT, kind, MountFlags::RDONLY, None)
        .during(|| format!("mounting the root, {DEVICE}, as {kind}"))?;
    for (_, place, _, _) in KERNELS {
        mount_bind_recursive(place, format!("{ROOT}{place}"))
            .during(|| format!("mounting {ROOT}{place}"))?;
    }
    Ok(())
}

/// Frees the initrd's memory and becomes systemd.
pub(crate) fn to_root() -> Result<Infallible, Failure> {
    for (_, place, _, _) in KERNELS {
        unmount(place, UnmountFlags::DETACH).during(|| format!("unmounting {place}"))?;
    }
    let top = fs::metadata("/").during(|| "looking at /".into())?;
    // Files that cannot be removed only cost memory.
    let _best_effort = remove(Path::new("/"), top.dev());
    nix::unistd::chdir(ROOT).during(|| format!("entering {ROOT}"))?;
    mount_move(".", "/").during(|| "moving the root to /".into())?;
    nix::unistd::chroot(".").during(|| "making the root /".into())?;
    nix::unistd::chdir("/").during(|| "entering /".into())?;
    let mut systemd = Command::new(SYSTEMD);
    if let Ok(console) = console() {
        for set in [Command::stdin, Command::stdout, Command::stderr] {
            if let Ok(console) = console.try_clone() {
                set(&mut systemd, console);
            }
        }
    }
    Err(systemd.exec()).during(|| format!("starting {SYSTEMD}"))
}

/// As the kernel gave it to this program, under a name that still exists.
fn console() -> io::Result<fs::File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NOCTTY)
        .open("/dev/console")
}

/// Everything on the device `device` below `directory`.
fn remove(directory: &Path, device: u64) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.metadata()?;
        if found.dev() != device {
            continue;
        }
        if found.is_dir() {
            remove(&entry.path(), device)?;
            // A mount may be below.
            let _best_effort = fs::remove_dir(entry.path());
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

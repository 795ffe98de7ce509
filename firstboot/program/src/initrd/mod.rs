//! `/init` of the initrd: from the kernel's start to systemd of the root.
//!
//! ```text
//! hardware.rs       drivers for what the machine has, until the partitions are there
//! booted.rs         of several disks that carry the root, the one that was booted
//! device_mapper.rs  /dev/mapper/root: dm-verity (verity.rs) by the root hash
//! fresh.rs          the disk gets GUIDs of its own at its first boot
//! state.rs          systemd-repart makes the state, fsck.ext4 repairs it; /var, overlays
//! kernels.rs        /tmp, /dev/hugepages and others that systemd would start programs for
//! switch.rs         the root becomes /, its systemd PID 1
//! ```
//! What makes and repairs the state are the root's own programs (programs.rs), verified
//! like everything of it. Meanwhile a process that outlives the switch reads ahead the
//! programs that will run next (read_ahead.rs).
//!
//! In an initrd of systemd, this program only chooses the disk and gives it its GUIDs
//! (beside_systemd.rs).
//!
//! # Invariants
//! - Nothing is run and no file system is mounted until it is verified against the root
//!   hash on the command line.
//! - Root, state and what is written come from one disk and go to it: the one that was
//!   booted. Which one that is, is known, or the machine stays as it is.
//! - PID 1 never ends: failures are reported on every console (failure.rs) and the
//!   machine stays as it is; it starts once more if its loader counts this boot.
//!
//! Left out: anything between the disk and the partition (LUKS, LVM, multipath); images
//! for that use systemd's initrd.
mod beside_systemd;
mod booted;
mod cmdline;
mod device_mapper;
mod extra;
mod failure;
mod fresh;
mod hardware;
mod kernels;
mod kmsg;
mod modules;
mod programs;
mod read_ahead;
mod state;
mod switch;
mod uevent;
mod verity;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Instant;

use nodeimg_seed::contract::initrd_plan::{self, InitrdPlan};
use rustix::mount::{MountFlags, mount};

use crate::media::System;
use booted::Firmware;
use cmdline::CommandLine;
use failure::{Failure, While};
use hardware::Hardware;
use modules::Modules;

const EFI_VARIABLES: &str = "/sys/firmware/efi/efivars";
/// Where the root is mounted until it is `/`.
const ROOT: &str = "/sysroot";

/// The kernel's own file systems: type, place, options.
const KERNELS: [(&str, &str, MountFlags, &std::ffi::CStr); 4] = [
    ("proc", "/proc", QUIET, c""),
    ("sysfs", "/sys", QUIET, c""),
    ("devtmpfs", "/dev", MountFlags::NOSUID, c"mode=755"),
    (
        "tmpfs",
        "/run",
        MountFlags::NOSUID.union(MountFlags::NODEV),
        c"mode=755,size=20%",
    ),
];
const QUIET: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// Whether this process is the one that the kernel started, or its child.
pub(crate) fn is_init(name: Option<&OsString>) -> bool {
    name.is_some_and(|name| {
        Path::new(name)
            .file_name()
            .is_some_and(|name| name == "init")
    })
}

/// The initrd's work; also that of its children, if `arguments` say so.
pub(crate) fn main(arguments: &[OsString]) -> std::process::ExitCode {
    if let Some(code) = programs::child(arguments) {
        return code;
    }
    if let Some(code) = beside_systemd::task(arguments) {
        return code;
    }
    if std::process::id() != 1 {
        eprintln!("error: this is the first program of an initrd; only the kernel starts it");
        return std::process::ExitCode::from(2);
    }
    let Err(failure) = start();
    failure::give_up(&failure)
}

fn start() -> Result<Infallible, Failure> {
    let began = Instant::now();
    nix::sys::stat::umask(nix::sys::stat::Mode::S_IWGRP | nix::sys::stat::Mode::S_IWOTH);
    for (kind, place, flags, options) in KERNELS {
        fs::create_dir_all(place).during(|| format!("making {place}"))?;
        mount(kind, place, kind, flags, options).during(|| format!("mounting {place}"))?;
    }
    kmsg::tell("starting");
    let words = CommandLine::read()?;
    let plan = plan()?;
    let system = System::default();
    let modules = Modules::read(&plan.release, &words)?;
    let mut hardware = Hardware::new(&system, Some(modules))?;
    hardware.load(&plan.modules);
    let hash = words.root_hash()?;
    mount_variables();
    let firmware = Firmware::read(&system, words.disk());
    let found = hardware.wait_for_root(&hash, &firmware, words.device_timeout(), began)?;
    device_mapper::open_root(&found, &hash, &words)?;
    switch::mount_root(&words)?;
    read_ahead::start(&plan.read_ahead);
    fresh::give(&system, &found.disk);
    state::mount_all(&plan, &system, &found.disk)?;
    kernels::mount_all(&plan.kernels);
    extra::keep()?;
    kmsg::tell(&format!(
        "switching to the root after {}",
        kmsg::seconds(began.elapsed())
    ));
    switch::to_root()
}

/// Without EFI there are none, and nothing of what is in them.
fn mount_variables() {
    let is_empty = |mut entries: fs::ReadDir| entries.next().is_none();
    if fs::read_dir(EFI_VARIABLES).is_ok_and(is_empty) {
        let _ignored = mount("efivarfs", EFI_VARIABLES, "efivarfs", QUIET, None);
    }
}

fn plan() -> Result<InitrdPlan, Failure> {
    let text = fs::read(initrd_plan::PATH).during(|| format!("reading {}", initrd_plan::PATH))?;
    serde_json::from_slice(&text).during(|| format!("reading {}", initrd_plan::PATH))
}

//! The tasks of this program in an initrd of systemd, each of them a service:
//!
//! | | |
//! |---|---|
//! | `choose-disk` | finds the disk that was booted, and tells udev |
//! | `renew-guids` | gives that disk GUIDs of its own, once the root is mounted from it |
//! | `merge-etc` | merges files that image and node both write, before `/etc` is mounted |
//!
//! udev's rules keep every partition from systemd that is not on the disk which
//! [`BOOTED`] names. So systemd opens, repairs and mounts nothing from another disk, and
//! nothing at all before a disk is chosen.
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nodeimg_seed::contract::initrd_plan::{BOOTED, CHOOSE_DISK, MERGE_ETC, RENEW_GUIDS};

use super::booted::Firmware;
use super::cmdline::CommandLine;
use super::failure::{self, Failure, While};
use super::fresh;
use super::hardware::Hardware;
use super::{mount_variables, state};
use crate::media::System;

const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// The work, if `arguments` ask for a task.
pub(crate) fn task(arguments: &[OsString]) -> Option<ExitCode> {
    let [task] = arguments else {
        return None;
    };
    let system = System::default();
    let done = match task.to_str() {
        Some(CHOOSE_DISK) => choose(&system).inspect_err(|_| end_jobs()),
        Some(RENEW_GUIDS) => renew(&system),
        Some(MERGE_ETC) => {
            state::merge();
            Ok(())
        }
        _ => return None,
    };
    let Err(failure) = done else {
        return Some(ExitCode::SUCCESS);
    };
    failure::tell(&failure);
    Some(ExitCode::FAILURE)
}

fn choose(system: &System) -> Result<(), Failure> {
    let words = CommandLine::read()?;
    let hash = words.root_hash()?;
    mount_variables();
    let firmware = Firmware::read(system, words.disk());
    let began = Instant::now();
    // As systemd counts the time for a device: from the start of the machine.
    let began = began.checked_sub(uptime()).unwrap_or(began);
    let mut hardware = Hardware::new(system, None)?;
    let found = hardware.wait_for_root(&hash, &firmware, words.device_timeout(), began)?;
    note(Path::new(BOOTED), &found.disk).during(|| format!("writing to {BOOTED}"))?;
    tell_udev(system, &found.disk)
}

/// All that waits for partitions, so that systemd does not write over the reason until the
/// last of them has timed out. Best effort: none of them appears.
fn end_jobs() {
    let _ended = Command::new(SYSTEMCTL).arg("cancel").output();
}

fn uptime() -> Duration {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default()
}

fn note(directory: &Path, disk: &str) -> std::io::Result<()> {
    // sysfs has `!` for the `/` in a name of devtmpfs.
    let marker = directory.join(format!("booted-{}", disk.replace('!', "/")));
    fs::create_dir_all(marker.parent().unwrap_or(directory))?;
    fs::write(name_file(directory), disk)?;
    fs::write(marker, "")
}

fn name_file(directory: &Path) -> PathBuf {
    directory.join("booted")
}

/// Has the rules applied once more to the partitions of `disk`.
fn tell_udev(system: &System, disk: &str) -> Result<(), Failure> {
    let devices = system.devices().into_iter();
    for device in devices.filter(|device| device.disk.as_deref() == Some(disk)) {
        let place = system.sys.join("class/block").join(&device.name);
        fs::write(place.join("uevent"), "change")
            .during(|| format!("telling udev of {}", device.path.display()))?;
    }
    Ok(())
}

fn renew(system: &System) -> Result<(), Failure> {
    let place = name_file(Path::new(BOOTED));
    let disk = fs::read_to_string(&place).during(|| format!("reading {}", place.display()))?;
    fresh::give(system, &disk);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::{name_file, note, task};

    #[test]
    fn the_disk_is_noted_for_udev_and_for_the_other_task() {
        for (disk, marker) in [("vda", "booted-vda"), ("cciss!c0d0", "booted-cciss/c0d0")] {
            let run = tempfile::tempdir().unwrap();
            let directory = run.path().join("x");
            note(&directory, disk).unwrap();
            assert!(directory.join(marker).is_file(), "{marker}");
            assert_eq!(fs::read_to_string(name_file(&directory)).unwrap(), disk);
        }
    }

    #[test]
    fn other_words_are_not_for_it() {
        for words in [&[][..], &["choose"], &["choose-disk", "x"]] {
            let words: Vec<_> = words.iter().map(Into::into).collect();
            assert!(task(&words).is_none(), "{words:?}");
        }
    }
}

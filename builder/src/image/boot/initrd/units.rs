//! The units that mount the node's own files over the root.
//!
//! ```text
//! sysroot.mount           the root, by what the command line says, of the booted disk
//!   systemd-repart        makes the state at the first boot
//!     systemd-fsck@...    repairs it after a power cut
//!       sysroot-var.mount
//!         nodeimg-state   makes the directories of the overlays, merges files of /etc
//!           sysroot-etc.mount, ...
//! ```
//! A oneshot service is wanted, never required, by what follows it:
//! `systemctl isolate initrd-switch-root.target` stops it, and would take the
//! mounts that require it along.

use anyhow::Result;
use nodeimg_seed::contract::initrd_plan::{HELPER, MERGE_ETC, MKFS_OPTIONS, OVERLAYS};

use super::Initrd;
use super::booted::GUIDS;
use super::repart::{DIRECTORY as DEFINITIONS, STATE_LABEL};
use crate::image::boot::mounts::{Mount, escaped, overlays, place};
use crate::tree::ImagePath;

pub const UNITS: &str = "/usr/lib/systemd/system";
const ROOT: &str = "/sysroot";
const STATE: &str = "nodeimg-state.service";

/// Told on the consoles when the root cannot be mounted. There is no shell: no
/// account of the initrd could log in to it.
const EMERGENCY: &str = "[Unit]
Description=What keeps this node from booting
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
StandardOutput=journal+console
ExecStart=-systemctl --failed --no-pager --plain --no-legend
ExecStart=-journalctl --boot --priority=err --output=cat --lines=30 --no-pager
";

/// A slow disk is slow, not missing.
const TIMEOUT: &str = "[Manager]\nDefaultDeviceTimeoutSec=5min\n";
/// Nor are its modules; systemd's own limit is 90 s.
const MODULES_TIMEOUT: &str = "[Service]\nTimeoutStartSec=15min\n";

/// Adds the units for `mounts`.
pub fn add(initrd: &mut Initrd, mounts: &[Mount]) -> Result<()> {
    initrd.text("/usr/lib/systemd/system.conf.d/10-nodeimg.conf", TIMEOUT)?;
    initrd.text(
        &format!("{UNITS}/systemd-modules-load.service.d/10-nodeimg.conf"),
        MODULES_TIMEOUT,
    )?;
    initrd.text(&format!("{UNITS}/emergency.service"), EMERGENCY)?;
    state(initrd)?;
    let overlays: Vec<&ImagePath> = overlays(mounts).collect();
    directories(initrd, &overlays)?;
    for path in overlays {
        overlay(initrd, path)?;
    }
    // Nothing is in fstab, so initrd-parse-etc is left out, and with it what
    // would start the switch to the root.
    initrd.link(
        &format!("{UNITS}/initrd.target.wants/initrd-cleanup.service"),
        "../initrd-cleanup.service",
    )
}

fn state(initrd: &mut Initrd) -> Result<()> {
    let device = format!("/dev/disk/by-partlabel/{STATE_LABEL}");
    let fsck = format!("systemd-fsck@{}.service", escaped(&device));
    let grow = format!("systemd-growfs@{}.service", escaped("/sysroot/var"));
    let (options, value) = MKFS_OPTIONS;
    // Left to itself it would look for definitions in the root.
    initrd.text(
        &format!("{UNITS}/systemd-repart.service.d/10-nodeimg.conf"),
        format!(
            "[Unit]\nRequires=sysroot.mount\nWants={GUIDS}\nAfter=sysroot.mount {GUIDS}\nBefore=sysroot-var.mount\n\n[Service]\n\
             Environment=\"{options}={value}\"\nExecStart=\n\
             ExecStart=systemd-repart --dry-run=no --definitions={DEFINITIONS}\n"
        ),
    )?;
    initrd.text(
        &format!("{UNITS}/{fsck}.d/10-nodeimg.conf"),
        "[Unit]\nAfter=systemd-repart.service\n",
    )?;
    initrd.text(
        &format!("{UNITS}/{grow}.d/10-nodeimg.conf"),
        "[Unit]\nBefore=initrd-fs.target\n",
    )?;
    let unit = format!(
        "[Unit]
Description=The node's state
DefaultDependencies=no
Wants=systemd-repart.service {fsck} {grow}
After=systemd-repart.service {fsck} sysroot.mount
Before=initrd-fs.target

[Mount]
What={device}
Where={ROOT}/var
Type=ext4
Options=noatime
"
    );
    mount_unit(initrd, "/var", &unit)
}

/// The directories of every overlay, before the first of them is mounted.
fn directories(initrd: &mut Initrd, overlays: &[&ImagePath]) -> Result<()> {
    let mut unit = format!(
        "[Unit]
Description=Directories of the node's own files
DefaultDependencies=no
Wants=sysroot-var.mount
After=sysroot.mount sysroot-var.mount
IgnoreOnIsolate=yes

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mkdir -p {ROOT}{OVERLAYS}
ExecStart=chmod 0700 {ROOT}{OVERLAYS}
"
    );
    for path in overlays {
        let place = quoted(&format!("{ROOT}{}", place(path)));
        unit += &format!("ExecStart=mkdir -p {place}/upper {place}/work\n");
    }
    // The image's files are seen as long as nothing is mounted over them.
    unit += &format!("ExecStart=-{HELPER} {MERGE_ETC}\n");
    initrd.text(&format!("{UNITS}/{STATE}"), unit)
}

fn overlay(initrd: &mut Initrd, path: &ImagePath) -> Result<()> {
    let below = quoted(&format!("{ROOT}{path}"));
    let place = quoted(&format!("{ROOT}{}", place(path)));
    let unit = format!(
        "[Unit]
Description=The node's own files in {}
DefaultDependencies=no
Wants={STATE}
After={STATE} sysroot.mount
Before=initrd-fs.target

[Mount]
What=overlay
Where={below}
Type=overlay
Options=lowerdir={below},upperdir={place}/upper,workdir={place}/work
",
        quoted(path.as_str())
    );
    mount_unit(initrd, path.as_str(), &unit)
}

fn mount_unit(initrd: &mut Initrd, path: &str, text: &str) -> Result<()> {
    let name = format!("{}.mount", escaped(&format!("{ROOT}{path}")));
    initrd.text(&format!("{UNITS}/{name}"), text)?;
    initrd.link(
        &format!("{UNITS}/initrd-fs.target.requires/{name}"),
        &format!("../{name}"),
    )
}

/// Specifiers begin with `%`.
fn quoted(text: &str) -> String {
    text.replace('%', "%%")
}

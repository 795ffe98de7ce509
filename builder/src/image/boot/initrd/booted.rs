//! In systemd's initrd: root and state from the disk that was booted, and from no other.
//!
//! ```text
//! nodeimg-disk     the first-boot binary finds the disk, and notes it
//!   udev           shows the partitions of that disk to systemd, and no others
//!     systemd-veritysetup@root, sysroot.mount
//!       nodeimg-guids    gives the disk GUIDs of its own
//!         systemd-repart, the state
//! ```
//! systemd waits for partitions by names that every copy of an image has. So the rule is
//! udev's: before the disk is known no partition has a name, and later only those of that
//! disk have. Without it, systemd would take whichever copy udev sees last.

use anyhow::Result;
use nodeimg_seed::contract::initrd_plan::{BOOTED, CHOOSE_DISK, HELPER, RENEW_GUIDS};

use super::units::UNITS;
use super::{Initrd, InitrdInputs};

/// After all others of systemd's, which give names and say what is ready.
const RULES: &str = "/usr/lib/udev/rules.d/99-zz-nodeimg.rules";
const DISK: &str = "nodeimg-disk.service";
pub const GUIDS: &str = "nodeimg-guids.service";

/// Adds the binary, the rules and the units.
pub fn add(initrd: &mut Initrd, inputs: &InitrdInputs<'_>) -> Result<()> {
    initrd.put(HELPER, inputs.binary()?)?;
    initrd.text(RULES, rules())?;
    initrd.text(&format!("{UNITS}/{DISK}"), disk())?;
    initrd.text(&format!("{UNITS}/{GUIDS}"), guids())?;
    initrd.link(
        &format!("{UNITS}/initrd-root-device.target.wants/{DISK}"),
        &format!("../{DISK}"),
    )
}

fn rules() -> String {
    format!(
        "# Until the disk that was booted is known, and on other disks, no partition is there\n\
         # for systemd.\n\
         SUBSYSTEM==\"block\", ENV{{DEVTYPE}}==\"partition\", ACTION!=\"remove\", \
         TEST!=\"{BOOTED}/booted-$parent\", SYMLINK:=\"\", ENV{{SYSTEMD_READY}}=\"0\"\n"
    )
}

/// If it fails, it has ended all that waits for a partition, and said on the consoles why.
fn disk() -> String {
    format!(
        "[Unit]
Description=The disk that was booted
DefaultDependencies=no
After=systemd-udev-trigger.service
Before=initrd-root-device.target
Conflicts=shutdown.target
Before=shutdown.target
OnFailure=emergency.target
OnFailureJobMode=replace-irreversibly

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=infinity
ExecStart={HELPER} {CHOOSE_DISK}
"
    )
}

/// While the root is mounted: the kernel would otherwise read the table again, and take
/// the partitions away for a moment.
fn guids() -> String {
    format!(
        "[Unit]
Description=GUIDs of the disk that was booted
DefaultDependencies=no
Requires=sysroot.mount
After=sysroot.mount
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={HELPER} {RENEW_GUIDS}
"
    )
}

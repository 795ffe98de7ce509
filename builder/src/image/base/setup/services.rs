//! systemd and sshd as an image wants them.

use anyhow::Result;

use super::Base;
use crate::image::units;

/// Jobs of a first boot or an update that find everything done already, and
/// could not write it to a read-only /usr and /etc.
const MASKED: [&str; 9] = [
    "e2scrub_reap.service",
    "ldconfig.service",
    "systemd-boot-update.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-remount-fs.service",
    "systemd-sysusers.service",
    "systemd-update-done.service",
];

/// systemd-sysv's links.
const INIT_LINKS: [(&str, &str); 5] = [
    ("/usr/sbin/halt", "../bin/systemctl"),
    ("/usr/sbin/init", "../lib/systemd/systemd"),
    ("/usr/sbin/poweroff", "../bin/systemctl"),
    ("/usr/sbin/reboot", "../bin/systemctl"),
    ("/usr/sbin/shutdown", "../bin/systemctl"),
];

/// A log that outlives a boot, bounded.
const JOURNALD: &str = "[Journal]\nStorage=persistent\nSystemMaxUse=512M\n";
/// The routes of a CNI plugin are not networkd's to remove.
const NETWORKD: &str = "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n";
/// For every wired interface that the seed says nothing about.
const DHCP: &str = "[Match]\nType=ether\nKind=!*\n\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\nLinkLocalAddressing=ipv6\n";
/// No account has a password, so none is asked for.
const SSHD: &str = "PasswordAuthentication no\nKbdInteractiveAuthentication no\n";

pub fn systemd(base: &mut Base<'_>) -> Result<()> {
    if !base.has("/usr/lib/systemd/systemd")? {
        return Ok(());
    }
    for (path, target) in INIT_LINKS {
        base.link(path, target)?;
    }
    // In /usr: `systemctl preset-all` would take a link in /etc away.
    base.link(
        "/usr/lib/systemd/system/default.target",
        "multi-user.target",
    )?;
    base.file("/usr/lib/systemd/journald.conf.d/10-nodeimg.conf", JOURNALD)?;
    if base.has("/usr/lib/systemd/systemd-networkd")? {
        base.file("/usr/lib/systemd/networkd.conf.d/10-nodeimg.conf", NETWORKD)?;
        base.file("/usr/lib/systemd/network/80-nodeimg-dhcp.network", DHCP)?;
    }
    Ok(())
}

/// logind wants it for the screens of seats; if there is one, its driver brings it.
const SCREENS: &str = "modprobe@drm.service";

pub fn mask(base: &mut Base<'_>) -> Result<()> {
    if base.has("/usr/lib/systemd/system/modprobe@.service")? {
        let origin = base.origin();
        units::mask(base.tree, SCREENS, origin)?;
    }
    for unit in MASKED {
        if base.has(&format!("/usr/lib/systemd/system/{unit}"))? {
            let origin = base.origin();
            units::mask(base.tree, unit, origin)?;
        }
    }
    Ok(())
}

/// sshd_config is ucf's in Debian, not in the package. Host keys are made at the
/// boot that lacks them by the package's own sshd-keygen.service and the overlay's drop-in.
pub fn ssh(base: &mut Base<'_>) -> Result<()> {
    if base.copy("/usr/share/openssh/sshd_config", "/etc/ssh/sshd_config")? {
        base.file("/etc/ssh/sshd_config.d/10-nodeimg.conf", SSHD)?;
    }
    Ok(())
}

//! systemd and sshd as an image wants them.

use anyhow::Result;

use super::Base;
use crate::image::units;

/// Jobs of a first boot or an update that find everything done already, and
/// could not write it to a read-only /usr and /etc.
const MASKED: [&str; 10] = [
    "e2scrub_reap.service",
    "ldconfig.service",
    "systemd-boot-update.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-remount-fs.service",
    "systemd-sysusers.service",
    // What systemd-tmpfiles-setup-dev-early.service could not make, since an account was
    // still missing: here no account is.
    "systemd-tmpfiles-setup-dev.service",
    "systemd-update-done.service",
];

/// What these two read is there at few nodes: the firmware's credentials and those of files,
/// where `ImportCredential=` looks for them
/// ([systemd.exec(5)](https://manpages.debian.org/trixie/systemd/systemd.exec.5.en.html)).
const CREDENTIALS: &str = "\
[Unit]
ConditionDirectoryNotEmpty=|/run/credentials/@system
ConditionDirectoryNotEmpty=|/run/credentials/@encrypted
ConditionDirectoryNotEmpty=|/etc/credstore
ConditionDirectoryNotEmpty=|/etc/credstore.encrypted
ConditionDirectoryNotEmpty=|/run/credstore
ConditionDirectoryNotEmpty=|/run/credstore.encrypted
ConditionDirectoryNotEmpty=|/usr/lib/credstore
ConditionDirectoryNotEmpty=|/usr/lib/credstore.encrypted
";

/// The same, and the words of the kernel's command line that it reads
/// ([systemd-network-generator(8)](https://manpages.debian.org/trixie/systemd/systemd-network-generator.8.en.html)).
const OF_THE_COMMAND_LINE: &str = "\
ConditionKernelCommandLine=|bond
ConditionKernelCommandLine=|bridge
ConditionKernelCommandLine=|ifname
ConditionKernelCommandLine=|ip
ConditionKernelCommandLine=|nameserver
ConditionKernelCommandLine=|net.ifname-policy
ConditionKernelCommandLine=|net.ifname_policy
ConditionKernelCommandLine=|rd.peerdns
ConditionKernelCommandLine=|rd.route
ConditionKernelCommandLine=|vlan
";

/// Units that would start a program at every boot, which finds nothing to do or is not waited
/// for: drop-ins that leave them for the nodes that need them.
const DROP_INS: [(&str, &[&str]); 5] = [
    // The build has made them: `modules::STATIC_NODES`.
    (
        "kmod-static-nodes.service",
        &["[Unit]\nConditionPathExists=!/usr/lib/tmpfiles.d/nodeimg-static-nodes.conf\n"],
    ),
    // sshd itself reads the same configuration a moment later, and fails as well.
    ("ssh.service", &["[Service]\nExecStartPre=\n"]),
    (
        "systemd-network-generator.service",
        &[CREDENTIALS, OF_THE_COMMAND_LINE],
    ),
    // For the leases that a DHCP server of networkd gives.
    (
        "systemd-networkd-persistent-storage.service",
        &["[Unit]\nAfter=multi-user.target\n"],
    ),
    ("systemd-udev-load-credentials.service", &[CREDENTIALS]),
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

/// Lays the drop-ins beside the units that the tree has.
pub fn drop_ins(base: &mut Base<'_>) -> Result<()> {
    for (unit, parts) in DROP_INS {
        let path = format!("/usr/lib/systemd/system/{unit}");
        if base.has(&path)? {
            base.file(&format!("{path}.d/10-nodeimg.conf"), parts.concat())?;
        }
    }
    Ok(())
}

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

//! Files that base-files, libc, tzdata and others make when they are configured.

use anyhow::Result;

use super::Base;
use super::machine_id::{self, UNINITIALIZED};

const SHELLS: [&str; 3] = ["sh", "bash", "dash"];

pub fn write(base: &mut Base<'_>) -> Result<()> {
    base.copy("/usr/share/base-files/profile", "/etc/profile")?;
    base.copy("/usr/share/base-files/motd", "/etc/motd")?;
    base.file("/etc/environment", "")?;
    let mut shells = String::new();
    for shell in SHELLS {
        if base.has(&format!("/usr/bin/{shell}"))? {
            shells.push_str(&format!("/bin/{shell}\n/usr/bin/{shell}\n"));
        }
    }
    base.file("/etc/shells", shells)?;
    if base.has("/etc/dpkg/origins/debian")? {
        base.link("/etc/dpkg/origins/default", "debian")?;
    }
    // Debian's tmpfiles.d makes the same link, on a /etc that can be written.
    base.link("/etc/mtab", "../proc/self/mounts")?;
    // Until it is known whether a unit needs it.
    base.file_of(machine_id::PATH, UNINITIALIZED.to_owned(), 0o444, 0)
}

/// UTC and the one locale that libc has built in: the same on every node.
pub fn locale(base: &mut Base<'_>) -> Result<()> {
    if base.has("/usr/share/zoneinfo/Etc/UTC")? {
        base.link("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC")?;
        base.file("/etc/timezone", "Etc/UTC\n")?;
    }
    base.file("/etc/locale.conf", "LANG=C.UTF-8\n")?;
    base.link("/etc/default/locale", "../locale.conf")?;
    base.link("/etc/vconsole.conf", "default/keyboard")
}

//! What of Debian's packages no immutable image needs.

use crate::tree::ImagePath;

/// Directories that are left out with all that is in them. A copyright file is
/// never left out: redistribution asks for it.
const EXCLUDED: [&str; 34] = [
    // To be read by people, who read it elsewhere.
    "/usr/share/doc",
    "/usr/share/doc-base",
    "/usr/share/info",
    "/usr/share/man",
    // Translations: the system speaks C.UTF-8.
    "/usr/share/i18n",
    "/usr/share/locale",
    // For tools that are not in the image.
    "/etc/X11",
    "/etc/apport",
    "/etc/dhcp",
    "/etc/insserv",
    "/etc/insserv.conf.d",
    "/etc/logrotate.d",
    "/etc/runit",
    "/etc/sv",
    "/etc/xdg",
    "/usr/share/applications",
    "/usr/share/apport",
    "/usr/share/bash-completion",
    "/usr/share/bug",
    "/usr/share/debconf",
    "/usr/share/fish",
    "/usr/share/gcc",
    "/usr/share/gdb",
    "/usr/share/lintian",
    "/usr/share/menu",
    "/usr/share/metainfo",
    "/usr/share/perl5",
    "/usr/share/pixmaps",
    "/usr/share/polkit-1",
    "/usr/share/runit",
    "/usr/share/zsh",
    // What runs when packages change, which none does.
    "/etc/kernel",
    "/usr/lib/kernel",
    "/usr/share/initramfs-tools",
];

/// The same by the beginning of a name: jobs and services of systems before
/// systemd (`/etc/cron.daily`, `/etc/rc0.d`), dracut's modules.
const EXCLUDED_BEGINNINGS: [&str; 4] = ["/etc/cron", "/etc/init.d", "/etc/rc", "/usr/lib/dracut"];

/// Whether the file or directory at `path` stays out of the image.
pub fn excluded(path: &ImagePath) -> bool {
    let text = path.as_str();
    if text.starts_with("/usr/share/doc/") && path.name() == "copyright" {
        return false;
    }
    let within = |directory: &str| {
        let rest = text.strip_prefix(directory);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    EXCLUDED.iter().any(|directory| within(directory))
        || EXCLUDED_BEGINNINGS
            .iter()
            .any(|name| text.starts_with(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_stays_out() {
        for (path, want) in [
            ("/usr/share/doc", true),
            ("/usr/share/doc/libc6/changelog.gz", true),
            ("/usr/share/doc/libc6/copyright", false),
            ("/usr/share/documents", false),
            ("/usr/share/man/man1/ls.1.gz", true),
            ("/etc/cron.daily/x", true),
            ("/etc/rc0.d/K01x", true),
            ("/etc/rpc", false),
            ("/etc/ssh/sshd_config", false),
            ("/usr/share/mime", false),
        ] {
            assert_eq!(excluded(&path.parse().unwrap()), want, "{path}");
        }
    }
}

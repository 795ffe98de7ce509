//! The top of the tree, and what of the packages does not belong in it.
//!
//! `/home`, `/root`, `/srv` and `/mnt` are links into `/var`, which is the
//! node's own. `/opt` stays a directory of the image: `/opt/cni/bin` holds the
//! plugins at the place that the contract names, verified with the rest of `/`,
//! and is made writable (for a CNI's own installer) as every other path of
//! `writable` is, by what mounts the state. A link of `/opt` into `/var` would
//! make each plugin a copy that an update of the image does not reach.

use anyhow::Result;

use super::Base;
use crate::tree::{ImagePath, Node, Origin};

/// Paths to remove, and why they are harmful or useless; the container runtime has more.
const REMOVED: [(&str, &str); 13] = [
    (
        "/usr/lib/udev/hwdb.d",
        "names for people to read; the binary form holds build paths",
    ),
    ("/usr/lib/udev/hwdb.bin", "as above"),
    (
        "/usr/lib/systemd/catalog",
        "texts of `journalctl -x`, useless without their index",
    ),
    (
        "/usr/lib/systemd/system-generators/systemd-ssh-generator",
        "fails without vsock",
    ),
    (
        "/usr/lib/systemd/system-generators/systemd-hibernate-resume-generator",
        "a node has no swap to resume from",
    ),
    (
        "/usr/lib/systemd/system-generators/systemd-system-update-generator",
        "looks for /system-update, and the top of the tree is read-only",
    ),
    (
        "/usr/lib/systemd/system/sysinit.target.wants/sys-fs-fuse-connections.mount",
        "mounted by udev when something loads fuse, as opening /dev/fuse does",
    ),
    (
        "/usr/lib/systemd/system/sysinit.target.wants/sys-kernel-config.mount",
        "mounted by udev when something loads configfs",
    ),
    (
        "/usr/lib/tmpfiles.d/20-systemd-ssh-generator.conf",
        "belongs to the generator",
    ),
    (
        "/usr/lib/tmpfiles.d/home.conf",
        "/home and /srv are links here",
    ),
    (
        "/etc/network",
        "ifupdown's hooks; networkd does the network",
    ),
    ("/etc/ufw", "profiles of a firewall that is not installed"),
    ("/var/log/runit", "another init"),
];

const DIRECTORIES: [(&str, u32); 11] = [
    ("/boot", 0o755),
    ("/dev", 0o755),
    ("/efi", 0o755),
    ("/media", 0o755),
    ("/opt", 0o755),
    ("/proc", 0o555),
    ("/run", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/usr/local/bin", 0o755),
    ("/var", 0o755),
];

const LINKS: [(&str, &str); 4] = [
    ("/home", "var/home"),
    ("/mnt", "var/mnt"),
    ("/root", "var/roothome"),
    ("/srv", "var/srv"),
];

const PROVISION: &str = "/usr/lib/tmpfiles.d/provision.conf";

pub fn remove(base: &mut Base<'_>) -> Result<()> {
    for (path, _) in REMOVED.iter().chain(base.facts.runtime.left_out) {
        base.remove(path)?;
    }
    Ok(())
}

/// Removes the package apparmor's own profiles, a hundred or so, mostly of desktop programs:
/// nodeimg loads none of them. The files that profiles include stay, because the profiles of
/// containerd, of other packages and of recipes need them.
pub fn profiles(base: &mut Base<'_>) -> Result<()> {
    let own = Origin::Package("apparmor".to_owned());
    for path in base.list("/etc/apparmor.d", "")? {
        if base.tree.get(&path).is_some_and(|node| node.origin == own) {
            base.remove(path.as_str())?;
        }
    }
    Ok(())
}

pub fn top(base: &mut Base<'_>) -> Result<()> {
    for (path, target) in LINKS {
        base.remove(path)?;
        base.link(path, target)?;
    }
    for (path, mode) in DIRECTORIES {
        base.directory(path, mode)?;
    }
    let lib64 = base.has("/usr/lib64")?;
    for (path, target) in ImagePath::merged_usr(lib64) {
        let node = Node::symlink(target, base.origin());
        base.tree.insert(path, node)?;
    }
    // It sets /root's mode and keys, which lie behind a link here.
    if let Some(text) = base.text(PROVISION)? {
        base.file(PROVISION, text.replace(" /root", " /var/roothome"))?;
    }
    Ok(())
}

/// Debian's plugins, at the place that the contract and every CNI manifest name.
pub fn cni_plugins(base: &mut Base<'_>) -> Result<()> {
    for plugin in base.list("/usr/lib/cni", "")? {
        let place = format!("/opt/cni/bin/{}", plugin.name());
        base.link(&place, &format!("../../../usr/lib/cni/{}", plugin.name()))?;
    }
    Ok(())
}

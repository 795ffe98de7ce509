//! An initrd of systemd's own parts, all from the root's packages.
//!
//! What each list names was found by booting: a generator or a rule more costs
//! time at every boot, one less shows as a node that does not come up.

use anyhow::{Context, Result};

use super::{Initrd, InitrdInputs, booted, drivers, repart, units};
use crate::image::boot::mounts;
use crate::image::modules::{self, Modules, Stored};
use crate::tree::{ImagePath, Kind, Node};
use units::UNITS;

const DIRECTORIES: [(&str, u32); 10] = [
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/sys", 0o555),
    ("/sysroot", 0o755),
    ("/tmp", 0o1777),
    ("/usr/sbin", 0o755),
    ("/var", 0o755),
];

/// Programs that there must be, with the package that has each.
pub const PROGRAMS: [(&str, &str); 26] = [
    ("/usr/bin/chmod", "coreutils"),
    ("/usr/bin/journalctl", "systemd"),
    ("/usr/bin/kmod", "kmod"),
    ("/usr/bin/mkdir", "coreutils"),
    ("/usr/bin/mount", "mount"),
    ("/usr/bin/systemctl", "systemd"),
    ("/usr/bin/systemd-repart", "systemd-repart"),
    ("/usr/bin/systemd-tmpfiles", "systemd"),
    ("/usr/bin/udevadm", "udev"),
    ("/usr/bin/umount", "mount"),
    (
        "/usr/lib/systemd/system-generators/systemd-fstab-generator",
        "systemd",
    ),
    (
        "/usr/lib/systemd/system-generators/systemd-veritysetup-generator",
        "systemd-cryptsetup",
    ),
    ("/usr/lib/systemd/systemd", "systemd"),
    ("/usr/lib/systemd/systemd-executor", "systemd"),
    ("/usr/lib/systemd/systemd-fsck", "systemd"),
    ("/usr/lib/systemd/systemd-growfs", "systemd"),
    ("/usr/lib/systemd/systemd-journald", "systemd"),
    ("/usr/lib/systemd/systemd-modules-load", "systemd"),
    ("/usr/lib/systemd/systemd-shutdown", "systemd"),
    ("/usr/lib/systemd/systemd-udevd", "udev"),
    ("/usr/lib/systemd/systemd-veritysetup", "systemd-cryptsetup"),
    ("/usr/sbin/dmsetup", "dmsetup"),
    ("/usr/sbin/fsck", "util-linux"),
    ("/usr/sbin/fsck.ext4", "e2fsprogs"),
    ("/usr/sbin/mkfs.ext4", "e2fsprogs"),
    ("/usr/sbin/modprobe", "kmod"),
];

/// Libraries that systemd opens by itself, so that no program names them.
const OPENED: [&str; 8] = [
    "libblkid.so.1",
    "libcrypto.so.3",
    "libcryptsetup.so.12",
    "libfdisk.so.1",
    "libkmod.so.2",
    "libmount.so.1",
    "libnss_files.so.2",
    "libzstd.so.1",
];

/// Taken if they are there.
const FILES: [&str; 12] = [
    "/etc/mke2fs.conf",
    "/usr/lib/tmpfiles.d/20-systemd-stub.conf",
    "/usr/lib/udev/ata_id",
    "/usr/lib/udev/rules.d/50-udev-default.rules",
    "/usr/lib/udev/rules.d/55-dm.rules",
    "/usr/lib/udev/rules.d/60-block.rules",
    "/usr/lib/udev/rules.d/60-persistent-storage-dm.rules",
    "/usr/lib/udev/rules.d/60-persistent-storage.rules",
    "/usr/lib/udev/rules.d/80-drivers.rules",
    "/usr/lib/udev/rules.d/95-dm-notify.rules",
    "/usr/lib/udev/rules.d/99-systemd.rules",
    "/usr/lib/udev/scsi_id",
];

/// Units of the packages, if they are there.
const PACKAGED: [&str; 53] = [
    "-.slice",
    "basic.target",
    "cryptsetup-pre.target",
    "emergency.target",
    "final.target",
    "halt.target",
    "initrd-cleanup.service",
    "initrd-fs.target",
    "initrd-root-device.target",
    "initrd-root-fs.target",
    "initrd-switch-root.service",
    "initrd-switch-root.target",
    "initrd-udevadm-cleanup-db.service",
    "initrd-usr-fs.target",
    "initrd.target",
    "kmod-static-nodes.service",
    "local-fs-pre.target",
    "local-fs.target",
    "modprobe@.service",
    "paths.target",
    "poweroff.target",
    "reboot.target",
    "remote-veritysetup.target",
    "shutdown.target",
    "slices.target",
    "sockets.target",
    "swap.target",
    "sysinit.target",
    "system-systemd\\x2dveritysetup.slice",
    "system.slice",
    "systemd-fsck-root.service",
    "systemd-fsck@.service",
    "systemd-growfs@.service",
    "systemd-halt.service",
    "systemd-journald-dev-log.socket",
    "systemd-journald.service",
    "systemd-journald.socket",
    "systemd-modules-load.service",
    "systemd-poweroff.service",
    "systemd-reboot.service",
    "systemd-repart.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
    "time-set.target",
    "timers.target",
    "umount.target",
    "veritysetup-pre.target",
    "veritysetup.target",
];

/// Modules that systemd asks for in an initrd, or that get it what a machine
/// has to say; if the kernel has them.
const MODULES: [&str; 9] = [
    "autofs4",
    "dmi_sysfs",
    "efivarfs",
    "hid_generic",
    "nls_ascii",
    "nls_cp437",
    "qemu_fw_cfg",
    "vfat",
    "virtio_rng",
];
/// Of modprobe, which looks names up in the binary ones alone.
const INDEX: [&str; 3] = [
    "modules.order",
    "modules.builtin",
    "modules.builtin.modinfo",
];

/// The initrd that `inputs` ask for.
pub fn systemd(inputs: &InitrdInputs<'_>) -> Result<Initrd> {
    let mut initrd = Initrd::new();
    top(&mut initrd, inputs)?;
    programs(&mut initrd, inputs)?;
    accounts(&mut initrd, inputs)?;
    packaged_units(&mut initrd, inputs)?;
    units::add(&mut initrd, &mounts::of(inputs.recipe)?)?;
    booted::add(&mut initrd, inputs)?;
    repart::add(&mut initrd, inputs.slot)?;
    modules(&mut initrd, inputs).context("choosing the kernel modules")?;
    Ok(initrd)
}

fn modules(initrd: &mut Initrd, inputs: &InitrdInputs<'_>) -> Result<()> {
    let known = Modules::read(inputs.tree, inputs.release, Some(inputs.store))?;
    let chosen = drivers::add(initrd, inputs, &known, &MODULES)?;
    let directory = modules::directory(inputs.release)?;
    for (name, bytes) in known.index(Some(&chosen), Stored::Uncompressed)? {
        initrd.text(&format!("{directory}/{name}"), bytes)?;
    }
    for name in INDEX {
        initrd.take(inputs, &format!("{directory}/{name}"))?;
    }
    let names = drivers::loaded(inputs.recipe);
    let text: String = names.map(|name| format!("{name}\n")).collect();
    initrd.text("/usr/lib/modules-load.d/nodeimg.conf", text)
}

fn top(initrd: &mut Initrd, inputs: &InitrdInputs<'_>) -> Result<()> {
    for (path, mode) in DIRECTORIES {
        initrd.directory(path, mode)?;
    }
    let lib64 = inputs.tree.get(&"/usr/lib64".parse()?).is_some();
    for (path, target) in ImagePath::merged_usr(lib64) {
        initrd
            .tree
            .insert(path, Node::symlink(target, super::origin()))?;
    }
    initrd.link("/init", "usr/lib/systemd/systemd")?;
    initrd.release(inputs)?;
    initrd.link("/etc/os-release", "initrd-release")?;
    initrd.text("/etc/fstab", "")?;
    initrd.text("/etc/machine-id", "uninitialized\n")
}

fn programs(initrd: &mut Initrd, inputs: &InitrdInputs<'_>) -> Result<()> {
    for (path, package) in PROGRAMS {
        initrd.demand(inputs, path, package)?;
    }
    for path in FILES {
        initrd.take(inputs, path)?;
    }
    for library in OPENED {
        let path = format!("/usr/lib/{}/{library}", inputs.arch.triplet());
        initrd.take(inputs, &path)?;
    }
    Ok(())
}

/// Root alone, which nobody logs in as; the groups are those of device nodes.
fn accounts(initrd: &mut Initrd, inputs: &InitrdInputs<'_>) -> Result<()> {
    initrd.text("/etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\n")?;
    initrd.text("/etc/nsswitch.conf", "passwd: files\ngroup: files\n")?;
    initrd.take(inputs, "/etc/group")?;
    Ok(())
}

/// The units, with the links between those that are there.
fn packaged_units(initrd: &mut Initrd, inputs: &InitrdInputs<'_>) -> Result<()> {
    for name in PACKAGED {
        initrd.take(inputs, &format!("{UNITS}/{name}"))?;
    }
    for (path, node) in inputs.tree.iter() {
        let Kind::Symlink(target) = &node.kind else {
            continue;
        };
        let directory = path.as_str().strip_prefix(UNITS);
        let parts: Vec<&str> = directory.unwrap_or_default().split('/').collect();
        if let ["", directory, name] = parts[..]
            && let Some(holder) = directory.strip_suffix(".wants")
            && PACKAGED.contains(&name)
            && PACKAGED.contains(&holder)
        {
            initrd.link(path.as_str(), target)?;
        }
    }
    initrd.link(&format!("{UNITS}/default.target"), "initrd.target")?;
    initrd.link(&format!("{UNITS}/ctrl-alt-del.target"), "reboot.target")
}

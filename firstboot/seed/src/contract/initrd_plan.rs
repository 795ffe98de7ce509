//! What the initrd does on a node: the image's instructions to the program in it.
//!
//! The builder writes it to [`PATH`] of the initrd; the binary, started there
//! as `/init`, reads it. Everything else that it needs is in the initrd or in the
//! root that it mounts: modules with kmod's own indices below
//! `/usr/lib/modules/RELEASE`, definitions for systemd-repart in [`DEFINITIONS`].

use serde::{Deserialize, Serialize};

/// The plan, in the initrd.
pub const PATH: &str = "/etc/nodeimg/initrd.json";
/// [repart.d(5)](https://www.freedesktop.org/software/systemd/man/latest/repart.d.html), in the initrd.
pub const DEFINITIONS: &str = "/usr/lib/repart.d";
/// A variable of systemd-repart's environment: the state supports fs-verity, with which
/// containerd seals pulled images.
pub const MKFS_OPTIONS: (&str, &str) = ("SYSTEMD_REPART_MKFS_OPTIONS_EXT4", "-O verity");
/// The node's part of each overlay is below this directory; only root can read it.
pub const OVERLAYS: &str = "/var/lib/nodeimg/overlay";
/// Programs of the root that run before the switch; the first one runs the last.
pub const PROGRAMS: [&str; 4] = [REPART, GROWFS, FSCK, "/usr/sbin/mkfs.ext4"];
pub const REPART: &str = "/usr/bin/systemd-repart";
pub const GROWFS: &str = "/usr/lib/systemd/systemd-growfs";
pub const FSCK: &str = "/usr/sbin/fsck.ext4";

/// In an initrd of systemd: where the program says which disk was booted. `booted` has the
/// name of the disk as in `/sys/block`; `booted-NAME`, with the name as below `/dev`, is
/// there for udev's rules.
pub const BOOTED: &str = "/run/nodeimg-initrd";
/// This program, in an initrd of systemd, and the words for its tasks.
pub const HELPER: &str = "/usr/lib/nodeimg/init";
pub const CHOOSE_DISK: &str = "choose-disk";
pub const RENEW_GUIDS: &str = "renew-guids";
pub const MERGE_ETC: &str = "merge-etc";
pub const START_ONCE_MORE: &str = "start-once-more";

/// For one image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitrdPlan {
    /// The kernel's release, as `uname -r` has it.
    pub release: String,
    /// Modules to load whatever the hardware, by name; one that is built in is not an error.
    pub modules: Vec<String>,
    /// The label of the partition for /var.
    pub state: String,
    /// Directories of the root that are writable through an overlay.
    pub overlays: Vec<Overlay>,
    /// File systems that systemd would otherwise start mount(8) for, one program each.
    pub kernels: Vec<KernelMount>,
    /// Files of the root that are read ahead, in this order, while the disk is otherwise idle.
    pub read_ahead: Vec<String>,
}

/// A directory whose files are the image's, with the node's own over them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// Absolute, in the root.
    pub path: String,
    /// The directory of the node's own files: absolute, below /var.
    pub place: String,
}

/// A file system of the kernel's own, as a mount unit of the root has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelMount {
    /// The unit's name: a node that has changed it has systemd mount it.
    pub unit: String,
    pub kind: String,
    /// Absolute, in the root.
    pub path: String,
    /// Bits of [mount(2)](https://manpages.debian.org/trixie/manpages-dev/mount.2.en.html).
    pub flags: u32,
    /// Of the file system itself, as mount(2) takes them.
    pub options: String,
}

//! What the initrd does on a node, told by the image to the program in it.
//!
//! The builder writes it to [`PATH`] of the initrd; the binary, started there
//! as `/init`, reads it. Everything else that it needs is in the initrd or in the
//! root that it mounts: modules with kmod's own indices below
//! `/usr/lib/modules/RELEASE`, definitions for systemd-repart in [`DEFINITIONS`].

use serde::{Deserialize, Serialize};

/// Of the plan, in the initrd.
pub const PATH: &str = "/etc/nodeimg/initrd.json";
/// [repart.d(5)](https://www.freedesktop.org/software/systemd/man/latest/repart.d.html), in the initrd.
pub const DEFINITIONS: &str = "/usr/lib/repart.d";
/// A variable of systemd-repart's environment: the state has room for fs-verity, by
/// which containerd seals what it has pulled.
pub const MKFS_OPTIONS: (&str, &str) = ("SYSTEMD_REPART_MKFS_OPTIONS_EXT4", "-O verity");
/// What of each overlay is the node's is below this directory; only root looks in.
pub const OVERLAYS: &str = "/var/lib/nodeimg/overlay";
/// Programs of the root that are run before it takes over; the last one by the first.
pub const PROGRAMS: [&str; 4] = [REPART, GROWFS, FSCK, "/usr/sbin/mkfs.ext4"];
pub const REPART: &str = "/usr/bin/systemd-repart";
pub const GROWFS: &str = "/usr/lib/systemd/systemd-growfs";
pub const FSCK: &str = "/usr/sbin/fsck.ext4";

/// One image's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitrdPlan {
    /// The kernel's release, as `uname -r` has it.
    pub release: String,
    /// Modules to load whatever the hardware, by name; one that is built in is not an error.
    pub modules: Vec<String>,
    /// The label of the partition that /var is.
    pub state: String,
    /// Directories of the root that are written to by way of an overlay.
    pub overlays: Vec<Overlay>,
    /// Files of the root that are read ahead, in this order, while nothing else asks for them.
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

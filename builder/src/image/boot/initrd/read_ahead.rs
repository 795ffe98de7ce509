//! Files of the root that every node reads at once, in the order in which it
//! comes to them.
//!
//! While the initrd waits for systemd-repart and fsck, and while systemd starts
//! one unit after the other, a processor is idle that can read, verify and
//! unpack what is needed next. A file that is missing here is read when it is
//! asked for; one that nobody asks for has cost memory that the kernel takes
//! back.

use anyhow::Result;

use super::InitrdInputs;
use crate::image::libraries;
use crate::tree::{ImagePath, Kind};

/// What a name is looked for in, as systemd and a shell do; the first wins.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
const SYSTEMD: [&str; 1] = ["/usr/lib/systemd"];
/// Where recipes have them, and where Debian has them.
const CNI: [&str; 2] = ["/opt/cni/bin", "/usr/lib/cni"];

/// When a file is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Where container images are imported at the first start.
    Images,
}

/// (name, directories, when)
const FILES: [(&str, &[&str], When); 23] = [
    // What starts everything else.
    ("systemd", &SYSTEMD, When::Always),
    ("systemd-executor", &SYSTEMD, When::Always),
    ("systemd-journald", &SYSTEMD, When::Always),
    ("systemd-udevd", &SYSTEMD, When::Always),
    ("udevadm", &PATH, When::Always),
    ("systemd-modules-load", &SYSTEMD, When::Always),
    ("systemd-tmpfiles", &PATH, When::Always),
    ("dbus-broker", &PATH, When::Always),
    ("nodeimg-firstboot", &PATH, When::Always),
    ("systemd-networkd", &SYSTEMD, When::Always),
    ("systemd-resolved", &SYSTEMD, When::Always),
    // The runtime, and large files.
    ("containerd", &PATH, When::Always),
    ("ctr", &PATH, When::Images),
    ("kubelet", &PATH, When::Always),
    ("kube-proxy", &PATH, When::Always),
    ("xtables-nft-multi", &PATH, When::Always),
    // The first pod's.
    ("containerd-shim-runc-v2", &PATH, When::Always),
    ("runc", &PATH, When::Always),
    ("loopback", &CNI, When::Always),
    ("bridge", &CNI, When::Always),
    ("host-local", &CNI, When::Always),
    ("portmap", &CNI, When::Always),
    ("firewall", &CNI, When::Always),
];

/// Those that are in the tree, each once and where it really is, with systemd's
/// private libraries behind what asks for them.
pub fn of(inputs: &InitrdInputs<'_>) -> Result<Vec<String>> {
    let mut files: Vec<String> = Vec::new();
    let mut add = |path: &ImagePath| {
        if !files.iter().any(|there| there == path.as_str()) {
            files.push(path.to_string());
        }
    };
    for (name, directories, when) in FILES {
        if when == When::Images && inputs.recipe.images.is_empty() {
            continue;
        }
        let places = directories.iter();
        let found = places
            .filter_map(|directory| libraries::follow(inputs.tree, &format!("{directory}/{name}")))
            .find_map(|mut way| way.pop());
        let Some(path) = found else { continue };
        add(&path);
        for library in private(inputs, &path)? {
            add(&library);
        }
    }
    Ok(files)
}

/// Libraries that a program has from its own package: `libsystemd-shared-257.so`.
/// Others are small, or read by the programs that the initrd has run already.
fn private(inputs: &InitrdInputs<'_>, program: &ImagePath) -> Result<Vec<ImagePath>> {
    let Some(Kind::File(content)) = inputs.tree.get(program).map(|node| &node.kind) else {
        return Ok(Vec::new());
    };
    let Some(wants) = libraries::wants(inputs.tree, inputs.arch, program, content)? else {
        return Ok(Vec::new());
    };
    let libraries = wants.libraries.into_iter();
    let ours = libraries.filter(|library| library.name.starts_with("libsystemd-"));
    Ok(ours.filter_map(|library| library.way?.pop()).collect())
}

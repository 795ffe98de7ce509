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
use crate::input::recipe::Recipe;
use crate::tree::{ImagePath, Kind};

/// What a name is looked for in, as systemd and a shell do; the first wins.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
const SYSTEMD: [&str; 1] = ["/usr/lib/systemd"];
/// Where recipes have them, and where Debian has them.
const CNI: [&str; 2] = ["/opt/cni/bin", "/usr/lib/cni"];

/// A program, and the directories that it is looked for in.
type Program<'a> = (&'static str, &'a [&'static str]);

/// What starts everything else.
const FIRST: [Program<'static>; 11] = [
    ("systemd", &SYSTEMD),
    ("systemd-executor", &SYSTEMD),
    ("systemd-journald", &SYSTEMD),
    ("systemd-udevd", &SYSTEMD),
    ("udevadm", &PATH),
    ("systemd-modules-load", &SYSTEMD),
    ("systemd-tmpfiles", &PATH),
    ("dbus-broker", &PATH),
    ("nodeimg-firstboot", &PATH),
    ("systemd-networkd", &SYSTEMD),
    ("systemd-resolved", &SYSTEMD),
];

/// Large programs of Kubernetes.
const KUBERNETES: [Program<'static>; 3] = [
    ("kubelet", &PATH),
    ("kube-proxy", &PATH),
    ("xtables-nft-multi", &PATH),
];

/// For the first pod.
const NETWORK: [Program<'static>; 5] = [
    ("loopback", &CNI),
    ("bridge", &CNI),
    ("host-local", &CNI),
    ("portmap", &CNI),
    ("firewall", &CNI),
];

fn programs<'a>(recipe: &Recipe, of_runtime: &'a [&'static str]) -> Vec<Program<'a>> {
    let name = |path: &'static str| path.rsplit('/').next().unwrap_or(path);
    let runtime = recipe.runtime;
    let mut all = FIRST.to_vec();
    all.push((name(runtime.program), &PATH));
    // Container images are imported at the first start.
    if let Some(importer) = runtime.importer().filter(|_| !recipe.images.is_empty()) {
        all.push((name(importer.program), &PATH));
    }
    all.extend(KUBERNETES);
    all.extend(runtime.of_a_pod.iter().map(|name| (*name, of_runtime)));
    all.extend(NETWORK);
    all
}

/// Those that are in the tree, each once and where it really is, with systemd's
/// private libraries behind what asks for them.
pub fn of(inputs: &InitrdInputs<'_>) -> Result<Vec<String>> {
    let mut files: Vec<String> = Vec::new();
    let mut add = |path: &ImagePath| {
        if !files.iter().any(|there| there == path.as_str()) {
            files.push(path.to_string());
        }
    };
    let of_runtime = [&PATH, inputs.recipe.runtime.own_directories].concat();
    for (name, directories) in programs(inputs.recipe, &of_runtime) {
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

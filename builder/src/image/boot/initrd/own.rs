//! An initrd of one program: the first-boot binary, which is `/init` here.
//!
//! ```text
//! /init                        the binary; started so, it does an initrd's work
//! /etc/nodeimg/initrd.json     the plan: nodeimg_seed::contract::initrd_plan
//! /usr/lib/modules/RELEASE/    modules, uncompressed; modules.{dep,alias,softdep}
//! /usr/lib/repart.d/           partitions to come
//! /dev /proc /run /sys ...     empty
//! ```
//!
//! No library and no program of the base system is in it. What makes partitions
//! and file systems is run from the root, as soon as that is mounted.

use anyhow::{Context, Result};
use nodeimg_seed::contract::initrd_plan::{InitrdPlan, Overlay, PATH};

use super::{Initrd, InitrdInputs, drivers, kernel_mounts, read_ahead, repart};
use crate::image::boot::mounts;
use crate::image::modules::{self, Modules, Stored};

/// Programs of the root that the binary runs, with the package that has each.
pub const PROGRAMS: [(&str, &str); 4] = [
    ("/usr/bin/systemd-repart", "systemd-repart"),
    ("/usr/lib/systemd/systemd-growfs", "systemd"),
    ("/usr/sbin/fsck.ext4", "e2fsprogs"),
    ("/usr/sbin/mkfs.ext4", "e2fsprogs"),
];

const DIRECTORIES: [(&str, u32); 8] = [
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/proc", 0o555),
    ("/run", 0o755),
    ("/sys", 0o555),
    ("/sysroot", 0o755),
    ("/tmp", 0o1777),
    ("/usr", 0o755),
];
/// Those of kmod's files that the binary reads.
const INDEX: [&str; 3] = ["modules.alias", "modules.dep", "modules.softdep"];
/// The firmware's variables, which say what was booted.
const VARIABLES: &str = "efivarfs";
/// systemd-repart formats the state through a loop device.
const LOOP: &str = "loop";

/// The initrd that `inputs` ask for.
pub fn own(inputs: &InitrdInputs<'_>) -> Result<Initrd> {
    let mut initrd = Initrd::new();
    for (path, mode) in DIRECTORIES {
        initrd.directory(path, mode)?;
    }
    program(&mut initrd, inputs)?;
    initrd.release(inputs)?;
    repart::add(&mut initrd, inputs.slot)?;
    let loaded = modules(&mut initrd, inputs).context("choosing the kernel modules")?;
    let plan = InitrdPlan {
        release: inputs.release.to_owned(),
        modules: loaded,
        state: repart::STATE_LABEL.to_owned(),
        overlays: overlays(inputs)?,
        kernels: kernel_mounts::of(inputs.tree)?,
        read_ahead: read_ahead::of(inputs)?,
    };
    let text = serde_json::to_string_pretty(&plan).context("writing the plan")?;
    initrd.text(PATH, text + "\n")?;
    Ok(initrd)
}

fn program(initrd: &mut Initrd, inputs: &InitrdInputs<'_>) -> Result<()> {
    initrd.put("/init", inputs.binary()?)?;
    for (path, package) in PROGRAMS {
        inputs.has(path, package)?;
    }
    Ok(())
}

/// The modules, and the names of those to load whatever devices there are.
fn modules(initrd: &mut Initrd, inputs: &InitrdInputs<'_>) -> Result<Vec<String>> {
    let known = Modules::read(inputs.tree, inputs.release, Some(inputs.store))?;
    let chosen = drivers::add(initrd, inputs, &known, &[VARIABLES])?;
    let directory = modules::directory(inputs.release)?;
    for (name, bytes) in known.index(Some(&chosen), Stored::Uncompressed)? {
        if INDEX.contains(&name.as_str()) {
            initrd.text(&format!("{directory}/{name}"), bytes)?;
        }
    }
    // The kernel would have modprobe load what answers to this, which is not
    // here: all of it, and the kernel takes the one that is best.
    let hashes = known.answering(drivers::HASH)?;
    let mut names: Vec<String> = drivers::loaded(inputs.recipe).map(str::to_owned).collect();
    names.extend([LOOP, VARIABLES].map(str::to_owned));
    names.extend(hashes.into_iter().map(str::to_owned));
    Ok(names)
}

fn overlays(inputs: &InitrdInputs<'_>) -> Result<Vec<Overlay>> {
    let mounts = mounts::of(inputs.recipe)?;
    let overlays = mounts::overlays(&mounts).map(|path| Overlay {
        path: path.to_string(),
        place: mounts::place(path),
    });
    Ok(overlays.collect())
}

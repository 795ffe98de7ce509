//! The kernel modules of every initrd: what finds a disk, and what its root is
//! made of.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::{Initrd, InitrdInputs};
use crate::image::modules::Modules;
use crate::tree::ImagePath;

/// Without them no root is mounted, unless the kernel has them built in.
const ESSENTIAL: [&str; 5] = ["dm_verity", "ext4", "overlay", "squashfs", "virtio_blk"];

/// What finds a disk, if the kernel has it.
const DRIVERS: [&str; 32] = [
    "ahci",
    "ahci_platform",
    "ata_piix",
    "crypto-crc32c",
    HASH,
    "ehci_pci",
    "hv_storvsc",
    "hv_vmbus",
    "loop",
    "megaraid_sas",
    "mmc_block",
    "mpi3mr",
    "mpt3sas",
    "mptspi",
    "nvme",
    "pci_hyperv",
    "sd_mod",
    "sdhci_acpi",
    "sdhci_iproc",
    "sdhci_of_dwcmshc",
    "sdhci_pci",
    "smartpqi",
    "uas",
    "ufshcd_pci",
    "usb_storage",
    "virtio_mmio",
    "virtio_pci",
    "virtio_scsi",
    "vmd",
    "vmw_pvscsi",
    "xen_blkfront",
    "xhci_pci",
];

/// What the kernel asks for when it sets dm-verity up.
pub const HASH: &str = "crypto-sha256";

/// Modules that no device asks for by its alias, in order.
pub fn loaded() -> impl Iterator<Item = &'static str> {
    ESSENTIAL.into_iter().filter(|name| *name != "virtio_blk")
}

/// Adds the modules, `more` ones and all that they need; what `initrd` has then.
pub fn add(
    initrd: &mut Initrd,
    inputs: &InitrdInputs<'_>,
    known: &Modules,
    more: &[&str],
) -> Result<BTreeSet<ImagePath>> {
    let names: Vec<&str> = ESSENTIAL
        .into_iter()
        .chain(DRIVERS)
        .chain(more.iter().copied())
        .collect();
    let closure = known.closure(&names)?;
    let missing = |name: &&&str| {
        closure
            .missing
            .iter()
            .any(|other| other.replace('-', "_") == **name)
    };
    if let Some(name) = ESSENTIAL.iter().find(missing) {
        bail!(
            "the kernel {} has no `{name}`, neither as a module nor built in: choose another in \
             `base.packages`",
            inputs.release
        );
    }
    for path in &closure.modules {
        initrd.module(inputs, path)?;
    }
    Ok(closure.modules)
}

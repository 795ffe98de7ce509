//! The kernel modules of every initrd: what finds a disk, and what its root is
//! made of.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use nodeimg_values::arch::Arch;

use super::{Initrd, InitrdInputs};
use crate::image::modules::Modules;
use crate::input::recipe::Recipe;
use crate::input::recipe::value::Word;
use crate::tree::ImagePath;

/// Without them no root is mounted, unless the kernel has them built in.
const ESSENTIAL: [&str; 5] = ["dm_verity", "ext4", "overlay", "squashfs", "virtio_blk"];

/// What finds a disk and is in none of the folders, if the kernel has it.
const DRIVERS: [&str; 6] = [
    "crypto-crc32c",
    HASH,
    "hv_vmbus",
    "loop",
    "virtio_mmio",
    "virtio_pci",
];

/// Where the kernel's drivers of disks are, and of what disks are on: all of them but for
/// the [exceptions](EXCEPTIONS), so that a new kernel's new driver is in.
const FOLDERS: [&str; 11] = [
    "drivers/ata",
    "drivers/block",
    "drivers/memstick",
    "drivers/message/fusion",
    "drivers/mmc",
    "drivers/nvme/host",
    "drivers/pci/controller",
    "drivers/scsi",
    "drivers/ufs",
    "drivers/usb/host",
    "drivers/usb/storage",
];

/// What such a driver waits for on boards: clocks, power, pins and the buses that they are
/// on. No symbol leads there, but the board's device tree does.
const OF_BOARDS: [&str; 24] = [
    "drivers/bus",
    "drivers/clk",
    "drivers/dma",
    "drivers/extcon",
    "drivers/gpio",
    "drivers/hwspinlock",
    "drivers/i2c/busses",
    "drivers/i2c/muxes",
    "drivers/interconnect",
    "drivers/iommu",
    "drivers/mailbox",
    "drivers/mfd",
    "drivers/nvmem",
    "drivers/phy",
    "drivers/pinctrl",
    "drivers/pmdomain",
    "drivers/pwm",
    "drivers/regulator",
    "drivers/reset",
    "drivers/usb/cdns3",
    "drivers/usb/chipidea",
    "drivers/usb/dwc3",
    "drivers/usb/musb",
    "drivers/usb/phy",
];

/// Modules of the folders that no initrd has: kernels, name, reason.
const EXCEPTIONS: &str = include_str!("../../../../data/initrd-exceptions.txt");

/// Whether a kernel is made for virtual machines alone, by its release.
fn is_for_clouds(release: &str) -> bool {
    release.contains("-cloud-")
}

/// Names of modules that an initrd of kernel `release` goes without.
fn exceptions(release: &str) -> BTreeSet<String> {
    let lines = EXCEPTIONS.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let kernels = words.next()?;
        let counts = kernels == "all" || kernels == "cloud" && is_for_clouds(release);
        words.next().filter(|_| counts)
    });
    lines.map(|name| name.replace('-', "_")).collect()
}

/// Names of the modules that the folders give to an initrd.
fn of_folders(known: &Modules, arch: Arch) -> Vec<&str> {
    let has_boards = arch == Arch::Arm64 && !is_for_clouds(&known.release);
    let boards = OF_BOARDS.iter().filter(|_| has_boards);
    let without = exceptions(&known.release);
    let names = FOLDERS
        .iter()
        .chain(boards)
        .flat_map(|top| known.below(top));
    names.filter(|name| !without.contains(*name)).collect()
}

/// What the kernel asks for when it sets dm-verity up.
pub const HASH: &str = "crypto-sha256";

/// Modules that no device asks for by its alias, in order: the recipe's own last.
pub fn loaded(recipe: &Recipe) -> impl Iterator<Item = &str> {
    let own = recipe.disk.initrd_modules.iter().map(Word::as_str);
    let fixed = ESSENTIAL.into_iter().filter(|name| *name != "virtio_blk");
    fixed.chain(own)
}

/// Adds the modules, `more` ones and all that they need, with the firmware that the root has
/// for them; which modules `initrd` has then.
pub fn add(
    initrd: &mut Initrd,
    inputs: &InitrdInputs<'_>,
    known: &Modules,
    more: &[&str],
) -> Result<BTreeSet<ImagePath>> {
    let names: Vec<&str> = ESSENTIAL
        .into_iter()
        .chain(DRIVERS)
        .chain(of_folders(known, inputs.arch))
        .chain(inputs.recipe.disk.initrd_modules.iter().map(Word::as_str))
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
    let firmware = known.firmware_of(inputs.tree, &closure.modules);
    initrd.firmware(inputs, &firmware)?;
    Ok(closure.modules)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Modules of the folders in Debian's kernels: path, and the kernels that have it.
    const OF_DEBIAN: &str = include_str!("tests/debian-modules.txt");
    const KERNELS: [(&str, &str, Arch); 4] = [
        ("amd64", "6.12.118+deb13-amd64", Arch::Amd64),
        ("arm64", "6.12.118+deb13-arm64", Arch::Arm64),
        ("cloud-amd64", "6.12.118+deb13-cloud-amd64", Arch::Amd64),
        ("cloud-arm64", "6.12.118+deb13-cloud-arm64", Arch::Arm64),
    ];

    fn paths_of(kernel: &str) -> Vec<&'static str> {
        let lines = OF_DEBIAN.lines().filter(|line| !line.starts_with('#'));
        let of = |line: &'static str| {
            let mut words = line.split_whitespace();
            let path = words.next()?;
            words.any(|word| word == kernel).then_some(path)
        };
        lines.filter_map(of).collect()
    }

    fn name_of(path: &str) -> String {
        path.rsplit('/').next().unwrap().replace('-', "_")
    }

    #[test]
    fn every_driver_of_a_disk_is_in_the_initrd_or_has_a_reason() {
        for (kernel, release, arch) in KERNELS {
            let paths = paths_of(kernel);
            let known = Modules::of_paths(release, &paths);
            let chosen = of_folders(&known, arch);
            let without = exceptions(release);
            for path in &paths {
                let name = name_of(path);
                let is_in = chosen.contains(&name.as_str());
                assert!(is_in != without.contains(&name), "{kernel}: {path}");
            }
            assert!(paths.len() > 40, "{kernel}: {}", paths.len());
        }
    }

    /// What a machine's firmware can boot from.
    #[test]
    fn the_disks_of_metal_and_boards_are_found() {
        let has = |kernel: usize, names: &[&str]| {
            let (kernel, release, arch) = KERNELS[kernel];
            let known = Modules::of_paths(release, &paths_of(kernel));
            let chosen = of_folders(&known, arch);
            for name in names {
                assert!(chosen.contains(&name_of(name).as_str()), "{kernel}: {name}");
            }
        };
        let metal = [
            "hpsa",
            "aacraid",
            "megaraid_sas",
            "mpt3sas",
            "smartpqi",
            "qla2xxx",
            "lpfc",
            "arcmsr",
            "pm80xx",
            "isci",
            "ahci",
            "sata_nv",
            "nvme",
            "sdhci-pci",
            "sdhci-acpi",
            "ufshcd-pci",
            "xhci-pci",
            "uas",
            "usb-storage",
            "vmd",
            "mmc_block",
        ];
        has(0, &metal);
        has(
            1,
            &[
                "hpsa",
                "aacraid",
                "dw_mmc-rockchip",
                "sdhci-of-arasan",
                "sdhci-esdhc-imx",
                "sdhci-msm",
                "meson-gx-mmc",
                "sunxi-mmc",
                "mtk-sd",
                "sdhci-tegra",
                "xhci-plat-hcd",
                "hisi_sas_v3_hw",
                "ufs-qcom",
                "ahci_xgene",
            ],
        );
        has(
            2,
            &[
                "virtio_blk",
                "virtio_scsi",
                "xen-blkfront",
                "vmw_pvscsi",
                "hv_storvsc",
            ],
        );
        has(
            3,
            &["virtio_blk", "virtio_scsi", "xen-blkfront", "hv_storvsc"],
        );
    }

    #[test]
    fn every_exception_has_a_kernel_a_module_and_a_reason() {
        let lines = EXCEPTIONS
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let all = KERNELS.map(|(kernel, ..)| paths_of(kernel)).concat();
        let mut seen = BTreeSet::new();
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(
                words.len() > 3 && ["all", "cloud"].contains(&words[0]),
                "{line}"
            );
            assert!(seen.insert(words[1]), "{line} is there twice");
            let is_there = all
                .iter()
                .any(|path| name_of(path) == words[1].replace('-', "_"));
            assert!(is_there, "{line}: Debian has no such module");
        }
    }
}

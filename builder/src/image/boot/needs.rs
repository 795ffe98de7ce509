//! What a disk cannot boot without, asked of a lock before anything is fetched.
//!
//! The steps that take these files from the tree say the same of each file;
//! here a recipe that cannot work is told so at `recipe check` and `lock`. A file
//! that an artifact, a `[[file]]` or an overlay brings needs no package.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use nodeimg_values::arch::Arch;

use super::{efi_name, initrd, kernel};
use crate::input::lock::PinnedPackage;
use crate::input::recipe::Recipe;
use crate::tree::ImagePath;

const BOOT_PACKAGE: &str = "systemd-boot-efi";
const KERNELS: &str = "/boot/vmlinuz-";

/// Refuses a lock whose packages cannot boot a disk that the recipe asks for.
///
/// # Errors
/// Names every package that is missing.
pub fn check(recipe: &Recipe, packages: &[PinnedPackage]) -> Result<()> {
    if !recipe.outputs.iter().any(|output| output.is_of_disk()) {
        return Ok(());
    }
    for arch in Arch::ALL {
        let of_arch = packages.iter().filter(|package| package.arch == arch);
        let names: BTreeSet<&str> = of_arch.map(|package| package.name.as_str()).collect();
        if !names.is_empty() {
            check_names(recipe, arch, &names)?;
        }
    }
    Ok(())
}

fn check_names(recipe: &Recipe, arch: Arch, packages: &BTreeSet<&str>) -> Result<()> {
    let efi = efi_name(arch);
    let stub = format!("{}/efi/linux{efi}.efi.stub", kernel::EFI_PROGRAMS);
    let loader = format!("{}/efi/systemd-boot{efi}.efi", kernel::EFI_PROGRAMS);
    let programs = [(stub.as_str(), BOOT_PACKAGE), (&loader, BOOT_PACKAGE)];
    let initrds = initrd::programs(initrd::kind(recipe)).iter().copied();
    let mut missing = BTreeSet::new();
    for (path, package) in programs.into_iter().chain(initrds) {
        if !packages.contains(package) && !brings(recipe, path)? {
            missing.insert(format!("`{package}`"));
        }
    }
    let kernel = packages.iter().any(|name| name.starts_with("linux-image-"));
    if !kernel && !brings_kernel(recipe) {
        missing.insert(format!("a kernel (`linux-image-cloud-{arch}`)"));
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "this lock lacks what a disk for {arch} needs to boot: add to `base.packages` (or \
         `base.arch_packages`) {}, and run `nodeimg lock --update base`",
        missing.into_iter().collect::<Vec<_>>().join(", ")
    )
}

/// Whether the recipe has the file at `path` from elsewhere than a package.
pub fn brings(recipe: &Recipe, path: &str) -> Result<bool> {
    let path: ImagePath = path.parse()?;
    let below = path.as_str().trim_start_matches('/');
    let overlay = |place: &std::path::Path| place.join("root").join(below).exists();
    Ok(recipe
        .artifacts
        .iter()
        .any(|artifact| artifact.provides(&path))
        || recipe.files.iter().any(|file| file.path == path)
        || recipe.overlays.iter().any(|(_, place)| overlay(place)))
}

/// A kernel's name is its own; anything that lands in /boot may be one.
fn brings_kernel(recipe: &Recipe) -> bool {
    let file = recipe
        .files
        .iter()
        .any(|file| file.path.as_str().starts_with(KERNELS));
    let artifact = recipe.artifacts.iter().any(|artifact| {
        let mut rules = artifact.rules.iter();
        rules.any(|rule| rule.to.to_string().starts_with("/boot/"))
    });
    let overlay = |place: &std::path::Path| place.join("root/boot").exists();
    file || artifact || recipe.overlays.iter().any(|(_, place)| overlay(place))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nodeimg_values::digest::Digest;

    use super::*;
    use crate::input::lock::Place;
    use crate::input::recipe::tests::{disk_recipe, recipe};

    const WHOLE: [&str; 13] = [
        "bash",
        "coreutils",
        "dmsetup",
        "e2fsprogs",
        "kmod",
        "linux-image-6.12-amd64",
        "mount",
        "systemd",
        "systemd-boot-efi",
        "systemd-cryptsetup",
        "systemd-repart",
        "udev",
        "util-linux",
    ];

    /// Of [`WHOLE`], what the default initrd's disk needs.
    const OWN: [&str; 5] = [
        "e2fsprogs",
        "linux-image-6.12-amd64",
        "systemd",
        "systemd-boot-efi",
        "systemd-repart",
    ];

    fn told(recipe: &Recipe, without: &[&str]) -> Option<String> {
        let there = WHOLE.into_iter().filter(|name| !without.contains(name));
        let packages: Vec<PinnedPackage> = there
            .map(|name| PinnedPackage {
                name: name.parse().unwrap(),
                arch: Arch::Amd64,
                version: "1".to_owned(),
                place: Place::Archive {
                    suite: "trixie".parse().unwrap(),
                    component: Default::default(),
                    path: format!("pool/{name}.deb"),
                },
                sha256: Digest::sha256(b""),
                size: 0,
            })
            .collect();
        check(recipe, &packages)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn a_disk_names_every_package_that_it_lacks() {
        let disk = disk_recipe("[disk]\ninitrd = \"systemd\"\n");
        assert_eq!(told(&disk, &[]), None);
        let text = told(
            &disk,
            &[
                "systemd-boot-efi",
                "linux-image-6.12-amd64",
                "systemd-repart",
            ],
        )
        .unwrap();
        assert!(
            text.contains("`systemd-boot-efi`, `systemd-repart`, a kernel (`linux-image-cloud-amd64`), and run"),
            "{text}"
        );
        for package in WHOLE.into_iter().filter(|name| *name != "bash") {
            assert!(told(&disk, &[package]).is_some(), "{package}");
        }
        // nodeimg's own initrd runs little of a base system's.
        for package in WHOLE.into_iter().filter(|name| *name != "bash") {
            let wanted = OWN.contains(&package);
            assert_eq!(
                told(&disk_recipe(""), &[package]).is_some(),
                wanted,
                "{package}"
            );
        }
        // An overlay is nothing that boots.
        assert_eq!(told(&recipe(""), &WHOLE[1..]), None);
    }

    #[test]
    fn a_file_of_the_recipe_s_own_needs_no_package() {
        let own = ["linuxx64.efi.stub", "systemd-bootx64.efi"].map(|name| {
            format!("[[file]]\npath = \"/usr/lib/systemd/boot/efi/{name}\"\ncontent = \"x\"\n")
        });
        let kernel = "[[file]]\npath = \"/boot/vmlinuz-6.18-mine\"\ncontent = \"x\"\n";
        let without = ["systemd-boot-efi", "linux-image-6.12-amd64"];
        assert_eq!(told(&disk_recipe(&(own.concat() + kernel)), &without), None);
        let half = told(&disk_recipe(&(own[0].clone() + kernel)), &without).unwrap();
        assert!(half.contains("`systemd-boot-efi`, and run"), "{half}");
    }
}

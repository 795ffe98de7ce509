//! What seeds may count on and an image of a recipe lacks, told from its lock.

use std::collections::BTreeSet;

use anyhow::Result;
use nodeimg_seed::plan::programs::PROGRAMS;

use super::boot;
use crate::input::lock::PinnedPackage;
use crate::input::recipe::Recipe;

/// Paths of [`PROGRAMS`] that are in no package of the lock, and that the recipe brings by
/// no other way. Nothing is known of a base system of someone's own.
pub fn of(recipe: &Recipe, packages: &[PinnedPackage]) -> Result<Vec<String>> {
    let mut absent = Vec::new();
    if !recipe.needs_base() || packages.is_empty() {
        return Ok(absent);
    }
    let names: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    for program in PROGRAMS {
        let is_packed = program.packages.iter().any(|name| names.contains(name));
        if !is_packed && !boot::brings(recipe, program.path)? {
            absent.push(program.path.to_owned());
        }
    }
    Ok(absent)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nodeimg_values::arch::Arch;
    use nodeimg_values::digest::Digest;

    use super::*;
    use crate::input::lock::Place;
    use crate::input::recipe::tests::{disk_recipe, recipe};

    fn package(name: &str) -> PinnedPackage {
        PinnedPackage {
            name: name.parse().unwrap(),
            arch: Arch::Amd64,
            version: "1".to_owned(),
            place: Place::Archive {
                suite: "trixie".parse().unwrap(),
                component: Default::default(),
                path: format!("pool/{name}.deb"),
            },
            sha256: Digest::sha256(name.as_bytes()),
            size: 1,
        }
    }

    #[test]
    fn it_is_what_neither_a_package_nor_the_recipe_has() {
        let brought = "[[file]]\npath = \"/usr/bin/zsh\"\ncontent = \"\"\n";
        let packages: Vec<_> = ["bash", "sudo", "systemd", "tzdata"].map(package).into();
        let absent = of(&disk_recipe(brought), &packages).unwrap();
        let lacks = |path: &str| absent.iter().any(|absent| absent == path);
        assert!(
            lacks("/usr/sbin/sshd") && lacks("/usr/bin/fish"),
            "{absent:?}"
        );
        for there in [
            "/usr/bin/sudo",
            "/usr/bin/bash",
            "/usr/bin/zsh",
            "/usr/share/zoneinfo",
        ] {
            assert!(!lacks(there), "{absent:?}");
        }
        // Not locked yet, or over a base system of someone's own.
        assert!(of(&disk_recipe(""), &[]).unwrap().is_empty());
        assert!(of(&recipe(""), &packages).unwrap().is_empty());
    }
}

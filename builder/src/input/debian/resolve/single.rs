//! Packages that the recipe names by their URLs: each is an index of one.

use anyhow::{Context, Result};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;

use super::Resolver;
use crate::input::debian::catalog::{Package, Packages, Whose};
use crate::input::lock::{PinnedPackage, Place};
use crate::input::recipe::{Component, PackageName};

/// What stands for a suite.
const SUITE: &str = "url";

/// A package as its own control file describes it.
#[derive(Clone, Debug)]
pub struct SingleDeb {
    pub name: PackageName,
    pub arch: Arch,
    pub url: String,
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
    /// One stanza.
    pub control: String,
}

impl<'a> Resolver<'a> {
    /// `debs` come before any package of the same name.
    pub fn with_debs(mut self, debs: &'a [SingleDeb]) -> Resolver<'a> {
        self.debs = debs;
        self
    }

    /// Those for `arch`, as an index has them.
    pub(super) fn singles(&self, arch: Arch) -> Result<Option<Packages>> {
        let of_arch = self.debs.iter().filter(|deb| deb.arch == arch);
        let stanzas: Vec<&str> = of_arch.map(|deb| deb.control.trim()).collect();
        if stanzas.is_empty() {
            return Ok(None);
        }
        Ok(Some(Packages {
            suite: SUITE.parse()?,
            component: Component::Main,
            whose: Whose::Url,
            text: stanzas.join("\n\n"),
        }))
    }

    /// What the lock keeps of one of them.
    pub(super) fn pinned_single(&self, package: &Package<'_>, arch: Arch) -> Result<PinnedPackage> {
        let mut debs = self.debs.iter();
        let deb = debs.find(|deb| deb.arch == arch && deb.name.as_str() == package.name);
        let deb = deb.with_context(|| format!("{}: it has no URL", package.name))?;
        Ok(PinnedPackage {
            name: deb.name.clone(),
            arch,
            version: package.version.to_owned(),
            place: Place::Url {
                url: deb.url.clone(),
            },
            sha256: deb.sha256.clone(),
            size: deb.size,
        })
    }
}

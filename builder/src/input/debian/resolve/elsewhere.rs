//! Packages that Debian has for another architecture only.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use nodeimg_values::arch::Arch;

use super::{FetchedList, Resolver, read_all};
use crate::input::debian::catalog::Catalog;
use crate::input::recipe::PackageName;

impl Resolver<'_> {
    /// What is asked for on `arch` and neither there nor provided by anything.
    pub(super) fn lacking(&self, catalog: &Catalog<'_>, arch: Arch) -> Vec<&PackageName> {
        let unknown = |name: &&PackageName| {
            catalog.get(name.as_str()).is_none() && catalog.providers(name.as_str()).is_empty()
        };
        self.base.packages[&arch].iter().filter(unknown).collect()
    }

    /// Says for which architecture Debian has what is asked for on `arch`, if it has it for
    /// one: with the word of its index, the field `Architecture`.
    pub(super) fn check_elsewhere(
        &self,
        catalog: &Catalog<'_>,
        arch: Arch,
        lists: &BTreeMap<Arch, Vec<FetchedList<'_>>>,
    ) -> Result<()> {
        let lacking = self.lacking(catalog, arch);
        if lacking.is_empty() {
            return Ok(());
        }
        let mut texts = Vec::new();
        for (other, lists) in lists.iter().filter(|(other, _)| **other != arch) {
            // Only to say more: that something is missing is certain already.
            let indexes = read_all(lists)?;
            let there = Catalog::new(&indexes, &self.base.pins)?;
            for package in lacking.iter().filter_map(|name| there.get(name.as_str())) {
                let name = package.name;
                let word = package.field("Architecture").unwrap_or("not given");
                texts.push(format!(
                    "the suite {} has `{name}` for {other} only (its `Architecture` there: \
                     {word}), not for {arch}: name it in `[base.arch_packages]` alone, as \
                     `{other} = [\"{name}\"]`",
                    package.suite
                ));
            }
        }
        if texts.is_empty() {
            return Ok(());
        }
        bail!("{}", texts.join("\n"))
    }
}

//! Where a package is that the components which are read lack.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use nodeimg_values::arch::Arch;

use super::{Resolver, Suite};
use crate::input::debian::catalog::{Catalog, Whose};
use crate::input::recipe::Component;

impl Resolver<'_> {
    /// Says which component has what is asked for, if one that is not read has it.
    pub(super) fn check_asked(
        &self,
        catalog: &Catalog<'_>,
        suites: &[Suite],
        arch: Arch,
    ) -> Result<()> {
        let lacking = self.lacking(catalog, arch);
        if lacking.is_empty() {
            return Ok(());
        }
        let read: Vec<Component> = self.base.read().collect();
        let unread = Component::ALL.into_iter().filter(|c| !read.contains(c));
        let mut found: BTreeMap<Component, Vec<&str>> = BTreeMap::new();
        for component in unread {
            let of_base = suites.iter().filter(|suite| suite.whose == Whose::Base);
            let lists = of_base.flat_map(|suite| suite.lists(arch, component));
            // Only to say more: that something is missing is certain already.
            let Ok(lists) = self.fetch_lists(lists.collect()) else {
                continue;
            };
            for (list, blob) in lists {
                let packages = list.read(&blob)?;
                let has = |name: &str| {
                    let line = format!("Package: {name}");
                    packages.text.lines().any(|there| there == line)
                };
                let names = lacking.iter().map(|name| name.as_str());
                found
                    .entry(component)
                    .or_default()
                    .extend(names.filter(|name| has(name)));
            }
        }
        found.retain(|_, names| !names.is_empty());
        if found.is_empty() {
            return Ok(());
        }
        let mut texts = Vec::new();
        for (component, mut names) in found {
            names.sort_unstable();
            names.dedup();
            texts.push(format!(
                "`{}`: in Debian's component {component}, which the recipe does not read: add \
                 `components = [\"{component}\"]` to `[base]`",
                names.join("`, `")
            ));
        }
        bail!("{}", texts.join("\n"))
    }
}

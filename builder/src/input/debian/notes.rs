//! What a person should know of a resolved base: who goes without what, and names in the
//! recipe that mean nothing on any architecture.

use std::collections::{BTreeMap, BTreeSet};

use nodeimg_values::arch::Arch;

use super::catalog::{Catalog, Whose};
use super::solve::Solution;
use crate::input::recipe::{Base, PackageName};

/// Collected from one architecture after the other.
#[derive(Default)]
pub struct Notes {
    texts: Vec<String>,
    /// Names of `provided` and `exclude`, and whether some architecture knows each.
    named: BTreeMap<(&'static str, PackageName), bool>,
    /// Pinned packages that some architecture has.
    pub pinned: BTreeSet<PackageName>,
}

impl Notes {
    pub fn add(&mut self, base: &Base, arch: Arch, catalog: &Catalog<'_>, solution: &Solution<'_>) {
        for (name, by) in &solution.dropped {
            let by: Vec<_> = by.iter().copied().collect();
            let text = format!(
                "base.exclude: `{name}` is left out, though it is a dependency of {}",
                by.join(", ")
            );
            if !self.texts.contains(&text) {
                self.texts.push(text);
            }
        }
        for other in catalog.elsewhere() {
            let Some(own) = catalog.get(other.name) else {
                continue;
            };
            let text = format!(
                "base.deb: `{}` {} comes from its URL, not {} from {}",
                own.name, own.version, other.version, other.suite
            );
            if !self.texts.contains(&text) {
                self.texts.push(text);
            }
        }
        for own in solution.packages.iter().filter(|p| p.whose == Whose::Base) {
            // Who names a repository may mean its packages.
            for other in catalog.of_repositories(own.name) {
                let (name, suite) = (own.name, other.suite);
                let text = format!(
                    "base.repository: `{name}` {} comes from {}, not {} from {suite}: add `pins = \
                     {{ {name} = \"{suite}\" }}` to `[base]` to take that one",
                    own.version, own.suite, other.version
                );
                if !self.texts.contains(&text) {
                    self.texts.push(text);
                }
            }
        }
        for (key, names) in [
            ("provided", base.provided_on(arch)),
            ("exclude", base.excluded_on(arch)),
        ] {
            for name in names {
                let known = catalog.get(name.as_str()).is_some()
                    || !catalog.providers(name.as_str()).is_empty();
                *self.named.entry((key, name)).or_default() |= known;
            }
        }
        let has = |name: &&PackageName| catalog.get(name.as_str()).is_some();
        self.pinned.extend(base.pins.keys().filter(has).cloned());
    }

    pub fn texts(self) -> Vec<String> {
        let mut texts = self.texts;
        let unknown = self.named.into_iter().filter(|(_, known)| !known);
        texts.extend(unknown.map(|((key, name), _)| {
            format!("base.{key}: Debian has no package `{name}`: is it spelt right?")
        }));
        texts
    }
}

//! Which packages belong together: the closure of the wanted ones.
//!
//! Depends and Pre-Depends, nothing recommended. Of alternatives it takes what
//! is there already, then what the recipe chooses, then the first that is
//! available, and for a package of a suite beside the base one of that suite if the base has
//! none that will do; of the providers of a virtual package the one with the best priority,
//! and if two are alike the recipe has to choose. It never goes back on a
//! choice: Conflicts and Breaks are checked in the end and are errors, since an
//! image's author wants to know rather than to get something else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Result, bail};

use super::catalog::{Catalog, Package, Whose};
use super::relation::{Relation, shown};
use super::version;
use crate::input::recipe::PackageName;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub roots: &'a BTreeSet<PackageName>,
    /// Taken for installed: what needs them is content.
    pub provided: &'a BTreeSet<PackageName>,
    /// Never installed; what needs them goes without, and is named.
    pub exclude: &'a BTreeSet<PackageName>,
    pub choices: &'a BTreeMap<PackageName, PackageName>,
    /// The components and repositories that are read, as messages name them.
    pub read: &'a str,
}

/// What comes of it.
#[derive(Debug)]
pub struct Solution<'a> {
    /// By name.
    pub packages: Vec<Package<'a>>,
    /// Excluded names with those that would have needed them.
    pub dropped: BTreeMap<String, BTreeSet<&'a str>>,
}

/// The packages that `wanted` needs.
pub fn solve<'a>(catalog: &Catalog<'a>, wanted: Wanted<'_>) -> Result<Solution<'a>> {
    let mut solver = Solver {
        catalog,
        wanted,
        selected: BTreeMap::new(),
        queue: VecDeque::new(),
        dropped: BTreeMap::new(),
        replaced: false,
    };
    for root in wanted.roots {
        let Some(package) = catalog.get(root.as_str()) else {
            bail!("{}", solver.unknown(root.as_str()));
        };
        solver.select(package, None);
    }
    while let Some(package) = solver.queue.pop_front() {
        for field in ["Pre-Depends", "Depends"] {
            for clause in package.relations(field)? {
                solver.satisfy(&clause, package.name)?;
            }
        }
    }
    if solver.replaced {
        solver.check_needs()?;
    }
    solver.check_conflicts()?;
    Ok(Solution {
        packages: solver.selected.into_values().map(|s| s.package).collect(),
        dropped: solver.dropped,
    })
}

struct Selected<'a> {
    package: Package<'a>,
    /// What needed it; a root has none.
    by: Option<&'a str>,
}

struct Solver<'a, 'w> {
    catalog: &'w Catalog<'a>,
    wanted: Wanted<'w>,
    selected: BTreeMap<&'a str, Selected<'a>>,
    queue: VecDeque<Package<'a>>,
    dropped: BTreeMap<String, BTreeSet<&'a str>>,
    /// Whether two versions of one package were asked for: the later one is selected.
    replaced: bool,
}

impl<'a> Solver<'a, '_> {
    fn select(&mut self, package: Package<'a>, by: Option<&'a str>) {
        if let Some(there) = self.selected.get(package.name) {
            let order = version::compare(package.version, there.package.version);
            self.replaced |= order.is_ne();
            if order.is_le() {
                return;
            }
        }
        self.selected.insert(package.name, Selected { package, by });
        self.queue.push_back(package);
    }

    /// Once more, since of some packages two versions were asked for.
    fn check_needs(&self) -> Result<()> {
        for Selected { package, .. } in self.selected.values() {
            for field in ["Pre-Depends", "Depends"] {
                for clause in package.relations(field)? {
                    let met = |r: &Relation<'_>| {
                        self.is_selected(r) || self.is_provided(r) || self.is_excluded(r)
                    };
                    if !clause.iter().any(met) {
                        bail!(
                            "{} needs {}, but a package of another suite needs another version: \
                             pin both to one suite with `base.pins`",
                            self.chain(package.name),
                            shown(&clause)
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// Sees to one clause of `by`'s dependencies.
    fn satisfy(&mut self, clause: &[Relation<'a>], by: &'a str) -> Result<()> {
        if clause
            .iter()
            .any(|r| self.is_selected(r) || self.is_provided(r))
        {
            return Ok(());
        }
        for relation in clause {
            if let Some(choice) = self.wanted.choices.get(relation.name) {
                let package = self.chosen(relation, choice)?;
                self.select(package, Some(by));
                return Ok(());
            }
        }
        for relation in clause {
            if self.is_excluded(relation) {
                self.dropped
                    .entry(relation.name.to_owned())
                    .or_default()
                    .insert(by);
                return Ok(());
            }
            if let Some(package) = self.candidate(relation, by)? {
                self.select(package, Some(by));
                return Ok(());
            }
        }
        let reason = clause.iter().map(|relation| self.lacking(relation));
        bail!(
            "{} needs {}, which is not available: {}",
            self.chain(by),
            shown(clause),
            reason.collect::<Vec<_>>().join(", ")
        )
    }

    fn is_selected(&self, relation: &Relation<'_>) -> bool {
        let itself = self.selected.get(relation.name);
        itself.is_some_and(|there| relation.allows(Some(there.package.version)))
            || self
                .catalog
                .providers(relation.name)
                .iter()
                .any(|provider| {
                    relation.allows(provider.version)
                        && self.selected.contains_key(provider.package)
                })
    }

    fn is_provided(&self, relation: &Relation<'_>) -> bool {
        self.names(relation)
            .any(|name| self.wanted.provided.contains(name))
    }

    /// Excluded itself, or a virtual package that only excluded ones provide.
    fn is_excluded(&self, relation: &Relation<'_>) -> bool {
        let excluded = |name: &str| self.wanted.exclude.contains(name);
        let providers = self.catalog.providers(relation.name);
        excluded(relation.name)
            || (self.catalog.get(relation.name).is_none()
                && !providers.is_empty()
                && providers.iter().all(|p| excluded(p.package)))
    }

    /// The name itself, and those that provide it.
    fn names<'r>(&'r self, relation: &Relation<'r>) -> impl Iterator<Item = &'r str> {
        let providers = self.catalog.providers(relation.name);
        std::iter::once(relation.name).chain(providers.iter().map(|p| p.package))
    }

    fn chosen(&self, relation: &Relation<'_>, choice: &PackageName) -> Result<Package<'a>> {
        let Some(package) = self.catalog.get(choice.as_str()) else {
            bail!("base.choices: {}", self.unknown(choice.as_str()));
        };
        if !self.names(relation).any(|name| name == choice.as_str()) {
            bail!(
                "base.choices: `{choice}` is neither `{}` nor provides it",
                relation.name
            );
        }
        Ok(package)
    }

    /// The package that `relation` means, or its best provider.
    fn candidate(&self, relation: &Relation<'_>, by: &str) -> Result<Option<Package<'a>>> {
        let itself = self.catalog.get(relation.name);
        if let Some(package) = itself.filter(|p| relation.allows(Some(p.version))) {
            return Ok(Some(package));
        }
        let by_itself = self.selected.get(by).map(|s| s.package);
        let beside = by_itself.and_then(|by| self.catalog.beside(&by, relation.name));
        if let Some(package) = beside.filter(|p| relation.allows(Some(p.version))) {
            return Ok(Some(package));
        }
        let mut providers: Vec<Package<'a>> = self
            .catalog
            .providers(relation.name)
            .iter()
            .filter(|p| relation.allows(p.version) && !self.wanted.exclude.contains(p.package))
            .filter_map(|p| self.catalog.get(p.package))
            .collect();
        providers.sort_by_key(Package::rank);
        match providers.as_slice() {
            [first, second, ..] if first.rank() == second.rank() => {
                let names: Vec<_> = providers.iter().map(|p| p.name).collect();
                bail!(
                    "{} needs `{}`, which several packages provide ({}): name one in \
                     `base.packages`, or choose one with `base.choices`",
                    self.chain(by),
                    relation.name,
                    names.join(", ")
                )
            }
            list => Ok(list.first().copied()),
        }
    }

    fn check_conflicts(&self) -> Result<()> {
        let mut found = Vec::new();
        for Selected { package, .. } in self.selected.values() {
            for (field, verb) in [("Conflicts", "conflicts with"), ("Breaks", "breaks")] {
                for relation in package.relations(field)?.iter().flatten() {
                    found.extend(self.hit(relation, package.name).map(|other| {
                        format!(
                            "{} {verb} {relation}: {}",
                            self.chain(package.name),
                            self.chain(other)
                        )
                    }));
                }
            }
        }
        if !found.is_empty() {
            bail!(
                "these packages cannot be installed together:\n  {}",
                found.join("\n  ")
            );
        }
        Ok(())
    }

    /// The selected package that `relation` of another one's Conflicts means.
    fn hit(&self, relation: &Relation<'_>, by: &str) -> Option<&'a str> {
        let itself = self.selected.get(relation.name).map(|s| s.package);
        let itself = itself.filter(|p| relation.allows(Some(p.version)));
        let provider = || {
            let providers = self.catalog.providers(relation.name).iter();
            providers
                .filter(|p| relation.allows(p.version) && p.package != by)
                .find_map(|p| self.selected.get(p.package))
                .map(|s| s.package)
        };
        itself
            .filter(|p| p.name != by)
            .or_else(provider)
            .map(|p| p.name)
    }

    /// `a (asked for) > b > c`: how `name` came in.
    fn chain(&self, name: &str) -> String {
        let mut text = name.to_owned();
        let mut next = self.selected.get(name).and_then(|s| s.by);
        while let Some(by) = next {
            text = format!("{by} > {text}");
            next = self.selected.get(by).and_then(|s| s.by);
        }
        text
    }

    fn lacking(&self, relation: &Relation<'_>) -> String {
        match self.catalog.get(relation.name) {
            Some(there) if there.whose == Whose::Url => {
                format!("`base.deb` has {} {}", there.name, there.version)
            }
            Some(there) => format!("the suite has {} {}", there.name, there.version),
            None => format!("the suite has no {}", relation.name),
        }
    }

    fn unknown(&self, name: &str) -> String {
        let providers: Vec<_> = self
            .catalog
            .providers(name)
            .iter()
            .map(|p| p.package)
            .collect();
        if !providers.is_empty() {
            return format!(
                "`{name}` is a virtual package: name one of {}",
                providers.join(", ")
            );
        }
        let near = self
            .catalog
            .names()
            .map(|there| (strsim::jaro_winkler(name, there), there))
            .filter(|(score, _)| *score > 0.85)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
        let near = near.map(|(_, there)| format!(", did you mean `{there}`?"));
        format!(
            "the suite has no package `{name}` (its components {}; `[[base.repository]]` names \
             another publisher's repository){}",
            self.wanted.read,
            near.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests;

//! All packages that a suite has for one architecture: the Packages indexes of
//! the suite, its updates and its security updates as one, and the suites that
//! single packages are pinned to.
//!
//! # Invariants
//! Of every name there is one package: the highest version of the indexes that
//! it may come from, and of equal ones that of the first index.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, bail};

use super::relation::{Relation, clauses};
use super::stanza::{Stanza, stanzas};
use super::version;
use crate::input::recipe::value::Name;
use crate::input::recipe::{Component, PackageName};

/// A Packages index.
#[derive(Debug)]
pub struct Packages {
    pub suite: Name,
    pub component: Component,
    pub whose: Whose,
    pub text: String,
}

/// Whose an index is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// Another publisher's repository: Debian's own packages come before its.
    Repository,
    /// Of a suite beside the base: it has pinned packages only, and what those need.
    Beside,
    /// Of the base itself.
    Base,
    /// Of one package, which the recipe names by its URL: it comes before all others.
    Url,
}

/// One package as its index describes it.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    pub name: &'a str,
    pub version: &'a str,
    /// Whose index it is from.
    pub suite: &'a Name,
    pub component: Component,
    pub whose: Whose,
    stanza: Stanza<'a>,
}

impl<'a> Package<'a> {
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.stanza.field(name)
    }

    /// A field that every package has.
    pub fn needed(&self, name: &str) -> Result<&'a str> {
        self.field(name)
            .with_context(|| format!("the index has no `{name}` for {}", self.name))
    }

    /// The clauses of a relation field; none if it is not there.
    pub fn relations(&self, name: &str) -> Result<Vec<Vec<Relation<'a>>>> {
        clauses(self.field(name).unwrap_or_default())
            .with_context(|| format!("the field `{name}` of {} {}", self.name, self.version))
    }

    /// Whether it counts, of two of one name. Suites that single packages are pinned to are
    /// as good as the base.
    fn is_over(&self, there: &Package<'_>) -> bool {
        let from = |package: &Package<'_>| package.whose != Whose::Repository;
        match (from(there), from(self)) {
            (false, true) => true,
            (true, false) => false,
            _ => version::compare(self.version, there.version).is_gt(),
        }
    }

    /// How much the distribution wants it: `required` first.
    pub fn rank(&self) -> usize {
        const ORDER: [&str; 4] = ["required", "important", "standard", "optional"];
        let priority = self.field("Priority").unwrap_or_default();
        let at = ORDER.iter().position(|name| *name == priority);
        at.unwrap_or(ORDER.len())
    }
}

/// A name that a package provides.
#[derive(Clone, Copy, Debug)]
pub struct Provider<'a> {
    pub package: &'a str,
    pub version: Option<&'a str>,
}

/// Every package by name.
#[derive(Debug)]
pub struct Catalog<'a> {
    packages: HashMap<&'a str, Package<'a>>,
    providers: HashMap<&'a str, Vec<Provider<'a>>>,
    /// By suite and name: what suites have that pinned packages come from.
    beside: HashMap<(&'a str, &'a str), Package<'a>>,
    /// The best package elsewhere of each name that the recipe has a URL for.
    elsewhere: BTreeMap<&'a str, Package<'a>>,
}

impl<'a> Catalog<'a> {
    pub fn new(indexes: &'a [Packages], pins: &BTreeMap<PackageName, Name>) -> Result<Catalog<'a>> {
        let mut packages: HashMap<&str, Package<'_>> = HashMap::new();
        let mut beside: HashMap<(&str, &str), Package<'_>> = HashMap::new();
        let mut elsewhere: BTreeMap<&str, Package<'_>> = BTreeMap::new();
        let by_urls: BTreeSet<&str> = names_by_urls(indexes);
        for from in indexes {
            for stanza in stanzas(&from.text) {
                let package = package(stanza, from)
                    .with_context(|| format!("a package of the suite {}", from.suite))?;
                if matches!(from.whose, Whose::Beside | Whose::Repository) {
                    let there = beside.entry((from.suite.as_str(), package.name));
                    let there = there.or_insert(package);
                    if version::compare(package.version, there.version).is_gt() {
                        *there = package;
                    }
                }
                let wanted = match pins.get(package.name) {
                    Some(suite) => *suite == from.suite,
                    None => from.whose != Whose::Beside,
                };
                if !wanted {
                    continue;
                }
                if from.whose != Whose::Url && by_urls.contains(package.name) {
                    keep_best(&mut elsewhere, package);
                } else if packages
                    .get(package.name)
                    .is_none_or(|there| package.is_over(there))
                {
                    packages.insert(package.name, package);
                }
            }
        }
        let providers = providers(&packages)?;
        Ok(Catalog {
            packages,
            providers,
            beside,
            elsewhere,
        })
    }

    pub fn get(&self, name: &str) -> Option<Package<'a>> {
        self.packages.get(name).copied()
    }

    /// The packages that are skipped, since the recipe has a URL for their name.
    pub fn elsewhere(&self) -> impl Iterator<Item = &Package<'a>> {
        self.elsewhere.values()
    }

    /// The packages `name` of other publishers' repositories, by suite.
    pub fn of_repositories(&self, name: &str) -> Vec<Package<'a>> {
        let beside = self.beside.iter();
        let named = beside.filter(|((_, there), _)| *there == name);
        let packages = named.map(|(_, package)| *package);
        let of_others = packages.filter(|package| package.whose == Whose::Repository);
        let mut found: Vec<Package<'a>> = of_others.collect();
        found.sort_by_key(|package| package.suite);
        found
    }

    /// What the suite of `package` has by the name `name`, if it is not one of the base.
    pub fn beside(&self, package: &Package<'_>, name: &str) -> Option<Package<'a>> {
        self.beside.get(&(package.suite.as_str(), name)).copied()
    }

    /// Who provides `name`, by name of the package.
    pub fn providers(&self, name: &str) -> &[Provider<'a>] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.packages.keys().copied()
    }
}

fn names_by_urls(indexes: &[Packages]) -> BTreeSet<&str> {
    let by_urls = indexes.iter().filter(|from| from.whose == Whose::Url);
    let all = by_urls.flat_map(|from| stanzas(&from.text));
    all.filter_map(|stanza| stanza.field("Package")).collect()
}

fn keep_best<'a>(best: &mut BTreeMap<&'a str, Package<'a>>, package: Package<'a>) {
    let there = best.entry(package.name).or_insert(package);
    if package.is_over(there) {
        *there = package;
    }
}

fn package<'a>(stanza: Stanza<'a>, from: &'a Packages) -> Result<Package<'a>> {
    let (mut name, mut version) = (None, None);
    for (field, value) in stanza.fields() {
        match field {
            "Package" => name = Some(value),
            "Version" => version = Some(value),
            _ => continue,
        }
        if name.is_some() && version.is_some() {
            break;
        }
    }
    let (Some(name), Some(version)) = (name, version) else {
        bail!("an entry has no name or no version");
    };
    Ok(Package {
        name,
        version,
        suite: &from.suite,
        component: from.component,
        whose: from.whose,
        stanza,
    })
}

fn providers<'a>(
    packages: &HashMap<&'a str, Package<'a>>,
) -> Result<HashMap<&'a str, Vec<Provider<'a>>>> {
    let mut providers: HashMap<&str, Vec<Provider<'_>>> = HashMap::new();
    for package in packages.values() {
        // Most packages provide nothing: this is the one search through all of them.
        for relation in package.relations("Provides")?.into_iter().flatten() {
            providers.entry(relation.name).or_default().push(Provider {
                package: package.name,
                version: relation.version.map(|(_, version)| version),
            });
        }
    }
    for list in providers.values_mut() {
        list.sort_by_key(|provider| provider.package);
    }
    Ok(providers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn index(suite: &str, whose: Whose, text: &str) -> Packages {
        Packages {
            suite: suite.parse().unwrap(),
            component: Component::Main,
            whose,
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_highest_version_of_the_right_indexes_counts() {
        let indexes = [
            index(
                "trixie",
                Whose::Base,
                "Package: a\nVersion: 1.9\nProvides: v (= 3), w\n\nPackage: b\nVersion: 1\n",
            ),
            index(
                "trixie-security",
                Whose::Base,
                "Package: a\nVersion: 1.10\nProvides: w\n",
            ),
            index(
                "sid",
                Whose::Beside,
                "Package: a\nVersion: 9\n\nPackage: b\nVersion: 9\n\nPackage: c\nVersion: 9\n",
            ),
        ];
        let pins = BTreeMap::from([("b".parse().unwrap(), "sid".parse().unwrap())]);
        let catalog = Catalog::new(&indexes, &pins).unwrap();
        let version = |name: &str| catalog.get(name).map(|p| (p.version, p.suite.as_str()));
        assert_eq!(version("a"), Some(("1.10", "trixie-security")));
        assert_eq!(version("b"), Some(("9", "sid")));
        assert_eq!(version("c"), None);
        // The older `a` provides nothing any more.
        assert!(catalog.providers("v").is_empty());
        assert_eq!(catalog.providers("w")[0].package, "a");
    }

    #[test]
    fn a_package_with_a_url_comes_before_all_others() {
        let indexes = [
            index(
                "trixie",
                Whose::Base,
                "Package: a\nVersion: 9\n\nPackage: b\nVersion: 1\n",
            ),
            index("other", Whose::Repository, "Package: a\nVersion: 10\n"),
            index("url", Whose::Url, "Package: a\nVersion: 1\n"),
        ];
        let catalog = Catalog::new(&indexes, &BTreeMap::new()).unwrap();
        assert_eq!(catalog.get("a").unwrap().version, "1");
        let elsewhere: Vec<_> = catalog.elsewhere().map(|p| (p.name, p.version)).collect();
        // Debian's, which would have counted without it.
        assert_eq!(elsewhere, [("a", "9")]);
    }

    #[test]
    fn an_entry_without_a_version_is_refused() {
        let indexes = [index("trixie", Whose::Base, "Package: a\n")];
        let error = Catalog::new(&indexes, &BTreeMap::new()).unwrap_err();
        assert!(format!("{error:#}").contains("suite trixie"), "{error:#}");
    }
}

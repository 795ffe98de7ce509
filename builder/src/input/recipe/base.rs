//! `[base]`: the base system, from Debian packages.

mod package;

use std::collections::{BTreeMap, BTreeSet};

use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::area::Component;
use super::deb::{self, Deb, DebPart};
use super::merge::{added, merged_by};
use super::problems::Problems;
use super::repository::{Repository, RepositoryPart};
use super::script::AcceptedScript;
use super::source::Step;
use super::value::Name;
use crate::input::fetch::Mirrors;
pub use package::PackageName;

/// The base system, from Debian packages.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasePart {
    /// The release: `trixie`. It includes its updates and security updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suite: Option<Name>,
    /// Packages to install, with their dependencies but not their recommendations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageName>,
    /// More of Debian's components than `main`: `non-free-firmware`, `contrib`, `non-free`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// More packages for one architecture: `arm64 = ["linux-image-cloud-arm64"]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arch_packages: BTreeMap<Arch, Vec<PackageName>>,
    /// Packages to treat as installed, because the image itself does what they would do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provided: Vec<PackageName>,
    /// The same for one architecture.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arch_provided: BTreeMap<Arch, Vec<PackageName>>,
    /// Packages never to install; `lock` names those that need them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<PackageName>,
    /// The same for one architecture.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arch_exclude: BTreeMap<Arch, Vec<PackageName>>,
    /// Which package to choose if several would do: `default-mta = "postfix"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub choices: BTreeMap<PackageName, PackageName>,
    /// Single packages from another suite, with what only that suite has for them:
    /// `linux-image-amd64 = "trixie-backports"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<PackageName, Name>,
    /// Mirrors of Debian's archive, tried before those of this system's apt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// Mirrors of its security archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_mirrors: Vec<String>,
    /// Apt repositories of other publishers. A package that Debian has comes from Debian, unless
    /// `pins` names the repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repository: Vec<RepositoryPart>,
    /// Packages that their publisher offers by themselves, at a URL. They come before any
    /// package of the same name in Debian or a repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deb: Vec<DebPart>,
    /// Suites whose index is accepted although it has expired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_expired: Vec<Name>,
    /// Maintainer scripts that nodeimg does not know and that you have read. None is
    /// run; `lock` and `build` print what to write here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_scripts: Vec<AcceptedScript>,
}

impl BasePart {
    /// `self` over `base`.
    pub fn over(self, mut base: BasePart) -> BasePart {
        // Another kernel in the place of the one below, say.
        let wanted = |package: &PackageName| !self.exclude.contains(package);
        base.packages.retain(wanted);
        base.deb.retain(|deb| wanted(&deb.name));
        for (arch, packages) in &mut base.arch_packages {
            let there = self.arch_exclude.get(arch);
            packages.retain(|package| {
                wanted(package) && !there.is_some_and(|list| list.contains(package))
            });
        }
        BasePart {
            suite: self.suite.or(base.suite),
            packages: added(base.packages, self.packages),
            components: added(base.components, self.components),
            arch_packages: added_by_arch(base.arch_packages, self.arch_packages),
            provided: added(base.provided, self.provided),
            arch_provided: added_by_arch(base.arch_provided, self.arch_provided),
            exclude: added(base.exclude, self.exclude),
            arch_exclude: added_by_arch(base.arch_exclude, self.arch_exclude),
            choices: base.choices.into_iter().chain(self.choices).collect(),
            pins: base.pins.into_iter().chain(self.pins).collect(),
            mirrors: added(base.mirrors, self.mirrors),
            security_mirrors: added(base.security_mirrors, self.security_mirrors),
            repository: added(base.repository, self.repository),
            deb: merged_by(base.deb, self.deb, |a, b| a.name == b.name, DebPart::over),
            allow_expired: added(base.allow_expired, self.allow_expired),
            accept_scripts: added(base.accept_scripts, self.accept_scripts),
        }
    }
}

fn added_by_arch(mut base: ByArch, more: ByArch) -> ByArch {
    for (arch, list) in more {
        let there = base.remove(&arch).unwrap_or_default();
        base.insert(arch, added(there, list));
    }
    base
}

type ByArch = BTreeMap<Arch, Vec<PackageName>>;

/// The base system of a checked recipe. The lock depends on everything that is
/// serialised; it does not depend on where an index is fetched from.
#[derive(Clone, Debug, Serialize)]
pub struct Base {
    pub suite: Name,
    /// The packages that the recipe names, by architecture, those with a URL among them.
    pub packages: BTreeMap<Arch, BTreeSet<PackageName>>,
    pub provided: BTreeSet<PackageName>,
    pub exclude: BTreeSet<PackageName>,
    /// Beside main.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub components: BTreeSet<Component>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub arch_provided: BTreeMap<Arch, BTreeSet<PackageName>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub arch_exclude: BTreeMap<Arch, BTreeSet<PackageName>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<Repository>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub debs: Vec<Deb>,
    pub choices: BTreeMap<PackageName, PackageName>,
    pub pins: BTreeMap<PackageName, Name>,
    #[serde(skip)]
    pub mirrors: Vec<String>,
    #[serde(skip)]
    pub security_mirrors: Vec<String>,
    #[serde(skip)]
    pub allow_expired: BTreeSet<Name>,
    #[serde(skip)]
    pub accept_scripts: BTreeSet<AcceptedScript>,
}

impl Base {
    /// Whether the recipe names `package` for every architecture.
    pub fn has(&self, package: &str) -> bool {
        let asked = |names: &BTreeSet<PackageName>| names.iter().any(|n| n.as_str() == package);
        !self.packages.is_empty() && self.packages.values().all(asked)
    }

    /// What is treated as installed on `arch`.
    pub fn provided_on(&self, arch: Arch) -> BTreeSet<PackageName> {
        union(&self.provided, self.arch_provided.get(&arch))
    }

    /// What is never installed on `arch`.
    pub fn excluded_on(&self, arch: Arch) -> BTreeSet<PackageName> {
        union(&self.exclude, self.arch_exclude.get(&arch))
    }

    /// The components that are read, `main` first.
    pub fn read(&self) -> impl Iterator<Item = Component> + '_ {
        std::iter::once(Component::Main).chain(self.components.iter().copied())
    }

    /// Identifies what the recipe asks for.
    pub fn digest(&self) -> Digest {
        // Plain structs of strings always serialise.
        Digest::sha256(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Checks and completes.
    pub fn checked(part: &BasePart, problems: &mut Problems<'_>) -> Option<Base> {
        let table = [Step::Key("base")];
        if part.suite.is_none() {
            problems.add(
                &table,
                "`suite` is missing: name the release, as in \"trixie\"",
            );
        }
        let debs = deb::checked(&part.deb, problems);
        let packages: BTreeMap<Arch, BTreeSet<_>> = Arch::ALL
            .into_iter()
            .map(|arch| {
                let more = part.arch_packages.get(&arch).into_iter().flatten();
                let of_urls = debs.iter().filter(|deb| deb.arch == arch);
                let more = more.chain(of_urls.map(|deb| &deb.name));
                (arch, part.packages.iter().chain(more).cloned().collect())
            })
            .collect();
        if packages.values().any(BTreeSet::is_empty) {
            problems.add(
                &table,
                "`packages` is missing: list the packages of the base system",
            );
        }
        contradictions(part, &packages, problems);
        mirrors(part, problems);
        let repositories = repositories(part, problems);
        Some(Base {
            suite: part.suite.clone()?,
            packages,
            provided: part.provided.iter().cloned().collect(),
            exclude: part.exclude.iter().cloned().collect(),
            components: part
                .components
                .iter()
                .copied()
                .filter(|component| !component.is_main())
                .collect(),
            arch_provided: sets(&part.arch_provided),
            arch_exclude: sets(&part.arch_exclude),
            repositories,
            debs,
            choices: part.choices.clone(),
            pins: part.pins.clone(),
            mirrors: part.mirrors.clone(),
            security_mirrors: part.security_mirrors.clone(),
            allow_expired: part.allow_expired.iter().cloned().collect(),
            accept_scripts: part.accept_scripts.iter().cloned().collect(),
        })
    }
}

fn sets(lists: &ByArch) -> BTreeMap<Arch, BTreeSet<PackageName>> {
    let sets = lists
        .iter()
        .map(|(arch, list)| (*arch, list.iter().cloned().collect::<BTreeSet<_>>()));
    sets.filter(|(_, set)| !set.is_empty()).collect()
}

fn union(
    all: &BTreeSet<PackageName>,
    more: Option<&BTreeSet<PackageName>>,
) -> BTreeSet<PackageName> {
    all.iter()
        .chain(more.into_iter().flatten())
        .cloned()
        .collect()
}

fn contradictions(
    part: &BasePart,
    packages: &BTreeMap<Arch, BTreeSet<PackageName>>,
    problems: &mut Problems<'_>,
) {
    let wanted = |name: &PackageName| packages.values().any(|list| list.contains(name));
    let place = |name: &PackageName| match part.deb.iter().any(|deb| deb.name == *name) {
        true => "deb",
        false => "packages",
    };
    for (key, list) in [("provided", &part.provided), ("exclude", &part.exclude)] {
        for (index, name) in list.iter().enumerate() {
            let way = [Step::Key("base"), Step::Key(key), Step::Index(index)];
            if wanted(name) {
                problems.add(&way, &format!("`{name}` is in `{}` too", place(name)));
            }
            if key == "exclude" && part.provided.contains(name) {
                problems.add(&way, &format!("`{name}` is in `provided` too"));
            }
        }
    }
    for (key, lists) in [
        ("arch_provided", &part.arch_provided),
        ("arch_exclude", &part.arch_exclude),
    ] {
        for (arch, list) in lists {
            for (index, name) in list.iter().enumerate() {
                if packages.get(arch).is_some_and(|list| list.contains(name)) {
                    let way = [
                        Step::Key("base"),
                        Step::Key(key),
                        Step::Key(arch.name()),
                        Step::Index(index),
                    ];
                    problems.add(&way, &format!("`{name}` is in `{}` too", place(name)));
                }
            }
        }
    }
    for name in part.pins.keys().filter(|name| place(name) == "deb") {
        let way = [
            Step::Key("base"),
            Step::Key("pins"),
            Step::Key(name.as_str()),
        ];
        problems.add(
            &way,
            &format!("`{name}` is in `deb` too: it comes from there"),
        );
    }
    for (name, choice) in &part.choices {
        if part.exclude.contains(choice) || part.provided.contains(choice) {
            let way = [
                Step::Key("base"),
                Step::Key("choices"),
                Step::Key(name.as_str()),
            ];
            problems.add(
                &way,
                &format!("`{choice}` is in `exclude` or `provided` too"),
            );
        }
    }
}

fn repositories(part: &BasePart, problems: &mut Problems<'_>) -> Vec<Repository> {
    let mut found: Vec<Repository> = Vec::new();
    for repository in &part.repository {
        let way = |key| {
            [
                Step::Key("base"),
                Step::Key("repository"),
                Step::Named(repository.name.as_str()),
                Step::Key(key),
            ]
        };
        let name = repository.name.as_str();
        let of_debian = part.suite.as_ref().is_some_and(|suite| {
            let rest = name.strip_prefix(suite.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        });
        if of_debian {
            problems.add(
                &way("name"),
                "Debian's own suites have this name: choose another",
            );
        }
        if found.iter().any(|there| there.name == repository.name) {
            problems.add(&way("name"), "another repository has this name");
        }
        match repository.checked() {
            Ok(checked) => found.push(checked),
            // The line may hold a login.
            Err((key, error)) => problems.add_unquoted(&way(key), &format!("{error:#}")),
        }
    }
    found
}

fn mirrors(part: &BasePart, problems: &mut Problems<'_>) {
    for (key, list) in [
        ("mirrors", &part.mirrors),
        ("security_mirrors", &part.security_mirrors),
    ] {
        for (index, url) in list.iter().enumerate() {
            if let Err(error) = Mirrors::check_archive(url) {
                let way = [Step::Key("base"), Step::Key(key), Step::Index(index)];
                problems.add(&way, &format!("{error:#}"));
            }
        }
    }
}

#[cfg(test)]
mod tests;

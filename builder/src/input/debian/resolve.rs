//! From `[base]` of a recipe to pinned packages: what `nodeimg lock` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::date::Date;
use nodeimg_values::digest::{Algorithm, Digest, Expected};

use super::catalog::{Catalog, Package, Packages, Whose};
use super::keyring::Keyring;
use super::notes::Notes;
use super::solve::{Solution, Wanted, solve};
use super::sources::suites_of;
use crate::input::fetch::{Fetcher, Mirrors, Request};
use crate::input::lock::{self, Index, PinnedPackage, Place};
use crate::input::recipe::Base;
use crate::input::recipe::value::Name;
use crate::store::VerifiedBlob;
use list::{PackageList, PackagesFile};
use single::SingleDeb;

/// What was found.
#[derive(Debug)]
pub struct Resolved {
    pub packages: lock::Packages,
    /// What a person should know: who goes without what, and the like.
    pub notes: Vec<String>,
}

/// Asks Debian's archive.
pub struct Resolver<'a> {
    fetcher: &'a Fetcher<'a>,
    base: &'a Base,
    keyring: Keyring,
    now: Date,
    /// What an earlier lock pins: no index may be older.
    known: &'a [Index],
    debs: &'a [SingleDeb],
}

/// A suite with its checked Release file.
struct Suite {
    index: Index,
    whose: Whose,
    /// Below its archive, without a slash at its end.
    directory: String,
    files: Vec<PackagesFile>,
}

type FetchedList<'s> = (PackageList<'s>, Arc<VerifiedBlob>);

impl<'a> Resolver<'a> {
    /// `now` judges whether an index is too old.
    pub fn new(
        fetcher: &'a Fetcher<'a>,
        base: &'a Base,
        keyring: Keyring,
        now: Date,
    ) -> Resolver<'a> {
        Resolver {
            fetcher,
            base,
            keyring,
            now,
            known: &[],
            debs: &[],
        }
    }

    /// Refuses an index that is older than the one of its suite in `known`: it is
    /// signed, but any mirror can hand out what was signed long ago.
    pub fn not_before(mut self, known: &'a [Index]) -> Resolver<'a> {
        self.known = known;
        self
    }

    pub fn resolve(&self) -> Result<Resolved> {
        let suites = self.suites()?;
        let mut lists: BTreeMap<Arch, Vec<FetchedList<'_>>> = BTreeMap::new();
        for fetched in self.fetch(&suites)? {
            lists.entry(fetched.0.file.arch).or_default().push(fetched);
        }
        let mut packages = Vec::new();
        let mut notes = Notes::default();
        for (arch, own) in &lists {
            let arch = *arch;
            // One architecture at a time: an index is 60 MB of text.
            let mut indexes = read_all(own)?;
            indexes.extend(self.singles(arch)?);
            let context = || format!("resolving the base system for {arch}");
            let catalog = Catalog::new(&indexes, &self.base.pins).with_context(context)?;
            self.check_asked(&catalog, &suites, arch)
                .with_context(context)?;
            self.check_elsewhere(&catalog, arch, &lists)
                .with_context(context)?;
            let solution = self.solve(&catalog, arch).with_context(context)?;
            notes.add(self.base, arch, &catalog, &solution);
            for package in &solution.packages {
                packages.push(match package.whose {
                    Whose::Url => self.pinned_single(package, arch)?,
                    _ => pinned(package, arch)?,
                });
            }
        }
        for (name, suite) in &self.base.pins {
            if !notes.pinned.contains(name) {
                bail!("base.pins: {} has no package `{name}`", self.called(suite));
            }
        }
        let indexes = suites.into_iter().map(|suite| suite.index).collect();
        Ok(Resolved {
            packages: lock::Packages::new(self.base, indexes, packages),
            notes: notes.texts(),
        })
    }

    /// Every suite that is needed: those of the release, those of the pins.
    fn suites(&self) -> Result<Vec<Suite>> {
        let of_base = suites_of(&self.base.suite)?;
        let mut pinned: Vec<&Name> = self.base.pins.values().collect();
        pinned.sort();
        pinned.dedup();
        let repositories = &self.base.repositories;
        let is_other = |suite: &&Name| {
            !of_base.contains(suite) && !repositories.iter().any(|r| r.name == **suite)
        };
        let pinned = pinned.into_iter().filter(is_other);
        let base = of_base.iter().map(|suite| self.suite(suite, Whose::Base));
        let all = base.chain(pinned.map(|suite| self.suite(suite, Whose::Beside)));
        let more = repositories.iter().map(|one| self.repository(one));
        let suites = all.chain(more).collect::<Result<Vec<Suite>>>()?;
        for component in self.base.read() {
            let has = |suite: &Suite| suite.files.iter().any(|file| file.component == component);
            if !suites.iter().any(has) {
                bail!(
                    "base.components: the suite {} has no component `{component}`",
                    self.base.suite
                );
            }
        }
        Ok(suites)
    }

    /// As messages name what `pins` may name.
    fn called(&self, suite: &Name) -> String {
        let mut repositories = self.base.repositories.iter();
        match repositories.any(|one| one.name == *suite) {
            true => format!("the repository {suite}"),
            false => format!("the suite {suite}"),
        }
    }

    /// What may be meant by a suite that Debian does not have.
    fn repositories_named(&self) -> String {
        let names = self.base.repositories.iter().map(|one| one.name.as_str());
        let names: Vec<&str> = names.collect();
        match names.is_empty() {
            true => String::new(),
            false => format!("; the recipe's repositories are {}", names.join(", ")),
        }
    }

    /// All Packages files, those of an architecture together.
    fn fetch<'s>(&self, suites: &'s [Suite]) -> Result<Vec<FetchedList<'s>>> {
        let mut lists = Vec::new();
        for arch in Arch::ALL {
            for component in self.base.read() {
                lists.extend(suites.iter().flat_map(|suite| suite.lists(arch, component)));
            }
        }
        self.fetch_lists(lists)
    }

    fn fetch_lists<'s>(&self, lists: Vec<PackageList<'s>>) -> Result<Vec<FetchedList<'s>>> {
        let by_hash = self.fetcher.bring(lists.clone(), |list| {
            Ok(self.request(list, &list.file.packed.path))
        });
        let found = by_hash.or_else(|error| {
            // Not every mirror keeps files by their digests.
            let by_name = self
                .fetcher
                .bring(lists, |list| Ok(self.request(list, &list.file.name)));
            by_name.map_err(|_| error)
        })?;
        let shared = found.into_iter().map(|(list, blob)| (list, Arc::new(blob)));
        Ok(shared.collect())
    }

    /// `path` is below the suite's directory.
    fn request(&self, list: &PackageList<'_>, path: &str) -> Request {
        let index = &list.suite.index;
        let directory = &list.suite.directory;
        let path = match directory.is_empty() {
            true => path.to_owned(),
            false => format!("{directory}/{path}"),
        };
        let file = &list.file.packed;
        let snapshot = || Mirrors::snapshot(index.archive.as_str(), self.now, &path);
        Request {
            what: list.what(),
            url: match &index.url {
                Some(url) => format!("{url}/{path}"),
                None => snapshot(),
            },
            want: Expected::of(&file.sha256, Some(file.size)),
            max_size: file.size,
            accept: None,
        }
    }

    fn solve<'c>(&self, catalog: &Catalog<'c>, arch: Arch) -> Result<Solution<'c>> {
        let roots = &self.base.packages[&arch];
        for (name, suite) in &self.base.pins {
            if catalog.get(name.as_str()).is_none() && roots.contains(name) {
                bail!("base.pins: {} has no package `{name}`", self.called(suite));
            }
        }
        let names = self
            .base
            .repositories
            .iter()
            .map(|one| one.name.to_string());
        let read = self.base.read().map(|c| c.to_string());
        let read: Vec<String> = read.chain(names).collect();
        let wanted = Wanted {
            roots,
            provided: &self.base.provided_on(arch),
            exclude: &self.base.excluded_on(arch),
            choices: &self.base.choices,
            read: &read.join(", "),
        };
        solve(catalog, wanted)
    }
}

fn read_all(lists: &[FetchedList<'_>]) -> Result<Vec<Packages>> {
    lists.iter().map(|(list, blob)| list.read(blob)).collect()
}

fn pinned(package: &Package<'_>, arch: Arch) -> Result<PinnedPackage> {
    let path = package.needed("Filename")?;
    let path = path.strip_prefix("./").unwrap_or(path);
    if !lock::is_archive_path(path) {
        bail!(
            "{}: `{}` is not a valid path in an archive",
            package.name,
            path.escape_debug()
        );
    }
    let size = package.needed("Size")?;
    let sha256 = Digest::new(Algorithm::Sha256, package.needed("SHA256")?)
        .with_context(|| format!("the digest of {}", package.name))?;
    Ok(PinnedPackage {
        name: package.name.parse()?,
        arch,
        version: package.version.to_owned(),
        place: Place::Archive {
            suite: package.suite.clone(),
            component: package.component,
            path: path.to_owned(),
        },
        sha256,
        size: size
            .parse()
            .with_context(|| format!("the size of {} is `{size}`", package.name))?,
    })
}

mod elsewhere;
mod index;
mod list;
mod repository;
pub mod single;
#[cfg(test)]
mod tests;
mod unread;

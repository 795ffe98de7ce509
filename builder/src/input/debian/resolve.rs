//! From `[base]` of a recipe to pinned packages: what `nodeimg lock` does.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use nodeimg_formats::packing::Packing;
use nodeimg_values::arch::Arch;
use nodeimg_values::date::Date;
use nodeimg_values::digest::{Algorithm, Digest, Expected};

use super::catalog::{Catalog, Package, Packages};
use super::keyring::Keyring;
use super::notes::Notes;
use super::release::{IndexFile, Release};
use super::solve::{Solution, Wanted, solve};
use super::sources::{archive_of, suites_of};
use crate::input::fetch::{Fetcher, Mirrors, Request};
use crate::input::lock::{self, Index, PinnedPackage};
use crate::input::recipe::value::Name;
use crate::input::recipe::{Base, Component, PackageName};
use crate::store::VerifiedBlob;
use crate::tree::Content;

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
    known: &'a [Index],
}

/// A suite with its checked Release file.
struct Suite {
    index: Index,
    of_base: bool,
    files: BTreeMap<(Arch, Component), PackagesFile>,
}

/// The Packages file of one architecture.
struct PackagesFile {
    packed: IndexFile,
    /// Its size unpacked.
    size: u64,
}

/// The packages that a suite has for one architecture, by name of both.
#[derive(Clone, Copy)]
struct PackageList<'s> {
    suite: &'s Suite,
    arch: Arch,
    component: Component,
    file: &'s PackagesFile,
}

type FetchedList<'s> = (PackageList<'s>, VerifiedBlob);

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
            lists.entry(fetched.0.arch).or_default().push(fetched);
        }
        let mut packages = Vec::new();
        let mut notes = Notes::default();
        for (arch, lists) in lists {
            // One architecture at a time: an index is 60 MB of text.
            let indexes = lists
                .into_iter()
                .map(|(list, blob)| list.read(blob))
                .collect::<Result<Vec<_>>>()?;
            let context = || format!("resolving the base system for {arch}");
            let catalog = Catalog::new(&indexes, &self.base.pins).with_context(context)?;
            self.check_asked(&catalog, &suites, arch)
                .with_context(context)?;
            let solution = self.solve(&catalog, arch).with_context(context)?;
            notes.add(self.base, arch, &catalog, &solution);
            for package in &solution.packages {
                packages.push(pinned(package, arch)?);
            }
        }
        for (name, suite) in &self.base.pins {
            if !notes.pinned.contains(name) {
                bail!("base.pins: the suite {suite} has no package `{name}`");
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
        let pinned = pinned.into_iter().filter(|suite| !of_base.contains(suite));
        let base = of_base.iter().map(|suite| self.suite(suite, true));
        let all = base.chain(pinned.map(|suite| self.suite(suite, false)));
        let suites = all.collect::<Result<Vec<Suite>>>()?;
        for component in self.base.read() {
            let has = |suite: &Suite| suite.files.keys().any(|(_, there)| *there == component);
            if !suites.iter().any(has) {
                bail!(
                    "base.components: the suite {} has no component `{component}`",
                    self.base.suite
                );
            }
        }
        Ok(suites)
    }

    fn suite(&self, name: &Name, of_base: bool) -> Result<Suite> {
        let archive = archive_of(name);
        let what = format!("the index of Debian's suite {name}");
        let url = Mirrors::snapshot(archive, self.now, &format!("dists/{name}/InRelease"));
        let accept = |text: String| self.accept(&text, name, of_base, archive);
        match self.fetcher.first_text(&url, &what, accept)? {
            Some(suite) => Ok(suite),
            None => bail!(
                "no mirror of the archive `{archive}` has {what}: is the suite right? Name a \
                 mirror that has it with --debian-mirror URL, NODEIMG_DEBIAN_MIRROR or \
                 `base.mirrors`"
            ),
        }
    }

    fn accept(&self, text: &str, name: &Name, of_base: bool, archive: &str) -> Result<Suite> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(self.now.0);
        let text = self.keyring.verify(text.as_bytes(), now)?;
        let release = Release::parse(&text)?;
        let allowed = self.base.allow_expired.contains(name);
        release.check(name.as_str(), self.now, allowed)?;
        self.check_age(name, archive, release.date)?;
        let mut files = BTreeMap::new();
        for arch in Arch::ALL {
            for component in Component::ALL {
                match packages_file(&release, component, arch) {
                    Ok(file) => {
                        files.insert((arch, component), file);
                    }
                    Err(error) if component.is_main() => return Err(error),
                    // Not every suite has every component.
                    Err(_) => {}
                }
            }
        }
        Ok(Suite {
            index: Index {
                suite: name.clone(),
                archive: archive.parse()?,
                date: release.date,
                sha256: Digest::sha256(canonical(&text).as_bytes()),
            },
            of_base,
            files,
        })
    }

    fn check_age(&self, name: &Name, archive: &str, date: Date) -> Result<()> {
        let mut known = self.known.iter();
        let known = known.find(|old| old.suite == *name && old.archive.as_str() == archive);
        match known {
            Some(old) if date < old.date => bail!(
                "it is dated {date}, but the lock already has the one of {}: the mirror is out \
                 of date, or hands out an old state; to go back, run `nodeimg lock --update base \
                 --allow-older`",
                old.date
            ),
            _ => Ok(()),
        }
    }

    /// All Packages files, those of an architecture together.
    fn fetch<'s>(&self, suites: &'s [Suite]) -> Result<Vec<FetchedList<'s>>> {
        let mut lists = Vec::new();
        for arch in Arch::ALL {
            for component in self.base.read() {
                lists.extend(
                    suites
                        .iter()
                        .filter_map(|suite| suite.list(arch, component)),
                );
            }
        }
        self.fetch_lists(lists)
    }

    fn fetch_lists<'s>(&self, lists: Vec<PackageList<'s>>) -> Result<Vec<FetchedList<'s>>> {
        let by_hash = self.fetcher.bring(lists.clone(), |list| {
            Ok(self.request(list, &list.file.packed.path))
        });
        by_hash.or_else(|error| {
            // Not every mirror keeps files by their digests.
            let by_name = self.fetcher.bring(lists, |list| {
                let path = format!("{}/binary-{}/Packages.xz", list.component, list.arch);
                Ok(self.request(list, &path))
            });
            by_name.map_err(|_| error)
        })
    }

    /// `path` is below the suite's directory.
    fn request(&self, list: &PackageList<'_>, path: &str) -> Request {
        let index = &list.suite.index;
        let path = format!("dists/{}/{path}", index.suite);
        let file = &list.file.packed;
        Request {
            what: list.what(),
            url: Mirrors::snapshot(index.archive.as_str(), self.now, &path),
            want: Expected::of(&file.sha256, Some(file.size)),
            max_size: file.size,
            accept: None,
        }
    }

    /// Says which component has what is asked for, if one that is not read has it.
    fn check_asked(&self, catalog: &Catalog<'_>, suites: &[Suite], arch: Arch) -> Result<()> {
        let unknown = |name: &&PackageName| {
            catalog.get(name.as_str()).is_none() && catalog.providers(name.as_str()).is_empty()
        };
        let lacking: Vec<&PackageName> = self.base.packages[&arch].iter().filter(unknown).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let read: Vec<Component> = self.base.read().collect();
        let unread = Component::ALL.into_iter().filter(|c| !read.contains(c));
        let mut found: BTreeMap<Component, Vec<&str>> = BTreeMap::new();
        for component in unread {
            let of_base = suites.iter().filter(|suite| suite.of_base);
            let lists = of_base.filter_map(|suite| suite.list(arch, component));
            // Only to say more: that something is missing is certain already.
            let Ok(lists) = self.fetch_lists(lists.collect()) else {
                continue;
            };
            for (list, blob) in lists {
                let packages = list.read(blob)?;
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

    fn solve<'c>(&self, catalog: &Catalog<'c>, arch: Arch) -> Result<Solution<'c>> {
        let roots = &self.base.packages[&arch];
        for (name, suite) in &self.base.pins {
            if catalog.get(name.as_str()).is_none() && roots.contains(name) {
                bail!("base.pins: the suite {suite} has no package `{name}`");
            }
        }
        let read: Vec<String> = self.base.read().map(|c| c.to_string()).collect();
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

/// The Packages file of a component, as a Release file lists it.
fn packages_file(release: &Release<'_>, component: Component, arch: Arch) -> Result<PackagesFile> {
    let plain = format!("{component}/binary-{arch}/Packages");
    Ok(PackagesFile {
        packed: release.file(&format!("{plain}.xz"))?,
        size: release.file(&plain)?.size,
    })
}

impl Suite {
    /// Nothing if the suite has no such component.
    fn list(&self, arch: Arch, component: Component) -> Option<PackageList<'_>> {
        Some(PackageList {
            suite: self,
            arch,
            component,
            file: self.files.get(&(arch, component))?,
        })
    }
}

impl PackageList<'_> {
    fn what(&self) -> String {
        let component = match self.component {
            Component::Main => String::new(),
            other => format!("/{other}"),
        };
        format!(
            "the package list of {}{component} ({})",
            self.suite.index.suite, self.arch
        )
    }

    fn read(&self, blob: VerifiedBlob) -> Result<Packages> {
        let text =
            unpack(blob, self.file.size).with_context(|| format!("reading {}", self.what()))?;
        Ok(Packages {
            suite: self.suite.index.suite.clone(),
            component: self.component,
            of_base: self.suite.of_base,
            text,
        })
    }
}

/// The text of a Packages file, as long as its Release file says.
fn unpack(blob: VerifiedBlob, size: u64) -> Result<String> {
    let content = Content::whole(blob.into());
    let head = content.head(16).context("reading it from the store")?;
    let packing = Packing::of(&head).context("it is not compressed")?;
    let mut text = String::with_capacity(usize::try_from(size)?);
    packing
        .decoder(content.reader())?
        .take(size.saturating_add(1))
        .read_to_string(&mut text)
        .context("unpacking it")?;
    if text.len() as u64 != size {
        bail!("it does not unpack to the {size} bytes that its Release file declares");
    }
    Ok(text)
}

/// The signed text: a signature does not cover line ends and blanks before them
/// ([RFC 9580](https://www.rfc-editor.org/rfc/rfc9580), section 7.2), so whoever
/// sends the text must not choose its digest by them.
fn canonical(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        lines.push_str(line.trim_end_matches([' ', '\t', '\r']));
        lines.push('\n');
    }
    lines
}

fn pinned(package: &Package<'_>, arch: Arch) -> Result<PinnedPackage> {
    let path = package.needed("Filename")?;
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
        suite: package.suite.clone(),
        component: package.component,
        path: path.to_owned(),
        sha256,
        size: size
            .parse()
            .with_context(|| format!("the size of {} is `{size}`", package.name))?,
    })
}

#[cfg(test)]
mod tests;

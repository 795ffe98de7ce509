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
use super::release::{IndexFile, Release};
use super::solve::{Solution, Wanted, solve};
use super::sources::{archive_of, suites_of};
use crate::input::fetch::{Fetcher, Mirrors, Request};
use crate::input::lock::{self, Index, PinnedPackage};
use crate::input::recipe::value::Name;
use crate::input::recipe::{Base, PackageName};
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
    files: BTreeMap<Arch, PackagesFile>,
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
        let mut notes = Vec::new();
        for (arch, lists) in lists {
            // One architecture at a time: an index is 60 MB of text.
            let indexes = lists
                .into_iter()
                .map(|(list, blob)| list.read(blob))
                .collect::<Result<Vec<_>>>()?;
            let context = || format!("resolving the base system for {arch}");
            let catalog = Catalog::new(&indexes, &self.base.pins).with_context(context)?;
            let solution = self.solve(&catalog, arch).with_context(context)?;
            self.note(&catalog, &solution, &mut notes);
            for package in &solution.packages {
                packages.push(pinned(package, arch)?);
            }
        }
        let indexes = suites.into_iter().map(|suite| suite.index).collect();
        Ok(Resolved {
            packages: lock::Packages::new(self.base, indexes, packages),
            notes,
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
        base.chain(pinned.map(|suite| self.suite(suite, false)))
            .collect()
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
            let plain = format!("main/binary-{arch}/Packages");
            let packed = release.file(&format!("{plain}.xz"))?;
            let size = release.file(&plain)?.size;
            files.insert(arch, PackagesFile { packed, size });
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
        let lists: Vec<_> = Arch::ALL
            .into_iter()
            .flat_map(|arch| suites.iter().map(move |suite| suite.list(arch)))
            .collect();
        let by_hash = self.fetcher.bring(lists.clone(), |list| {
            Ok(self.request(list, &list.file.packed.path))
        });
        by_hash.or_else(|error| {
            // Not every mirror keeps files by their digests.
            let by_name = self.fetcher.bring(lists, |list| {
                let path = format!("main/binary-{}/Packages.xz", list.arch);
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

    fn solve<'c>(&self, catalog: &Catalog<'c>, arch: Arch) -> Result<Solution<'c>> {
        for (name, suite) in &self.base.pins {
            if catalog.get(name.as_str()).is_none() {
                bail!("base.pins: the suite {suite} has no package `{name}`");
            }
        }
        let wanted = Wanted {
            roots: &self.base.packages[&arch],
            provided: &self.base.provided,
            exclude: &self.base.exclude,
            choices: &self.base.choices,
        };
        solve(catalog, wanted)
    }

    fn note(&self, catalog: &Catalog<'_>, solution: &Solution<'_>, notes: &mut Vec<String>) {
        let mut add = |note: String| {
            if !notes.contains(&note) {
                notes.push(note);
            }
        };
        for (name, by) in &solution.dropped {
            let by: Vec<_> = by.iter().copied().collect();
            add(format!(
                "base.exclude: `{name}` is left out, though it is a dependency of {}",
                by.join(", ")
            ));
        }
        for (key, list) in [
            ("provided", &self.base.provided),
            ("exclude", &self.base.exclude),
        ] {
            let unknown = |name: &&PackageName| {
                catalog.get(name.as_str()).is_none() && catalog.providers(name.as_str()).is_empty()
            };
            for name in list.iter().filter(unknown) {
                add(format!(
                    "base.{key}: Debian has no package `{name}`: is it spelt right?"
                ));
            }
        }
    }
}

impl Suite {
    fn list(&self, arch: Arch) -> PackageList<'_> {
        PackageList {
            suite: self,
            arch,
            file: &self.files[&arch],
        }
    }
}

impl PackageList<'_> {
    fn what(&self) -> String {
        format!(
            "the package list of {} ({})",
            self.suite.index.suite, self.arch
        )
    }

    fn read(&self, blob: VerifiedBlob) -> Result<Packages> {
        let text =
            unpack(blob, self.file.size).with_context(|| format!("reading {}", self.what()))?;
        Ok(Packages {
            suite: self.suite.index.suite.clone(),
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
        path: path.to_owned(),
        sha256,
        size: size
            .parse()
            .with_context(|| format!("the size of {} is `{size}`", package.name))?,
    })
}

#[cfg(test)]
mod tests;

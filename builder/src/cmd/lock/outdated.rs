//! `nodeimg lock --outdated`: newer versions of what is pinned, and who says so. Nothing is
//! written, and what is said here is believed by nobody: `lock` verifies what it pins.

mod index;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Expected;
use nodeimg_values::progress::{Mode, Progress};
use serde_json::json;

use super::{Session, new_lock};
use crate::cli::{LockArgs, NetworkArgs, SharedArgs};
use crate::cmd::help;
use crate::input::chosen::Chosen;
use crate::input::debian::version;
use crate::input::fetch::{Fetcher, Gone, Mirrors, Options, Request, shown};
use crate::input::lock::{Lock, Packages, PinnedPackage, Update};
use crate::input::recipe::Recipe;

use index::{Index, compare};

/// A list of versions has less, in bytes.
const MAX_INDEX: u64 = 32 << 20;
/// Registries that answer in pages have so many tags in each, or a multiple.
const PAGE: usize = 50;
/// More tags than that no repository has.
const MAX_PAGES: usize = 100;

/// Something pinned that has versions somewhere.
struct Pinned {
    name: String,
    version: String,
    indexes: Vec<Index>,
}

impl Pinned {
    /// The newest version of each list that answered.
    fn listed<'a>(
        &'a self,
        answers: &'a BTreeMap<&Index, Result<String>>,
    ) -> impl Iterator<Item = (&'a Index, Option<String>)> {
        self.indexes.iter().filter_map(|index| {
            let answer = answers.get(index)?.as_ref().ok()?;
            Some((index, index.newest(answer, &self.version)))
        })
    }

    /// What is newer: of each list, if it has more than the one before it.
    fn newer(&self, answers: &BTreeMap<&Index, Result<String>>, options: &Options) -> Vec<Newer> {
        let mut found: Vec<Newer> = Vec::new();
        for (index, newest) in self.listed(answers) {
            let Some(newest) = newest else { continue };
            let known = found.last().map_or(&self.version, |newer| &newer.newest);
            if compare(&newest, known).is_gt() {
                found.push(Newer {
                    name: self.name.clone(),
                    pinned: self.version.clone(),
                    newest,
                    asked: first_place(options, index.url()),
                });
            }
        }
        found
    }

    /// A sentence, if its lists answered and have nothing that is written like its version.
    fn unlisted(
        &self,
        answers: &BTreeMap<&Index, Result<String>>,
        options: &Options,
    ) -> Option<String> {
        let listed: Vec<_> = self.listed(answers).collect();
        let (index, _) = listed.last()?;
        let none = listed.iter().all(|(_, newest)| newest.is_none());
        let asked = first_place(options, index.url());
        none.then(|| {
            format!(
                "{}: {asked} lists no version like {}",
                self.name, self.version
            )
        })
    }
}

/// What is pinned and has lists of versions; sentences on the rest.
fn pinned(recipe: &Recipe) -> (Vec<Pinned>, BTreeSet<String>) {
    let mut known = Vec::new();
    let mut unknown = BTreeSet::new();
    for artifact in &recipe.artifacts {
        let url = Arch::ALL
            .into_iter()
            .find_map(|arch| artifact.url.get(arch));
        let url = url.map(ToString::to_string).unwrap_or_default();
        let (name, version) = (artifact.name.to_string(), artifact.version.to_string());
        let indexes = Index::of_url(&url, &version);
        if indexes.is_empty() {
            unknown.insert(format!(
                "{name}: {} has no list of versions that nodeimg knows",
                shown(&url)
            ));
            continue;
        }
        known.push(Pinned {
            name,
            version,
            indexes,
        });
    }
    for image in &recipe.images {
        let name = image.name.to_string();
        if let Some(path) = Arch::ALL.into_iter().find_map(|arch| image.source(arch)) {
            unknown.insert(format!(
                "{name}: {} is a copy of one version",
                path.display()
            ));
            continue;
        }
        match image.image.tag() {
            Some(tag) => known.push(Pinned {
                name,
                version: tag.to_owned(),
                indexes: vec![Index::of_image(&image.image)],
            }),
            None => {
                let text = format!(
                    "{name}: {} has no tag, so no version follows it",
                    image.image
                );
                unknown.insert(text);
            }
        }
    }
    for deb in recipe.base.iter().flat_map(|base| &base.debs) {
        let url = shown(&deb.url);
        unknown.insert(format!(
            "{}: {url} has no list of versions that nodeimg knows",
            deb.name
        ));
    }
    (known, unknown)
}

/// One line of what is told.
struct Newer {
    name: String,
    pinned: String,
    newest: String,
    /// Who lists it.
    asked: String,
}

impl Newer {
    fn tell(&self, session: &Session<'_>) -> Result<()> {
        let Newer {
            name,
            pinned,
            newest,
            asked,
        } = self;
        let event = json!({
            "event": "outdated", "name": name, "pinned": pinned, "newest": newest, "asked": asked,
        });
        match session.global.json {
            true => session.progress.event(&event),
            false => {
                help::write(format!("{name:24} {pinned:16} {newest:16} {asked}\n").as_bytes())?
            }
        }
        Ok(())
    }
}

/// Fails if a source did not answer.
pub fn run(session: &Session<'_>, args: &LockArgs, chosen: &Chosen) -> Result<()> {
    let (known, unknown) = pinned(&chosen.recipe);
    let network = NetworkArgs {
        offline: false,
        transfer: args.transfer.clone(),
        shared: SharedArgs::default(),
    };
    let options = session.fetch_options(&chosen.recipe, &network, "nodeimg fetch")?;
    let (_folder, store) = Session::passing_store()?;
    let quiet = Progress::new(Mode::Quiet);
    let fetcher = Fetcher::new(&store, options.clone(), &quiet);
    let mut answers: BTreeMap<&Index, Result<String>> = BTreeMap::new();
    let mut newer = 0;
    for one in &known {
        for index in &one.indexes {
            answers.entry(index).or_insert_with(|| ask(&fetcher, index));
        }
        let found = one.newer(&answers, &options);
        newer += found.len();
        found.iter().try_for_each(|one| one.tell(session))?;
        if let Some(text) = one.unlisted(&answers, &options) {
            session.progress.warn(&text);
        }
    }
    let mut failed: Vec<String> = answers
        .values()
        .filter_map(|answer| answer.as_ref().err())
        .map(|error| format!("{error:#}"))
        .collect();
    match packages(session, args, chosen, &options) {
        Ok(found) => {
            newer += found.len();
            found.iter().try_for_each(|one| one.tell(session))?;
        }
        Err(error) => failed.push(format!("{error:#}")),
    }
    for text in &unknown {
        session.progress.note(text);
    }
    if !failed.is_empty() {
        bail!("not everybody answered:\n  {}", failed.join("\n  "));
    }
    if newer == 0 {
        let text = match unknown.is_empty() {
            true => "everything that is pinned is the newest",
            false => "everything else that is pinned is the newest",
        };
        session.progress.note(text);
    }
    Ok(())
}

/// Who is asked for `url` first.
fn first_place(options: &Options, url: &str) -> String {
    let candidates = options.mirrors.candidates(url);
    let first = candidates.first();
    first.map_or_else(|| shown(url), |place| shown(&place.url))
}

fn ask(fetcher: &Fetcher<'_>, index: &Index) -> Result<String> {
    let first = page(fetcher, index, index.url())?;
    if !matches!(index, Index::Tags(_)) {
        return Ok(first);
    }
    // Some registries send all tags at once, others in pages, of which the query names the tag
    // before it; who knows no query sends the same again.
    let mut all = index::tags(&first);
    for _ in 0..MAX_PAGES {
        let Some(last) = all.last().filter(|_| all.len().is_multiple_of(PAGE)) else {
            break;
        };
        let url = format!("{}?n=1000&last={last}", index.url());
        let more = match page(fetcher, index, &url) {
            Ok(text) => index::tags(&text),
            Err(error) if error.is::<Gone>() => break,
            Err(error) => return Err(error),
        };
        let known = all.len();
        for tag in more {
            if !all.contains(&tag) {
                all.push(tag);
            }
        }
        if all.len() == known {
            break;
        }
    }
    match all.is_empty() {
        true => Ok(first),
        false => Ok(json!({ "tags": all }).to_string()),
    }
}

fn page(fetcher: &Fetcher<'_>, index: &Index, url: &str) -> Result<String> {
    let request = Request {
        what: "the list of versions".to_owned(),
        url: url.to_owned(),
        want: Expected::default(),
        max_size: MAX_INDEX,
        accept: matches!(index, Index::Tags(_)).then_some("application/json"),
    };
    let (blob, _) = fetcher.download(&request)?;
    std::fs::read_to_string(blob.path()).with_context(|| format!("reading {url}"))
}

/// The packages that Debian and the recipe's repositories have newer, each once. What is resolved
/// is thrown away.
fn packages(
    session: &Session<'_>,
    args: &LockArgs,
    chosen: &Chosen,
    options: &Options,
) -> Result<Vec<Newer>> {
    let (Some(_), Some(text)) = (&chosen.recipe.base, &chosen.lock) else {
        return Ok(Vec::new());
    };
    let old = Lock::parse(text, &chosen.label)?;
    let args = LockArgs {
        update: vec![Update::One {
            name: crate::input::lock::BASE.parse()?,
            version: None,
        }],
        ..args.clone()
    };
    let (new, _) = new_lock(session, &args, chosen, Some(&old))?;
    let new = &new.pins.packages;
    let found = newer_packages(&old.pins.packages.packages, &new.packages);
    let told = found.into_iter().map(|(old, package)| Newer {
        name: package.name.to_string(),
        pinned: old.to_owned(),
        newest: package.version.clone(),
        asked: asked_for(package, new, options),
    });
    Ok(told.collect())
}

/// The packages of `new` with the older versions that `old` has, by name: one of each, also if
/// both architectures have it.
fn newer_packages<'a>(
    old: &'a [PinnedPackage],
    new: &'a [PinnedPackage],
) -> Vec<(&'a str, &'a PinnedPackage)> {
    let before: BTreeMap<_, _> = old
        .iter()
        .map(|package| ((&package.name, package.arch), package.version.as_str()))
        .collect();
    let mut found = BTreeMap::new();
    for package in new {
        if let Some(old) = before.get(&(&package.name, package.arch))
            && version::compare(&package.version, old).is_gt()
        {
            found.entry(&package.name).or_insert((*old, package));
        }
    }
    found.into_values().collect()
}

/// Whose index has a package.
fn asked_for(package: &PinnedPackage, all: &Packages, options: &Options) -> String {
    let suite = package.suite();
    let index = all.indexes.iter().find(|index| Some(&index.suite) == suite);
    match index {
        Some(index) => match &index.url {
            Some(url) => shown(url),
            None => {
                let path = format!("dists/{}/InRelease", index.suite);
                let url = Mirrors::snapshot(index.archive.as_str(), "now", &path);
                first_place(options, &url)
            }
        },
        None => package.own_url().map(shown).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::input::lock::Place;
    use nodeimg_values::digest::Digest;

    fn package(name: &str, arch: Arch, version: &str) -> PinnedPackage {
        PinnedPackage {
            name: name.parse().unwrap(),
            arch,
            version: version.to_owned(),
            place: Place::Url {
                url: format!("https://deb.test/{name}"),
            },
            sha256: Digest::sha256(name.as_bytes()),
            size: 1,
        }
    }

    #[test]
    fn only_newer_packages_are_told_and_each_once() {
        let both = |name: &str, version: &str| Arch::ALL.map(|arch| package(name, arch, version));
        let old = [
            both("libc6", "2.41-9"),
            both("apt", "3.0.3"),
            both("tar", "1:1.35"),
            both("gone", "1"),
        ];
        let new = [
            both("libc6", "2.41-12+deb13u1"),
            both("apt", "3.0.3~rc1"),
            both("tar", "1:1.35"),
            both("added", "1"),
        ];
        let (old, new) = (old.concat(), new.concat());
        let found = newer_packages(&old, &new);
        let told: Vec<_> = found
            .iter()
            .map(|(old, new)| format!("{} {old} {}", new.name, new.version))
            .collect();
        assert_eq!(told, ["libc6 2.41-9 2.41-12+deb13u1"]);
    }
}

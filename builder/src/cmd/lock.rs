//! `nodeimg lock`: resolve names to bytes, and write down which.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_values::atomic;
use nodeimg_values::digest::{Algorithm, Digest, Expected};
use serde_json::json;

use super::base::{now, packages};
use super::{Chosen, MAX_DOWNLOAD, Session, images, scripts, warm_command};
use crate::cli::{LockArgs, NetworkArgs};
use crate::image::boot;
use crate::input::artifact::checksum;
use crate::input::debian::Keyring;
use crate::input::fetch::{Fetcher, Request};
use crate::input::lock::{self, Entry, Lock, Packages, Update};
use crate::input::recipe::{self, LockRequest, Recipe, RecipeRef};

pub fn run(session: &Session<'_>, args: &LockArgs) -> Result<()> {
    let mut chosen = Chosen::load(&args.recipe)?;
    if args.check {
        chosen.locked(&args.recipe)?;
        session.say(
            &json!({ "event": "lock", "fits": true }),
            &format!("{} fits the recipe", chosen.label),
        );
        return Ok(());
    }
    let Some(path) = args
        .recipe
        .lock
        .clone()
        .or_else(|| args.recipe.recipe.lock_path())
    else {
        bail!(
            "`{}` is built in and so is its lock: `nodeimg init DIR` makes a recipe of your own, \
             or name another lock with --lock FILE",
            args.recipe.recipe
        );
    };
    let edited = new_versions(&args.update, &args.recipe.recipe, &chosen.recipe)?;
    if let Some(text) = &edited {
        chosen.recipe = recipe::load_edited(&args.recipe.recipe, text)?;
    }
    known_names(&args.update, &chosen.recipe)?;
    let old = old_lock(&chosen, &args.update)?;
    let lock = resolve(session, args, &chosen.recipe, old.as_ref())?;
    let text = lock.text();
    let changed = chosen.lock.as_deref() != Some(text.as_str());
    if changed {
        atomic::write_file(&path, text.as_bytes())?;
    }
    // After the lock: a failure up to here has changed nothing.
    if let (Some(text), RecipeRef::File(recipe)) = (&edited, &args.recipe.recipe) {
        atomic::write_file(recipe, text.as_bytes())?;
    }
    let verb = if changed {
        "wrote"
    } else {
        "nothing to change in"
    };
    session.say(
        &json!({ "event": "lock", "path": path, "changed": changed, "entries": lock.entries.len(), "images": lock.images.len(), "packages": lock.packages.packages.len() }),
        &format!("{verb} {} ({})", path.display(), pinned(&lock)),
    );
    Ok(())
}

/// `10 entries`, with the packages where there is a base system.
fn pinned(lock: &Lock) -> String {
    let entries = lock.entries.len() + lock.images.len();
    match lock.packages.packages.len() {
        0 => format!("{entries} entries"),
        packages => format!("{entries} entries, {packages} packages"),
    }
}

/// A lock that cannot be read is in the way, unless all of it is made anew.
fn old_lock(chosen: &Chosen, updates: &[Update]) -> Result<Option<Lock>> {
    let Some(text) = &chosen.lock else {
        return Ok(None);
    };
    match Lock::parse(text, &chosen.label) {
        Ok(lock) => Ok(Some(lock)),
        Err(_) if updates.contains(&Update::All) => Ok(None),
        Err(error) => Err(error),
    }
}

fn known_names(updates: &[Update], recipe: &Recipe) -> Result<()> {
    for update in updates {
        let Update::One { name, .. } = update else {
            continue;
        };
        let artifacts = recipe.artifacts.iter().map(|a| a.name.as_str());
        let images = recipe.images.iter().map(|image| image.name.as_str());
        let names: Vec<_> = artifacts.chain(images).collect();
        let base = recipe.base.is_some() && name.as_str() == lock::BASE;
        let kubernetes = recipe.kubernetes.is_some() && update.is_of_kubernetes();
        if !base && !kubernetes && !names.contains(&name.as_str()) {
            bail!(
                "--update {name}: the recipe has no such artifact; it has {}",
                names.join(", ")
            );
        }
    }
    Ok(())
}

/// The recipe's text with the versions of `--update NAME=VERSION`.
fn new_versions(updates: &[Update], from: &RecipeRef, recipe: &Recipe) -> Result<Option<String>> {
    let versions: Vec<_> = updates.iter().filter_map(Update::version).collect();
    if versions.is_empty() {
        return Ok(None);
    }
    let RecipeRef::File(path) = from else {
        bail!(
            "`{from}` is built in: `nodeimg init DIR` makes a recipe whose versions you can change"
        );
    };
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut document: toml_edit::DocumentMut = text
        .parse()
        .with_context(|| format!("reading {}", path.display()))?;
    for (name, version) in versions {
        // An artifact may have the name of the key, where the recipe has no such key.
        if name.as_str() == lock::KUBERNETES && recipe.kubernetes.is_some() {
            set_value(document.as_table_mut(), lock::KUBERNETES, version.as_str());
            continue;
        }
        set_version(&mut document, name.as_str(), version.as_str())
            .with_context(|| format!("changing {}", path.display()))?;
    }
    Ok(Some(document.to_string()))
}

fn set_version(document: &mut toml_edit::DocumentMut, name: &str, version: &str) -> Result<()> {
    let list = document
        .entry("artifact")
        .or_insert_with(|| toml_edit::Item::ArrayOfTables(toml_edit::ArrayOfTables::new()));
    let Some(tables) = list.as_array_of_tables_mut() else {
        bail!("`artifact` is an inline list: write each one as a table `[[artifact]]`");
    };
    let there = tables
        .iter_mut()
        .find(|table| table.get("name").and_then(|n| n.as_str()) == Some(name));
    if let Some(table) = there {
        set_value(table, "version", version);
        return Ok(());
    }
    // An artifact of the recipe that this one extends.
    let mut table = toml_edit::Table::new();
    table.insert("name", toml_edit::value(name));
    table.insert("version", toml_edit::value(version));
    tables.push(table);
    Ok(())
}

fn set_value(table: &mut toml_edit::Table, key: &str, text: &str) {
    let mut value = toml_edit::Value::from(text);
    if let Some(old) = table.get(key).and_then(toml_edit::Item::as_value) {
        // The comment behind it.
        value.decor_mut().clone_from(old.decor());
    }
    table.insert(key, toml_edit::Item::Value(value));
}

fn resolve(
    session: &Session<'_>,
    args: &LockArgs,
    recipe: &Recipe,
    old: Option<&Lock>,
) -> Result<Lock> {
    let store = session.store()?;
    let network = NetworkArgs {
        offline: false,
        transfer: args.transfer.clone(),
    };
    let fetcher = Fetcher::new(
        &store,
        session.fetch_options(recipe, &network, &warm_command(&args.recipe.recipe, &[]))?,
        session.progress,
    );
    let known = args
        .digests
        .as_deref()
        .map(read_digests)
        .transpose()?
        .unwrap_or_default();
    let resolver = Publishers {
        fetcher: &fetcher,
        known,
    };
    let requests = recipe.lock_requests();
    // A thread each; the fetcher itself limits how many download at a time.
    let entries = std::thread::scope(|scope| {
        let threads: Vec<_> = requests
            .iter()
            .map(|request| {
                let again = |update: &Update| {
                    update.covers(&request.name)
                        || update.is_of_kubernetes() && recipe.follows_kubernetes(&request.name)
                };
                let kept = old
                    .and_then(|lock| lock.answer(request))
                    .filter(|_| !args.update.iter().any(again));
                let resolver = &resolver;
                scope.spawn(move || match kept {
                    Some(entry) => Ok(entry.clone()),
                    None => resolver.resolve(request),
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect::<Vec<Result<Entry>>>()
    });
    let problems: Vec<_> = entries
        .iter()
        .filter_map(|e| e.as_ref().err())
        .map(|e| format!("{e:#}"))
        .collect();
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    let entries = entries.into_iter().collect::<Result<Vec<_>>>()?;
    let pins = images::Pins {
        fetcher: &fetcher,
        known: &resolver.known,
        old: old.map(|lock| lock.images.as_slice()).unwrap_or_default(),
        updates: &args.update,
    };
    let images = pins.of(recipe)?;
    let mut pinned = base(session, args, recipe, old, &fetcher)?;
    boot::check_needs(recipe, &pinned.packages)?;
    if let Some(base) = &recipe.base {
        let read = old.map(|lock| &lock.packages);
        let read = read.filter(|packages| !packages.unattended);
        scripts::check(&fetcher, base, &pinned, read)?;
        pinned.unattended = false;
    }
    // The image's time moves only when something else does.
    let at = |epoch| {
        let lock = Lock::new(recipe, epoch, entries.clone(), pinned.clone());
        lock.with_images(images.clone())
    };
    match old.filter(|old| at(old.epoch) == **old) {
        Some(old) => Ok(old.clone()),
        None => Ok(at(now()?)),
    }
}

/// The packages of the base system: the old ones where they still answer.
fn base(
    session: &Session<'_>,
    args: &LockArgs,
    recipe: &Recipe,
    old: Option<&Lock>,
    fetcher: &Fetcher<'_>,
) -> Result<Packages> {
    let Some(base) = &recipe.base else {
        return Ok(Packages::default());
    };
    let named = lock::BASE.parse()?;
    let update = args.update.iter().any(|update| update.covers(&named));
    match old.filter(|old| !update && old.packages.answer(base)) {
        Some(old) => Ok(old.packages.clone()),
        None => packages(session, base, fetcher, Keyring::debian()?),
    }
}

struct Publishers<'a> {
    fetcher: &'a Fetcher<'a>,
    known: BTreeMap<String, Digest>,
}

impl Publishers<'_> {
    fn resolve(&self, request: &LockRequest) -> Result<Entry> {
        if let Some(digest) = self.known.get(&request.url) {
            return Ok(Entry::new(request.clone(), &Expected::of(digest, None)));
        }
        let published = self.published(request)?;
        let want = published
            .as_ref()
            .map(|digest| Expected::of(digest, None))
            .unwrap_or_default();
        let download = Request {
            what: request.what(),
            url: request.url.clone(),
            want,
            max_size: MAX_DOWNLOAD,
            accept: None,
        };
        let (_, measured) =
            self.fetcher
                .download(&download)
                .with_context(|| match &request.checksum {
                    Some(url) => format!("checking {} against {url}", request.what()),
                    None => format!("resolving {}", request.what()),
                })?;
        let mut pinned = Expected::of(&measured.sha256, Some(measured.size));
        pinned.sha512 = published.filter(|digest| digest.algorithm() == Algorithm::Sha512);
        Ok(Entry::new(request.clone(), &pinned))
    }

    /// What the publisher's checksum file says of the artifact.
    fn published(&self, request: &LockRequest) -> Result<Option<Digest>> {
        let Some(url) = &request.checksum else {
            return Ok(None);
        };
        let what = format!("the checksum of {}", request.what());
        let Some(text) = self.fetcher.text(url, &what)? else {
            bail!(
                "{what} is not at {url}: there is no such version, or `checksum` of the artifact is to be corrected or taken out"
            );
        };
        let file = request.url.rsplit('/').next().unwrap_or_default();
        match checksum::find(&text, file).with_context(|| format!("reading {url}"))? {
            Some(digest) => Ok(Some(digest)),
            None => bail!(
                "{url} says nothing of `{file}`: correct `checksum` of `{}`",
                request.name
            ),
        }
    }
}

/// `HEX  URL` a line, `#` begins a comment.
fn read_digests(path: &Path) -> Result<BTreeMap<String, Digest>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut known = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = || format!("{}:{}", path.display(), index + 1);
        let (Some((hex, url)), true) = (line.split_once(char::is_whitespace), line.contains("://"))
        else {
            bail!("{}: `HEX  URL` is wanted", place());
        };
        let Some(algorithm) = Algorithm::by_hex_len(hex.len()) else {
            bail!("{}: `{hex}` is neither a SHA-256 nor a SHA-512", place());
        };
        let digest = Digest::new(algorithm, hex).with_context(place)?;
        if known
            .insert(url.trim().to_owned(), digest.clone())
            .is_some_and(|before| before != digest)
        {
            bail!("{}: another digest stands for this URL further up", place());
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with_version(text: &str) -> Result<String> {
        let mut document: toml_edit::DocumentMut = text.parse().unwrap();
        set_version(&mut document, "runc", "1.4.4")?;
        Ok(document.to_string())
    }

    #[test]
    fn a_version_is_changed_in_its_place_or_told_why_not() {
        let text = "[[artifact]]\nname = \"runc\"\nversion = \"1.4.3\" # why\n";
        assert_eq!(with_version(text).unwrap(), text.replace("1.4.3", "1.4.4"));
        let added = with_version("extends = \"hard-way\"\n").unwrap();
        assert!(
            added.contains("name = \"runc\"\nversion = \"1.4.4\"\n"),
            "{added}"
        );
        let error = with_version("artifact = [{ name = \"runc\" }]\n").unwrap_err();
        assert!(error.to_string().contains("[[artifact]]"), "{error}");
    }
}

//! One verb per file: glue between the command line and the rooms.

mod build;
mod fetch;
mod init;
mod lock;
mod recipe;
mod store;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::arch::Arch;
use crate::cli::{Cli, Global, NetworkArgs, RecipeArgs, Verb};
use crate::fetch::{Fetcher, MIRROR_VARIABLE, Mirrors, Options, Request, Retry};
use crate::lock::{Entry, Lock, Locked};
use crate::progress::{Mode, Progress};
use crate::recipe::{self as recipes, Artifact, Recipe, RecipeRef, built_in};
use crate::store::{Store, VerifiedBlob};

/// More than any artifact of a node; a server that sends more is cut off.
const MAX_DOWNLOAD: u64 = 4 << 30;

/// Does what the command line says.
pub fn run(cli: &Cli) -> Result<()> {
    let progress = Progress::new(Mode::choose(cli.global.quiet, cli.global.json));
    let session = Session {
        global: &cli.global,
        progress: &progress,
    };
    match &cli.verb {
        Verb::Build(args) => build::run(&session, args),
        Verb::Fetch(args) => fetch::run(&session, args),
        Verb::Lock(args) => lock::run(&session, args),
        Verb::Recipe(verb) => recipe::run(&session, verb),
        Verb::Init(args) => init::run(&session, args),
        Verb::Store(verb) => store::run(&session, verb),
    }
}

/// What every verb is given.
pub struct Session<'a> {
    pub global: &'a Global,
    pub progress: &'a Progress,
}

impl Session<'_> {
    pub fn store_root(&self) -> Result<PathBuf> {
        self.global
            .store
            .clone()
            .map_or_else(Store::default_root, Ok)
    }

    pub fn store(&self) -> Result<Store> {
        Store::open(&self.store_root()?)
    }

    /// `warm_command` is what the user can run to have everything in the store.
    pub fn fetch_options(
        &self,
        recipe: &Recipe,
        network: &NetworkArgs,
        warm_command: &str,
    ) -> Result<Options> {
        let environment = std::env::var(MIRROR_VARIABLE).ok();
        let of_recipe: Vec<_> = recipe
            .mirrors
            .iter()
            .map(|(from, to)| format!("{from}={to}"))
            .collect();
        Ok(Options {
            offline: network.offline,
            mirrors: Mirrors::new(&self.global.mirrors, environment.as_deref(), &of_recipe)?,
            jobs: usize::from(network.transfer.jobs),
            retry: Retry {
                attempts: u32::from(network.transfer.retries) + 1,
                ..Retry::default()
            },
            warm_command: warm_command.to_owned(),
            ..Options::default()
        })
    }

    /// One object on standard output where `--json` is on, a line for people
    /// on standard error otherwise.
    pub fn say(&self, event: &serde_json::Value, text: &str) {
        if self.global.json {
            self.progress.event(event);
        } else {
            self.progress.note(text);
        }
    }
}

/// The command that brings all that a build of these needs into the store.
pub fn warm_command(recipe: &RecipeRef, archs: &[Arch]) -> String {
    let archs: String = archs.iter().map(|arch| format!(" --arch {arch}")).collect();
    format!("nodeimg fetch --recipe {recipe}{archs}")
}

/// The recipe and its lock's text, not yet checked against each other.
pub struct Chosen {
    pub recipe: Recipe,
    pub label: String,
    pub lock: Option<String>,
}

impl Chosen {
    pub fn load(args: &RecipeArgs) -> Result<Chosen> {
        let recipe = recipes::load(&args.recipe)?;
        let path = args.lock.clone().or_else(|| args.recipe.lock_path());
        let (label, lock) = match (&args.recipe, path) {
            (_, Some(path)) => (path.display().to_string(), read_if_there(&path)?),
            (RecipeRef::BuiltIn(name), None) => {
                let text = built_in(name).and_then(|found| found.lock);
                (
                    format!("the built-in lock of {name}"),
                    text.map(str::to_owned),
                )
            }
            (RecipeRef::File(path), None) => bail!("{} has no lock path", path.display()),
        };
        Ok(Chosen {
            recipe,
            label,
            lock,
        })
    }

    /// The lock, if it is there and fits.
    pub fn locked(&self, args: &RecipeArgs) -> Result<Locked> {
        let Some(text) = &self.lock else {
            bail!(
                "{} is missing: `nodeimg lock --recipe {}` makes it",
                self.label,
                args.recipe
            );
        };
        Lock::parse(text, &self.label)?.check(&self.recipe, &self.label)
    }
}

fn read_if_there(path: &std::path::Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("reading the lock {}", path.display())),
    }
}

fn requests(entries: &[&Entry]) -> Result<Vec<Request>> {
    let request = |entry: &&Entry| {
        let want = entry.expected()?;
        let max_size = want.size.unwrap_or(MAX_DOWNLOAD);
        Ok(Request {
            what: entry.what(),
            url: entry.url.clone(),
            want,
            max_size,
        })
    };
    entries.iter().map(request).collect()
}

/// Each artifact of a recipe with its bytes, for one architecture.
pub type Inputs<'a> = Vec<(&'a Artifact, Arc<VerifiedBlob>)>;

/// The bytes of every artifact for `archs`, in the order of `archs`.
pub fn inputs<'a>(
    fetcher: &Fetcher<'_>,
    recipe: &'a Recipe,
    locked: &Locked,
    archs: &[Arch],
) -> Result<Vec<Inputs<'a>>> {
    let mut entries = Vec::new();
    for arch in archs {
        entries.push(locked.entries(recipe, *arch)?);
    }
    // All architectures in one go: the downloads run side by side.
    let all: Vec<&Entry> = entries.iter().flatten().copied().collect();
    let mut blobs = fetcher.fetch(&requests(&all)?)?.into_iter();
    entries
        .iter()
        .map(|entries| of_arch(recipe, entries, &mut blobs))
        .collect()
}

fn of_arch<'a>(
    recipe: &'a Recipe,
    entries: &[&Entry],
    blobs: &mut impl Iterator<Item = VerifiedBlob>,
) -> Result<Inputs<'a>> {
    let mut by_name = std::collections::BTreeMap::new();
    for entry in entries {
        let blob = blobs
            .next()
            .with_context(|| format!("{} was not fetched", entry.what()))?;
        by_name.insert(entry.name.as_str(), Arc::new(blob));
    }
    let of_artifact = |artifact: &'a Artifact| {
        let blob = by_name.remove(artifact.name.as_str());
        Ok((
            artifact,
            blob.with_context(|| format!("artifact `{}` is not in the lock", artifact.name))?,
        ))
    };
    recipe.artifacts.iter().map(of_artifact).collect()
}

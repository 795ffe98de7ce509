//! One verb per file: glue between the command line and the rooms.

mod base;
mod build;
mod fetch;
mod images;
mod init;
mod inputs;
mod lock;
mod recipe;
mod run;
mod scripts;
mod seed;
mod seed_new;
mod store;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;
use nodeimg_values::progress::{Mode, Progress};

use crate::cli::{Cli, Global, NetworkArgs, RecipeArgs, Verb};
use crate::image::boot;
use crate::input::debian::{Archives, MIRROR_VARIABLE as DEBIAN_VARIABLE};
use crate::input::fetch::{MIRROR_VARIABLE, Mirrors, Options, Retry};
use crate::input::lock::{Lock, Locked};
use crate::input::recipe::file::OutputKind;
use crate::input::recipe::{self as recipes, Base, Recipe, RecipeRef, built_in};
use crate::store::Store;

/// More than any artifact of a node; a server that sends more is cut off.
const MAX_DOWNLOAD: u64 = 4 << 30;

/// Does what the command line says; how the process ends where that went well.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    let progress = Progress::new(Mode::choose(cli.global.quiet, cli.global.json));
    let session = Session {
        global: &cli.global,
        progress: &progress,
    };
    match &cli.verb {
        Verb::Build(args) => build::run(&session, args),
        Verb::Fetch(args) => fetch::run(&session, args),
        Verb::Run(args) => return run::run(&session, args),
        Verb::Test(args) => return test::run(&session, args),
        Verb::Lock(args) => lock::run(&session, args),
        Verb::Recipe(verb) => recipe::run(&session, verb),
        Verb::Init(args) => init::run(&session, args),
        Verb::Seed(verb) => seed::run(&session, verb),
        Verb::Store(verb) => store::run(&session, verb),
    }?;
    Ok(ExitCode::SUCCESS)
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
        let mut mirrors = Mirrors::new(&self.global.mirrors, environment.as_deref(), &of_recipe)?;
        if let Some(base) = &recipe.base {
            mirrors = mirrors.with_archives(self.archives(base)?.into_mirrors())?;
        }
        Ok(Options {
            offline: network.offline,
            mirrors,
            jobs: usize::from(network.transfer.jobs),
            retry: Retry {
                attempts: u32::from(network.transfer.retries) + 1,
                ..Retry::default()
            },
            warm_command: warm_command.to_owned(),
            ..Options::default()
        })
    }

    /// Debian's mirrors: the flag's, then the environment's, the recipe's, apt's.
    fn archives(&self, base: &Base) -> Result<Archives> {
        let mut named = self.global.debian_mirrors.clone();
        let environment = std::env::var(DEBIAN_VARIABLE).unwrap_or_default();
        named.extend(Archives::words(&environment));
        Archives::find(&named, base, Path::new("/etc/apt"))
            .with_context(|| format!("reading --debian-mirror and {DEBIAN_VARIABLE}"))
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
        Chosen::load_for(args, &[])
    }

    /// With these outputs instead of the recipe's, where there are any.
    pub fn load_for(args: &RecipeArgs, outputs: &[OutputKind]) -> Result<Chosen> {
        let recipe = recipes::load_for(&args.recipe, outputs)?;
        let path = args.lock.clone().or_else(|| args.recipe.lock_path());
        let (label, lock) = match (&args.recipe, path) {
            (_, Some(path)) => (path.display().to_string(), read_if_there(&path)?),
            (RecipeRef::BuiltIn(name), None) => Chosen::shipped_lock(name),
            (RecipeRef::File(path), None) => bail!("{} has no lock path", path.display()),
        };
        Ok(Chosen {
            recipe,
            label,
            lock,
        })
    }

    /// What messages call a built-in recipe's own lock, and its text.
    fn shipped_lock(name: &str) -> (String, Option<String>) {
        let text = built_in(name).and_then(|found| found.lock);
        (
            format!("the built-in lock of {name}"),
            text.map(str::to_owned),
        )
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
        let lock = Lock::parse(text, &self.label)?;
        let pinned = lock.packages.packages.clone();
        let locked = lock.check(&self.recipe, &self.label)?;
        boot::check_needs(&self.recipe, &pinned)?;
        Ok(locked)
    }
}

fn read_if_there(path: &std::path::Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("reading the lock {}", path.display())),
    }
}

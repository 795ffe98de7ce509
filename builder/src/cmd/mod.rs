//! One verb per file: glue between the command line and the rooms.

mod build;
mod container;
mod doctor;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod fetch;
#[cfg(target_os = "linux")]
mod flash;
mod help;
mod init;
mod inspect;
mod job;
mod lock;
mod publish;
mod pull;
mod recipe;
mod run;
mod seed;
mod sign;
mod store;
mod test;
mod trust;
mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use nodeimg_trust::Roots;
use nodeimg_values::arch::Arch;
use nodeimg_values::progress::{Mode, Progress};
use nodeimg_values::stdin;
use serde_json::json;

use crate::cli::{Cli, Global, NetworkArgs, RecipeArgs, SharedArgs, TransferArgs, Verb};
use crate::input::bring::Fetched;
use crate::input::chosen::Chosen;
use crate::input::debian::{Archives, MIRROR_VARIABLE as DEBIAN_VARIABLE};
use crate::input::fetch::push::Repository;
use crate::input::fetch::{Fetcher, MIRROR_VARIABLE, Mirrors, Options, Retry};
use crate::input::lock::Locked;
use crate::input::recipe::output::OutputKind;
use crate::input::recipe::{Base, Recipe, RecipeRef};
use crate::input::resolve::relock::Relock;
use crate::input::vouch::roots;
use crate::output::KINDS;
use crate::publish::pins;
use crate::store::Store;
#[cfg(not(target_os = "linux"))]
use elsewhere as flash;

/// Does what the command line says; how the process ends if that succeeded.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    let progress = Progress::new(Mode::choose(cli.global.quiet, cli.global.json));
    if matches!(
        cli.verb,
        Verb::Build(_)
            | Verb::Verify(_)
            | Verb::Publish(_)
            | Verb::Pull(_)
            | Verb::Fetch(_)
            | Verb::Job(_)
            | Verb::Lock(_)
    ) {
        progress.watch_interrupts();
    }
    let session = Session {
        global: &cli.global,
        progress: &progress,
    };
    match &cli.verb {
        Verb::Build(args) => build::run(&session, args),
        Verb::Sign(args) => sign::run(&session, args),
        Verb::Verify(args) => verify::run(&session, args),
        Verb::Publish(args) => publish::run(&session, args),
        Verb::Pull(args) => pull::run(&session, args),
        Verb::Job(args) => job::run(&session, args),
        Verb::Container(args) => container::run(&session, args),
        Verb::Fetch(args) => fetch::run(&session, args),
        Verb::Flash(args) => flash::run(&session, args),
        Verb::Run(args) => return run::run(&session, args),
        Verb::Test(args) => return test::run(&session, args),
        Verb::Inspect(args) => inspect::run(&session, args),
        Verb::Diff(args) => inspect::diff(&session, args),
        Verb::Lock(args) => lock::run(&session, args),
        Verb::Recipe(verb) => recipe::run(&session, verb),
        Verb::Init(args) => init::run(&session, args),
        Verb::Seed(verb) => seed::run(&session, verb),
        Verb::Store(verb) => store::run(&session, verb),
        Verb::Trust(verb) => trust::run(&session, verb),
        Verb::Doctor(args) => return doctor::run(&session, args),
        Verb::Help(args) => help::run(args),
        Verb::Completions(args) => help::completions(args),
        Verb::Man(args) => help::man(args),
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
        let store = Store::open(&self.store_root()?)?;
        if let Some(why) = store.only_read() {
            self.progress.warn(&format!(
                "the store {} {why}: nodeimg reads its files, and does not keep what it fetches or \
                 makes now (name a store of your own with --store DIR)",
                store.root().display()
            ));
        }
        if store.was_open() {
            let shown = store.root().display();
            self.progress.warn(&format!(
                "other users could write to the store {shown}: its folders are closed to them \
                 now, and files that they can change are not used (`chmod -R go-w {shown}` closes \
                 them too)"
            ));
        }
        Ok(store)
    }

    /// For what is fetched and not kept; it goes with the folder.
    pub fn passing_store() -> Result<(tempfile::TempDir, Store)> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let store = Store::open(&folder.path().join("store"))?;
        Ok((folder, store))
    }

    /// For verbs that only look: proofs may be in the store alone, and a store that is not
    /// there has none.
    pub fn store_if_there(&self) -> Result<Option<Store>> {
        let root = self.store_root()?;
        match root.exists() {
            true => Store::open(&root).map(Some),
            false => Ok(None),
        }
    }

    /// `warm_command` is what the user can run to have everything in the store.
    pub fn fetcher<'a>(
        &'a self,
        store: &'a Store,
        recipe: &Recipe,
        network: &NetworkArgs,
        warm_command: &str,
    ) -> Result<Fetcher<'a>> {
        let options = self.fetch_options(recipe, network, warm_command)?;
        Ok(Fetcher::new(store, options, self.progress))
    }

    /// For what belongs to no recipe; `store` gets nothing.
    pub fn bare_fetcher<'a>(&'a self, store: &'a Store) -> Result<Fetcher<'a>> {
        let environment = std::env::var(MIRROR_VARIABLE).ok();
        let options = Options {
            mirrors: Mirrors::new(&self.global.mirrors, environment.as_deref(), &[])?,
            ..Options::default()
        };
        Ok(Fetcher::new(store, options, self.progress))
    }

    /// For the files of a build at `url`, which may be plain http: their digests are verified.
    pub fn fetcher_of<'a>(
        &'a self,
        store: &'a Store,
        url: &str,
        network: &NetworkArgs,
    ) -> Result<Fetcher<'a>> {
        let environment = std::env::var(MIRROR_VARIABLE).ok();
        let mut mirrors = Mirrors::new(&self.global.mirrors, environment.as_deref(), &[])?;
        let is_mirrored = mirrors.candidates(url).iter().any(|one| one.by_mirror);
        if url.starts_with("http://") && !is_mirrored {
            let mut flags = self.global.mirrors.clone();
            flags.push(format!("{url}={url}"));
            mirrors = Mirrors::new(&flags, environment.as_deref(), &[])?;
        }
        let options = Options {
            mirrors,
            ..self.plain_options(&network.transfer)?
        };
        Ok(Fetcher::new(store, options, self.progress))
    }

    /// Has the shared store asked first for what `locked` pins.
    pub fn share(
        &self,
        fetcher: &Fetcher<'_>,
        shared: &SharedArgs,
        locked: &Locked,
        archs: &[Arch],
    ) {
        if let Some(address) = &shared.store_remote {
            let lists = archs.iter().map(|arch| pins::tags(locked.digest(), *arch));
            fetcher.share(&address.reference, &lists.collect::<Vec<_>>());
        }
    }

    /// Brings into the shared store what was fetched, if it is to be written.
    pub fn keep(
        &self,
        network: &NetworkArgs,
        recipe: &Recipe,
        locked: &Locked,
        fetched: &BTreeMap<Arch, Fetched<'_>>,
    ) -> Result<()> {
        let shared = &network.shared;
        let Some(address) = shared
            .store_remote
            .as_ref()
            .filter(|_| shared.store_remote_write)
        else {
            return Ok(());
        };
        let options = self.fetch_options(recipe, network, "nodeimg fetch")?;
        let repository = Repository::open(&address.reference, &options, Vec::new(), self.progress)?;
        for (arch, fetched) in fetched {
            let blobs: Vec<_> = fetched.blobs().collect();
            let told = pins::keep(&repository, locked.digest(), *arch, &blobs)?;
            let text = match told.unchanged {
                true => format!("{address} has what the lock pins for {arch}"),
                false => format!(
                    "{address} keeps what the lock pins for {arch}: {} files sent, {} there already",
                    told.sent, told.there
                ),
            };
            let event = json!({
                "event": "kept", "repository": repository.name(), "arch": arch, "tags": told.tags,
                "sent": told.sent, "there": told.there, "bytes": told.bytes,
            });
            self.say(&event, &text);
        }
        Ok(())
    }

    /// For what belongs to no recipe.
    pub fn plain_options(&self, transfer: &TransferArgs) -> Result<Options> {
        let environment = std::env::var(MIRROR_VARIABLE).ok();
        Ok(Options {
            mirrors: Mirrors::new(&self.global.mirrors, environment.as_deref(), &[])?,
            jobs: usize::from(transfer.jobs),
            retry: Retry {
                attempts: u32::from(transfer.retries) + 1,
                ..Retry::default()
            },
            ..Options::default()
        })
    }

    fn fetch_options(
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
            warm_command: warm_command.to_owned(),
            ..self.plain_options(&network.transfer)?
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

    /// Says what the recipe's author should change, though it works.
    pub fn warn_of(&self, recipe: &Recipe) {
        for warning in &recipe.warnings {
            self.progress.warn(warning);
        }
    }

    /// One object on standard output if `--json` is on, a line for people
    /// on standard error otherwise.
    pub fn say(&self, event: &serde_json::Value, text: &str) {
        self.progress.say(event, text);
    }
}

impl RecipeArgs {
    /// The recipe and its lock; with these outputs instead of the recipe's, if there are any.
    fn choose(&self, outputs: &[&OutputKind]) -> Result<Chosen> {
        Chosen::load(&self.recipe, self.lock.as_deref(), &KINDS, outputs)
    }

    /// What its lock names outlives a budget of the store.
    fn remember(&self, store: &Store) -> Result<()> {
        let lock = self.lock.clone().or_else(|| self.recipe.lock_path());
        match lock.filter(|lock| lock.is_file() && !stdin::is(lock)) {
            Some(lock) => store.remember_lock(&lock),
            None => Ok(()),
        }
    }

    /// The trusted roots for `recipe`.
    fn roots(&self, recipe: &Recipe) -> Result<Roots> {
        roots::load(&recipe.trust, &self.trusted_roots)
    }

    /// What `--relock-base` may write; a built-in recipe's new lock goes to `out`.
    fn relock(&self, out: Option<&Path>, chosen: &mut Chosen) -> Result<Relock> {
        Relock::of(self.lock.as_deref(), out, chosen)
    }
}

/// The command that brings all that a build of these needs into the store.
pub fn warm_command(recipe: &RecipeRef, archs: &[Arch]) -> String {
    let archs: String = archs.iter().map(|arch| format!(" --arch {arch}")).collect();
    format!("nodeimg fetch --recipe {recipe}{archs}")
}

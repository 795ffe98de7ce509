//! The command line: types only, no work.

mod complete;
mod examples;
mod flash;
mod global;
mod init;
mod inspect;
mod lock;
mod machine;
mod near;
mod page;
mod publish;
mod recipes;
mod screen;
mod seed;
mod sign;
mod trust;
mod verify;

use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::Result;
use clap::builder::{
    NonEmptyStringValueParser, OsStringValueParser, PossibleValue, PossibleValuesParser,
    TypedValueParser,
};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use nodeimg_values::arch::Arch;
use nodeimg_values::stdin;

pub use complete::{CompletionsArgs, answer};
pub use flash::FlashArgs;
pub use global::Global;
pub use init::{ChoiceArgs, InitArgs, Platform};
pub use inspect::{DiffArgs, InspectArgs};
pub use lock::LockArgs;
pub use machine::{RunArgs, TestArgs};
pub use page::{DoctorArgs, HelpArgs, ManArgs, help_of};
pub use publish::{ContainerArgs, JobArgs, PublishArgs, PullArgs};
pub use recipes::RecipesArgs;
pub use seed::{
    NameValue, SeedCaArgs, SeedCheckArgs, SeedFleetArgs, SeedIdentityArgs, SeedNewArgs,
    SeedTokenArgs, SeedUpdateArgs, SeedVerb,
};
pub use sign::SignArgs;
pub use trust::TrustVerb;
pub use verify::VerifyArgs;

use crate::input::recipe::RecipeRef;
use crate::input::recipe::output::{OutputKind, named};
use crate::input::recipe::value::ByteSize;
use crate::input::vouch::roots::GivenRoot;
use crate::output::KINDS;
use crate::programs::{self, Given};
use crate::publish::address::{Address, REPOSITORY};

/// Builds immutable Kubernetes node images: pinned, verified, without root.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

impl Cli {
    /// Reads this process's command line, or ends the process with a message.
    pub fn from_process() -> Cli {
        static VERSION: LazyLock<String> = LazyLock::new(programs::version);
        let mut command = whole().long_version(VERSION.as_str());
        let parsed = command.try_get_matches_from_mut(std::env::args_os());
        let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
        match parsed {
            Ok(mut cli) => {
                cli.verb.settle();
                cli
            }
            Err(error) => refuse(&mut command, error),
        }
    }
}

/// The command line with all of its help.
pub fn whole() -> clap::Command {
    screen::with_one(examples::with_all(global::show_only_used(Cli::command())))
}

/// Prints what is wrong with the command line, and ends the process.
fn refuse(command: &mut clap::Command, error: clap::Error) -> ! {
    let unknown = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::InvalidSubcommand => word,
        _ => error.format(command).exit(),
    };
    let words: Vec<String> = std::env::args().skip(1).collect();
    let above = near::above(command, &words, unknown);
    eprint!("{}", near::message(command, &above, unknown));
    std::process::exit(2)
}

/// A time: seconds, or a number with its unit (90s, 10m, 1h, 7d).
fn duration(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Such a time from one second up to `most` seconds.
fn seconds(most: u64) -> impl TypedValueParser<Value = u64> {
    let of = move |text: String| match duration(&text).filter(|time| (1..=most).contains(time)) {
        Some(time) => Ok(time),
        None => Err(format!(
            "write a time from 1 to {most} seconds, such as 90, 10m or 1h"
        )),
    };
    NonEmptyStringValueParser::new().try_map(of)
}

/// A file to be read; `-` is standard input.
fn file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text| match text.to_str() {
        Some("") => Err(anyhow::anyhow!("name a file, or `-` for standard input")),
        Some(text) => stdin::path(text),
        None => Ok(PathBuf::from(&text)),
    })
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build an image from a recipe and its lock
    Build(Box<BuildArgs>),
    /// Sign a built image: Secure Boot, root hashes, checksums
    Sign(SignArgs),
    /// Verify a built image in ten steps: who signed it, every file, how it was built, what went in
    Verify(Box<VerifyArgs>),
    /// Push a built image to a container registry
    Publish(PublishArgs),
    /// Take a published image, or a part of it, out of a container registry
    Pull(PullArgs),
    /// Build, sign and publish one image, unless it is published already: what jobs of engines run
    Job(Box<JobArgs>),
    /// Write the container image of nodeimg itself
    Container(ContainerArgs),
    /// Download everything that a build needs into the store
    Fetch(FetchArgs),
    /// Write a built disk to a device: checked, read back, nothing erased by mistake
    Flash(FlashArgs),
    /// Boot a built disk in QEMU, with its console on this terminal
    Run(Box<RunArgs>),
    /// Test a built disk in QEMU, without a cluster: every test case boots it
    Test(Box<TestArgs>),
    /// Look inside a built image, without mounting it and without root
    Inspect(InspectArgs),
    /// List what differs between two built images
    Diff(DiffArgs),
    /// Pin a recipe's artifacts by digest
    Lock(LockArgs),
    /// List, check and print recipes
    #[command(subcommand)]
    Recipe(RecipeVerb),
    /// Write a recipe, its lock and an overlay folder for you to edit
    Init(InitArgs),
    /// Create and check seeds (per-node configuration)
    #[command(subcommand)]
    Seed(SeedVerb),
    /// Manage the store of verified downloads
    #[command(subcommand)]
    Store(StoreVerb),
    /// Show and update the trusted roots of Sigstore
    #[command(subcommand)]
    Trust(TrustVerb),
    /// Say what this machine can do, and how to get the rest
    Doctor(Box<DoctorArgs>),
    /// Show the help of a verb, or a page of the documentation
    Help(HelpArgs),
    /// Print the script with which a shell completes verbs, options and names
    Completions(CompletionsArgs),
    /// Write the pages of the manual
    #[command(hide = true)]
    Man(ManArgs),
}

impl Verb {
    /// What stands without a flag takes the flag's place.
    fn settle(&mut self) {
        match self {
            Verb::Build(args) => args.recipes.settle(),
            Verb::Fetch(args) => args.recipe.settle(),
            Verb::Job(args) => args.recipe.settle(),
            Verb::Lock(args) => args.recipe.settle(),
            Verb::Recipe(RecipeVerb::Check(args) | RecipeVerb::Show(args)) => args.settle(),
            _ => {}
        }
    }
}

/// Which recipe and which lock.
#[derive(Clone, Debug, Args)]
pub struct RecipeArgs {
    /// A built-in recipe's name, a file (./my.toml), or a directory with one recipe
    #[arg(long, short, default_value = "hard-way", value_name = "NAME|FILE|DIR", add = complete::recipes())]
    pub recipe: RecipeRef,
    /// The recipe, as with --recipe
    #[arg(value_name = "RECIPE", conflicts_with = "recipe", add = complete::recipes())]
    pub bare: Option<RecipeRef>,
    /// The lock [default: beside the recipe; a built-in recipe has its own]
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub lock: Option<PathBuf>,
    /// A trusted root of Sigstore instead of nodeimg's own; INSTANCE is `private` (the default), `public-good` or `github`
    #[arg(long = "trusted-root", value_name = "[INSTANCE=]FILE")]
    pub trusted_roots: Vec<GivenRoot>,
}

impl RecipeArgs {
    fn settle(&mut self) {
        if let Some(recipe) = self.bare.take() {
            self.recipe = recipe;
        }
    }
}

/// Which architectures.
#[derive(Clone, Debug, Args)]
pub struct ArchArgs {
    /// Architecture of the image; may be given more than once, or several with commas [default: this machine's]
    #[arg(long = "arch", value_name = "ARCH", value_delimiter = ',')]
    named: Vec<Arch>,
}

impl ArchArgs {
    /// This one.
    pub fn of(arch: Arch) -> ArchArgs {
        ArchArgs { named: vec![arch] }
    }

    pub fn archs(&self) -> Result<Vec<Arch>> {
        Arch::named_or_own(&self.named, std::env::consts::ARCH)
    }
}

/// Flags of the verbs that fetch.
#[derive(Clone, Debug, Args)]
pub struct NetworkArgs {
    /// Use only the store, not the network
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub transfer: TransferArgs,
    #[command(flatten)]
    pub shared: SharedArgs,
}

/// A store that several machines share.
#[derive(Clone, Debug, Default, Args)]
pub struct SharedArgs {
    /// Repository to ask for what the store lacks, before anybody else (oci://HOST/REPOSITORY)
    #[arg(long, value_name = "ADDRESS", value_parser = REPOSITORY, env = "NODEIMG_STORE_REMOTE")]
    pub store_remote: Option<Address>,
    /// Also push there what the lock pins, and keep it there under the lock's digest
    #[arg(long, requires = "store_remote")]
    pub store_remote_write: bool,
}

/// How downloads are done.
#[derive(Clone, Debug, Args)]
pub struct TransferArgs {
    /// Number of parallel downloads
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub jobs: u8,
    /// How often to retry a download after a temporary failure
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub retries: u8,
}

/// One of the outputs, described as in the schema of recipes.
fn output_kind() -> impl TypedValueParser<Value = &'static OutputKind> {
    let value = |kind: &OutputKind| {
        let help = kind.summary.replace('\n', " ");
        PossibleValue::new(kind.name).help(help.trim_end_matches('.').to_owned())
    };
    PossibleValuesParser::new(KINDS.map(value)).try_map(|name| named(&name, &KINDS))
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub arch: ArchArgs,
    #[command(flatten)]
    pub recipes: RecipesArgs,
    /// Output to write instead of the recipe's outputs; may be given more than once
    #[arg(long = "output", value_name = "KIND", value_parser = output_kind())]
    pub outputs: Vec<&'static OutputKind>,
    /// Where to write the images, each into its own directory
    #[arg(long, short, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Take the artifacts from a bundle made by `nodeimg fetch --bundle`; download nothing
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub bundle: Option<PathBuf>,
    /// Another first-boot binary for ARCH than the one inside nodeimg
    #[arg(long = "firstboot", value_name = "ARCH=FILE")]
    pub firstboot: Vec<Given>,
    /// Another updater (`nodeimg-update`) for ARCH than the one inside nodeimg
    #[arg(long = "update", value_name = "ARCH=FILE")]
    pub update: Vec<Given>,
    /// If a pinned package is gone from every mirror, re-lock the base system (signatures verified, reported) and continue
    #[arg(long)]
    pub relock_base: bool,
    /// Give what is built the signatures of this published output directory, and compare all bytes
    #[arg(long, value_name = "DIR")]
    pub signatures_from: Option<PathBuf>,
    /// Repository to take an image from that is published under its build key, instead of building it (oci://HOST/REPOSITORY)
    #[arg(long, value_name = "ADDRESS", value_parser = REPOSITORY, requires = "published_keys")]
    pub published: Option<Address>,
    /// Public key or certificate that must have signed the checksums of such an image; may be given more than once
    #[arg(long = "published-key", value_name = "FILE", value_parser = file(), requires = "published")]
    pub published_keys: Vec<PathBuf>,
    /// Build even if the output exists and nothing has changed
    #[arg(long)]
    pub force: bool,
    /// Threads that unpack, hash and compress [default: as many as this machine has processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Write what was done when, by which thread, as a trace that ui.perfetto.dev opens
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct FetchArgs {
    #[command(flatten)]
    pub arch: ArchArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Output that will be built instead of the recipe's outputs; may be given more than once
    #[arg(long = "output", value_name = "KIND", value_parser = output_kind())]
    pub outputs: Vec<&'static OutputKind>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// If a pinned package is gone from every mirror, re-lock the base system (signatures verified, reported) and continue
    #[arg(long)]
    pub relock_base: bool,
    /// Also write everything into one file, for a machine without a network
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum RecipeVerb {
    /// List the built-in recipes
    List,
    /// Check a recipe, and its lock if it has one
    Check(RecipeArgs),
    /// Print the effective recipe, including everything that it extends
    Show(RecipeArgs),
    /// Print the JSON Schema of recipe files, for editors
    Schema,
}

#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Remove files that no build has used for some time, or what is more than a budget
    Gc {
        /// Remove files unused for this many days [default: 30]
        #[arg(long, value_name = "DAYS", conflicts_with = "keep")]
        unused_for: Option<u32>,
        /// Remove what was used least lately until this is left (20GiB); what locks name stays
        #[arg(long, value_name = "SIZE")]
        keep: Option<ByteSize>,
        /// With --keep, another lock whose files stay, beside those that were built from here; may be given more than once
        #[arg(long = "lock", value_name = "FILE", requires = "keep", value_parser = file())]
        locks: Vec<PathBuf>,
        /// Only report what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Hash every blob and remove the corrupt ones
    Verify,
    /// Print the path of the store
    Path,
}

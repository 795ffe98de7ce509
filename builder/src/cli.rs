//! The command line: types only, no work.

mod flash;
mod global;
mod publish;
mod recipes;
mod seed;
mod sign;
mod trust;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::Result;
use clap::builder::{
    NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser,
};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use nodeimg_machine::qemu::command::Port;
use nodeimg_machine::qemu::firmware::Firmware;
use nodeimg_machine::qemu::host::Accel;
use nodeimg_values::arch::Arch;

pub use flash::FlashArgs;
pub use global::Global;
pub use publish::{ContainerArgs, JobArgs, PublishArgs, PullArgs};
pub use recipes::RecipesArgs;
pub use seed::{
    NameValue, SeedCaArgs, SeedCheckArgs, SeedFleetArgs, SeedIdentityArgs, SeedNewArgs,
    SeedTokenArgs, SeedVerb,
};
pub use sign::SignArgs;
pub use trust::TrustVerb;
pub use verify::VerifyArgs;

use crate::input::lock::Update;
use crate::input::recipe::RecipeRef;
use crate::input::recipe::output::{OutputKind, named};
use crate::input::recipe::value::{ByteSize, Name};
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
        let command = Cli::command().long_version(VERSION.as_str());
        let mut command = global::show_only_used(command);
        let matches = command.get_matches_mut();
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }
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
}

/// Which recipe and which lock.
#[derive(Clone, Debug, Args)]
pub struct RecipeArgs {
    /// A built-in recipe's name, or a file (./my.toml)
    #[arg(long, short, default_value = "hard-way", value_name = "NAME|FILE")]
    pub recipe: RecipeRef,
    /// The lock [default: beside the recipe; a built-in recipe has its own]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// A trusted root of Sigstore instead of nodeimg's own; INSTANCE is `private` (the default), `public-good` or `github`
    #[arg(long = "trusted-root", value_name = "[INSTANCE=]FILE")]
    pub trusted_roots: Vec<GivenRoot>,
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
    #[arg(long, value_name = "FILE")]
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
    #[arg(long = "published-key", value_name = "FILE", requires = "published")]
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

/// How large the node's machine is.
#[derive(Debug, Args)]
pub struct SizeArgs {
    /// Memory of the node
    #[arg(long, default_value = "2GiB", value_name = "SIZE")]
    pub memory: ByteSize,
    /// Processors of the node
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=128))]
    pub cpus: u8,
}

/// What to boot, and how QEMU does that.
#[derive(Debug, Args)]
pub struct BootArgs {
    /// An output directory of `nodeimg build`, or a disk image; it is never written to
    #[arg(value_name = "DIR|DISK")]
    pub image: PathBuf,
    /// Architecture of a disk image without a manifest.json beside it
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,
    /// QEMU accelerator [default: hardware virtualization if available, otherwise emulation (tcg)]
    #[arg(long, value_name = "NAME")]
    pub accel: Option<Accel>,
    /// UEFI firmware and the template of its variables [default: found through QEMU's firmware descriptions]
    #[arg(long, value_name = "CODE:VARS")]
    pub firmware: Option<Firmware>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The node's seed: a directory in the layout of NoCloud or of a config drive, or the image of a volume
    #[arg(long, value_name = "DIR|FILE")]
    pub seed: Option<PathBuf>,
    /// Forward a loopback port to the node (2222:22, 53:53/udp); may be given more than once
    #[arg(long = "port", value_name = "HOST:GUEST")]
    pub ports: Vec<Port>,
    /// Keep the node's state in this directory and continue with it next time
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Fail and power off after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub timeout: Option<u64>,
    /// Succeed and power off as soon as the console prints TEXT
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub expect: Option<String>,
    #[command(flatten)]
    pub size: SizeArgs,
    /// Size of the node's disk [default: the recipe's `disk.size`, or 8 GiB]
    #[arg(long, value_name = "SIZE")]
    pub disk_size: Option<ByteSize>,
    #[command(flatten)]
    pub boot: BootArgs,
    /// Run this script as root when the node is up, print its output, and power the node off
    #[arg(long, value_name = "FILE", conflicts_with = "expect")]
    pub exec: Option<PathBuf>,
    /// Write the script's output to this file [default: standard output]
    #[arg(long, value_name = "FILE", requires = "exec")]
    pub exec_output: Option<PathBuf>,
    /// Write the console to this file [default: standard output; standard error with --exec or --json]
    #[arg(long, value_name = "FILE")]
    pub console: Option<PathBuf>,
    /// Create the files that the run needs and print QEMU's command instead of running it
    #[arg(long, conflicts_with_all = ["timeout", "expect", "exec", "console"])]
    pub print: bool,
    /// More arguments for QEMU, after `--`
    #[arg(last = true, value_name = "QEMU ARGUMENTS")]
    pub extra: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// The recipe that it was built from [default: the built-in recipe of the same name]
    #[arg(long, short, value_name = "NAME|FILE")]
    pub recipe: Option<RecipeRef>,
    /// Run only this test case: boot, reboot, power-cut, tampered-root, no-seed; may be given more than once
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<String>,
    /// Keep console logs and reports in this directory [default: only if a case fails]
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// Time limit for one boot [default: 300, or 1200 if the processor is emulated]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
    #[command(flatten)]
    pub size: SizeArgs,
    #[command(flatten)]
    pub boot: BootArgs,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A disk (raw, zst, qcow2, a block device), a SquashFS, or an output directory of `nodeimg build`
    #[arg(value_name = "DIR|DISK")]
    pub image: PathBuf,
    /// A path in the image: list this directory, or print this file's content
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// Write the report as one HTML page, with a map of what made the image big
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The image before, as `nodeimg inspect` takes it
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The image after
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// Write what differs as one HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
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

#[derive(Debug, Args)]
pub struct LockArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Pin again what is already pinned: everything, one artifact, one at another version, or `base`
    #[arg(long, value_name = "NAME[=VERSION]", num_args = 0..=1, default_missing_value = "", require_equals = false)]
    pub update: Vec<Update>,
    /// Only report whether the lock matches the recipe
    #[arg(long, conflicts_with_all = ["update", "digests"])]
    pub check: bool,
    /// With --check, also report whose signatures differ from those of an older lock
    #[arg(long, value_name = "FILE", requires = "check")]
    pub against: Option<PathBuf>,
    /// Fetch the signatures of what is pinned without a proof; no pin changes
    #[arg(long, conflicts_with_all = ["check", "update"])]
    pub proofs: bool,
    /// Accept that another signer than in the lock vouches for an artifact; may be given more than once
    #[arg(long, value_name = "NAME", conflicts_with = "check")]
    pub accept_signer: Vec<Name>,
    /// Accept an index of Debian that is older than the one in the lock
    #[arg(long, conflicts_with = "check")]
    pub allow_older: bool,
    /// File of digests that you already know, as lines `HEX  URL`: these URLs are not downloaded
    #[arg(long, value_name = "FILE")]
    pub digests: Option<PathBuf>,
    #[command(flatten)]
    pub transfer: TransferArgs,
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

#[derive(Debug, Args)]
pub struct InitArgs {
    /// A new or empty directory
    pub directory: PathBuf,
    /// The built-in recipe to start from
    #[arg(long, default_value = "hard-way", value_name = "NAME")]
    pub from: String,
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
        #[arg(long = "lock", value_name = "FILE", requires = "keep")]
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

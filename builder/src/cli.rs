//! The command line: types only, no work.

mod seed;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use nodeimg_machine::qemu::command::Port;
use nodeimg_machine::qemu::firmware::Firmware;
use nodeimg_machine::qemu::host::Accel;
use nodeimg_values::arch::Arch;

pub use seed::{NameValue, SeedCaArgs, SeedCheckArgs, SeedIdentityArgs, SeedNewArgs, SeedVerb};

use crate::image::firstboot::program::Given;
use crate::input::lock::Update;
use crate::input::recipe::RecipeRef;
use crate::input::recipe::file::OutputKind;
use crate::input::recipe::value::ByteSize;

/// Builds immutable Kubernetes node images: pinned, verified, without root.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Print nothing but errors
    #[arg(short, long, global = true, conflicts_with = "json")]
    pub quiet: bool,
    /// Print events as JSON lines on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Where verified downloads are kept [default: the XDG cache directory's nodeimg]
    #[arg(long, global = true, value_name = "DIR", env = "NODEIMG_STORE")]
    pub store: Option<PathBuf>,
    /// Ask another place for URLs that begin with FROM; also NODEIMG_MIRROR
    #[arg(long = "mirror", global = true, value_name = "FROM=TO")]
    pub mirrors: Vec<String>,
    /// A mirror of Debian's archive, asked before those of the recipe and of apt; also NODEIMG_DEBIAN_MIRROR
    #[arg(long = "debian-mirror", global = true, value_name = "URL")]
    pub debian_mirrors: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build an image from a recipe and its lock
    Build(BuildArgs),
    /// Bring everything that a build needs into the store
    Fetch(FetchArgs),
    /// Boot a built disk in QEMU, with its console on this terminal
    Run(Box<RunArgs>),
    /// Prove a built disk in QEMU, without a cluster: every case boots it
    Test(Box<TestArgs>),
    /// Pin a recipe's artifacts by digest
    Lock(LockArgs),
    /// Look at recipes
    #[command(subcommand)]
    Recipe(RecipeVerb),
    /// Write a recipe, its lock and an overlay folder of your own to edit
    Init(InitArgs),
    /// Make and check seeds: what makes an image into one node
    #[command(subcommand)]
    Seed(SeedVerb),
    /// Look after the store
    #[command(subcommand)]
    Store(StoreVerb),
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
}

/// Flags of the verbs that fetch.
#[derive(Clone, Debug, Args)]
pub struct NetworkArgs {
    /// Use nothing but the store
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub transfer: TransferArgs,
}

/// How downloads are done.
#[derive(Clone, Debug, Args)]
pub struct TransferArgs {
    /// Downloads at a time
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub jobs: u8,
    /// How often a download is tried again that fails for a passing reason
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub retries: u8,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Architecture of the image; may be given more than once
    #[arg(long = "arch", required = true, value_name = "ARCH")]
    pub archs: Vec<Arch>,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// What to write, instead of the recipe's outputs; may be given more than once
    #[arg(long = "output", value_name = "KIND")]
    pub outputs: Vec<OutputKind>,
    /// Where the images go, each in a directory of its own
    #[arg(long, short, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Take the artifacts from a bundle of `nodeimg fetch --bundle`; nothing is downloaded
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// The first-boot binary for ARCH [default: see the README]
    #[arg(long = "firstboot", value_name = "ARCH=FILE")]
    pub firstboot: Vec<Given>,
    /// Where no mirror has a pinned package any more, lock the base system anew (verified, and said) and go on
    #[arg(long)]
    pub relock_base: bool,
    /// Build even if the output is there and nothing has changed
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// What `nodeimg build` wrote, or a disk image; it is not written to
    #[arg(value_name = "DIR|DISK")]
    pub image: PathBuf,
    /// What the node is given: a directory in the layout of NoCloud or of a config drive, or a medium's image
    #[arg(long, value_name = "DIR|FILE")]
    pub seed: Option<PathBuf>,
    /// Lead a port of this machine's loopback to one of the node (2222:22, 53:53/udp); may be given more than once
    #[arg(long = "port", value_name = "HOST:GUEST")]
    pub ports: Vec<Port>,
    /// Keep what the node writes in this directory, and go on with it the next time
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Power the node down after so many seconds, which is a failure
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub timeout: Option<u64>,
    /// Power the node down once its console has said TEXT, which is a success
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub expect: Option<String>,
    /// Memory of the node
    #[arg(long, default_value = "2GiB", value_name = "SIZE")]
    pub memory: ByteSize,
    /// Processors of the node
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=128))]
    pub cpus: u8,
    /// Size of the node's disk [default: 8 GiB, or the image's own where that is larger]
    #[arg(long, value_name = "SIZE")]
    pub disk_size: Option<ByteSize>,
    /// Architecture of a disk image that no manifest.json beside it tells of
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,
    /// What runs the node's instructions [default: the processor where it can, else QEMU (tcg)]
    #[arg(long, value_name = "NAME")]
    pub accel: Option<Accel>,
    /// UEFI firmware and the template of its variables [default: as QEMU's packages describe it]
    #[arg(long, value_name = "CODE:VARS")]
    pub firmware: Option<Firmware>,
    /// Run this script as root when the node is up, print what it says, and power the node off
    #[arg(long, value_name = "FILE", conflicts_with = "expect")]
    pub exec: Option<PathBuf>,
    /// Write what the script says to this file [default: standard output]
    #[arg(long, value_name = "FILE", requires = "exec")]
    pub exec_output: Option<PathBuf>,
    /// Write the console to this file [default: standard output; standard error with --exec or --json]
    #[arg(long, value_name = "FILE")]
    pub console: Option<PathBuf>,
    /// Make the files that the run needs and print QEMU's command instead of running it
    #[arg(long, conflicts_with_all = ["timeout", "expect", "exec", "console"])]
    pub print: bool,
    /// More arguments for QEMU, after `--`
    #[arg(last = true, value_name = "QEMU ARGUMENTS")]
    pub extra: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// What `nodeimg build` wrote, or a disk image; it is not written to
    #[arg(value_name = "DIR|DISK")]
    pub image: PathBuf,
    /// The recipe that it was built from [default: the built-in one of its name]
    #[arg(long, short, value_name = "NAME|FILE")]
    pub recipe: Option<RecipeRef>,
    /// Only this case: boot, reboot, power-cut, tampered-root, no-seed; may be given more than once
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<String>,
    /// Keep consoles and facts in this directory [default: only where a case fails]
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// What one boot may take [default: 300, or 1200 where the processor is emulated]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
    /// Memory of the node
    #[arg(long, default_value = "2GiB", value_name = "SIZE")]
    pub memory: ByteSize,
    /// Processors of the node
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=128))]
    pub cpus: u8,
    /// Architecture of a disk image that no manifest.json beside it tells of
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,
    /// What runs the node's instructions [default: the processor where it can, else QEMU (tcg)]
    #[arg(long, value_name = "NAME")]
    pub accel: Option<Accel>,
    /// UEFI firmware and the template of its variables [default: as QEMU's packages describe it]
    #[arg(long, value_name = "CODE:VARS")]
    pub firmware: Option<Firmware>,
}

#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Architecture to fetch for; may be given more than once
    #[arg(long = "arch", required = true, value_name = "ARCH")]
    pub archs: Vec<Arch>,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// What will be built, instead of the recipe's outputs; may be given more than once
    #[arg(long = "output", value_name = "KIND")]
    pub outputs: Vec<OutputKind>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Where no mirror has a pinned package any more, lock the base system anew (verified, and said) and go on
    #[arg(long)]
    pub relock_base: bool,
    /// Also write everything into one file for a machine without a network
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct LockArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Pin anew what is pinned already: everything, one artifact, one at another version, or `base`
    #[arg(long, value_name = "NAME[=VERSION]", num_args = 0..=1, default_missing_value = "", require_equals = false)]
    pub update: Vec<Update>,
    /// Only say whether the lock fits the recipe
    #[arg(long, conflicts_with_all = ["update", "digests"])]
    pub check: bool,
    /// Digests that you know from elsewhere, as lines `HEX  URL`: these URLs are not downloaded
    #[arg(long, value_name = "FILE")]
    pub digests: Option<PathBuf>,
    #[command(flatten)]
    pub transfer: TransferArgs,
}

#[derive(Debug, Subcommand)]
pub enum RecipeVerb {
    /// Name the built-in recipes
    List,
    /// Check a recipe, and its lock where it has one
    Check(RecipeArgs),
    /// Print the effective recipe, with everything that it extends
    Show(RecipeArgs),
    /// Print the JSON Schema of recipe files, for editors
    Schema,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// A directory that is not there yet, or is empty
    pub directory: PathBuf,
    /// The built-in recipe to start from
    #[arg(long, default_value = "hard-way", value_name = "NAME")]
    pub from: String,
}

#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Remove what no build has used for some time
    Gc {
        /// In days
        #[arg(long, default_value_t = 30, value_name = "DAYS")]
        unused_for: u32,
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Hash every blob and drop the corrupt ones
    Verify,
    /// Print where the store is
    Path,
}

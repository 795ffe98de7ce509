//! The command line: types only, no work.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::arch::Arch;
use crate::firstboot::Given;
use crate::lock::Update;
use crate::recipe::RecipeRef;

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
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build an image from a recipe and its lock
    Build(BuildArgs),
    /// Bring everything that a build needs into the store
    Fetch(FetchArgs),
    /// Pin a recipe's artifacts by digest
    Lock(LockArgs),
    /// Look at recipes
    #[command(subcommand)]
    Recipe(RecipeVerb),
    /// Write a recipe, its lock and an overlay folder of your own to edit
    Init(InitArgs),
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
    /// Build even if the output is there and nothing has changed
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Architecture to fetch for; may be given more than once
    #[arg(long = "arch", required = true, value_name = "ARCH")]
    pub archs: Vec<Arch>,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Also write everything into one file for a machine without a network
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct LockArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Pin anew what is pinned already: everything, one artifact, or one at another version
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

//! The command line of `nodeimg lock`.

use std::path::PathBuf;

use clap::Args;

use super::{RecipeArgs, TransferArgs, file};
use crate::input::lock::Update;
use crate::input::recipe::value::Name;

#[derive(Clone, Debug, Args)]
pub struct LockArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Pin again what is already pinned: everything, one artifact, one at another version, or `base`
    #[arg(long, value_name = "NAME[=VERSION]", num_args = 0..=1, default_missing_value = "", require_equals = false, add = super::complete::artifacts())]
    pub update: Vec<Update>,
    /// Only report whether the lock matches the recipe
    #[arg(long, conflicts_with_all = ["update", "digests"])]
    pub check: bool,
    /// List newer versions of everything pinned, and who offers them; change nothing
    #[arg(long, conflicts_with_all = ["check", "update", "proofs", "accept_signer", "digests"])]
    pub outdated: bool,
    /// With --check, also report whose signatures differ from those of an older lock
    #[arg(long, value_name = "FILE", requires = "check", value_parser = file())]
    pub against: Option<PathBuf>,
    /// Fetch signatures for pins that have no proof yet; change no pin
    #[arg(long, conflicts_with_all = ["check", "update"])]
    pub proofs: bool,
    /// Accept that another signer than in the lock vouches for an artifact; may be given more than once
    #[arg(long, value_name = "NAME", conflicts_with = "check")]
    pub accept_signer: Vec<Name>,
    /// Accept an index of Debian that is older than the one in the lock
    #[arg(long, conflicts_with = "check")]
    pub allow_older: bool,
    /// File of digests that you already know, as lines `HEX  URL`: these URLs are not downloaded
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub digests: Option<PathBuf>,
    #[command(flatten)]
    pub transfer: TransferArgs,
}

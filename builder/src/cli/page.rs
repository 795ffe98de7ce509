//! The command line of `nodeimg help`, `nodeimg man` and `nodeimg doctor`.

use std::path::PathBuf;

use clap::Args;
use clap::error::ErrorKind;

use super::{NetworkArgs, whole};

/// `nodeimg help`
#[derive(Debug, Args)]
pub struct HelpArgs {
    /// A verb, or a page of the documentation; `topics` lists the pages
    #[arg(value_name = "TOPIC", num_args = 0..)]
    pub topic: Vec<String>,
}

/// `nodeimg man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where to write the pages
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// `nodeimg doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// The text of `nodeimg VERB... --help`; without a verb, that of `nodeimg --help`. `None` for an
/// unknown verb.
pub fn help_of(verb: &[&str]) -> Option<String> {
    let words = [&["nodeimg"][..], verb, &["--help"]].concat();
    let error = whole().try_get_matches_from(words).err()?;
    (error.kind() == ErrorKind::DisplayHelp).then(|| error.to_string())
}

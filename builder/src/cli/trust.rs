//! The command line of `nodeimg trust`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::input::vouch::roots::GivenRoot;

#[derive(Debug, Subcommand)]
pub enum TrustVerb {
    /// Print the trusted roots that signatures are verified with
    Show {
        /// A trusted root instead of nodeimg's own; INSTANCE is `private` (the default), `public-good` or `github`
        #[arg(long = "trusted-root", value_name = "[INSTANCE=]FILE")]
        trusted_roots: Vec<GivenRoot>,
    },
}

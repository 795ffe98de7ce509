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
    /// Fetch the newest trusted roots of sigstore.dev and GitHub into files, for `[trust] roots` of recipes and --trusted-root
    Update {
        /// Where to write public-good.json and github.json, or private.json
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// The TUF repository of a Sigstore of one's own instead, which private.json is written of
        #[arg(long, value_name = "URL", requires = "tuf_root")]
        repository: Option<String>,
        /// The root.json of that repository to begin with: later ones are signed by a chain from it
        #[arg(long, value_name = "FILE", requires = "repository", value_parser = super::file())]
        tuf_root: Option<PathBuf>,
    },
}

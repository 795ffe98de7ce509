//! The command line of `nodeimg sign`.

use std::path::PathBuf;

use clap::Args;

use super::file;

#[derive(Debug, Args)]
pub struct SignArgs {
    /// An output directory of `nodeimg build`
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Which keys sign what (TOML; see docs/how-to/sign.md)
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub keys: PathBuf,
    /// Write what is to be signed to this directory, for keys on another machine; sign nothing
    #[arg(long, value_name = "DIR", conflicts_with = "attach")]
    pub requests: Option<PathBuf>,
    /// Take signatures that another machine has made from this directory
    #[arg(long, value_name = "DIR")]
    pub attach: Option<PathBuf>,
}
